"""A collection in memory, one passage a document: BM25, character n-grams, LSA. For measuring what stands above an index."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from meliora.knowledge.config import Leg
from meliora.knowledge.filters import Filter
from meliora.knowledge.index.base import Asked, Hit, Stored
from meliora.knowledge.text.analysis import analyse, grams

K1, B = 1.2, 0.75
DIMENSIONS = 128


@dataclass(frozen=True)
class Judged:
    """A test collection in BEIR's layout."""

    documents: Mapping[str, tuple[str, str]]
    """Title and text."""
    queries: Mapping[str, str]
    """Those that have a relevant document."""
    grades: Mapping[str, Mapping[str, int]]


def load(folder: Path) -> Judged:
    """Read a collection's folder."""
    documents: dict[str, tuple[str, str]] = {}
    with gzip.open(folder / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            documents[row["_id"]] = (row.get("title") or "", row.get("text") or "")
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        grades[query][document] = int(grade)
    rows = map(json.loads, (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines())
    queries = {row["_id"]: row["text"] for row in rows if any(grade > 0 for grade in grades[row["_id"]].values())}
    return Judged(documents, queries, dict(grades))


class MemoryView:
    """A `View` of documents that do not change."""

    generation = "memory"
    watermark = 0

    def __init__(self, documents: Mapping[str, tuple[str, str]]) -> None:
        """Analyse and index them."""
        self._kept: list[Stored] = []
        words: list[Sequence[str]] = []
        pieces: list[Sequence[str]] = []
        for id, (title, text) in documents.items():
            head, body = analyse(title), analyse(text)
            self._kept.append(
                Stored(
                    document=id,
                    number=0,
                    title=title,
                    text=text,
                    start=0,
                    end=len(text),
                    terms=body.terms,
                    title_terms=head.terms,
                )
            )
            words.append((*head.terms, *body.terms))
            pieces.append(grams((*head.written, *body.written)))
        self._row = {f"{one.document}#0": at for at, one in enumerate(self._kept)}
        self._names = list(self._row)
        self._words, self._grams = _Counts(words), _Counts(pieces)
        self._space = _Space(self._words)
        self.passages = self.documents = len(self._kept)
        self.average_length = self._words.average

    def retrieve(self, leg: Leg, asked: Asked, limit: int, where: Filter | None = None) -> Sequence[Hit]:
        """Give the best passages; filters are not heeded."""
        if leg == "dense":
            scores = self._space.cosines(asked.terms)
        else:
            scores = self._words.bm25(asked.terms) if leg == "words" else self._grams.bm25(asked.grams)
        best = np.argsort(-scores, kind="stable")[:limit].tolist()
        return [Hit(self._names[at], float(scores[at])) for at in best if scores[at] > 0]

    def stored(self, passages: Sequence[str]) -> Sequence[Stored | None]:
        """Give what is kept."""
        return [self._kept[self._row[name]] if name in self._row else None for name in passages]

    def frequency(self, term: str) -> int:
        """Give in how many passages a term stands."""
        at = self._words.column.get(term)
        return 0 if at is None else int(self._words.df[at])

    def written(self) -> Mapping[str, int]:
        """Give the terms: nothing here is spelled."""
        return self.vocabulary()

    def vocabulary(self) -> Mapping[str, int]:
        """Give every term with its frequency."""
        return {term: int(self._words.df[at]) for term, at in self._words.column.items()}

    def vector(self, terms: Mapping[str, float]) -> Sequence[float] | None:
        """Give the vector of terms."""
        return self._space.vector(terms)

    def similarity(self, terms: Mapping[str, float], passages: Sequence[str]) -> Sequence[float]:
        """Give cosines."""
        vector = self._space.vector(terms)
        if vector is None:
            return [0.0] * len(passages)
        return (self._space.rows[[self._row[name] for name in passages]] @ vector).tolist()

    def hashes(self) -> Iterator[tuple[str, str]]:
        """Give none."""
        return iter(())


class _Counts:
    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        from scipy import sparse

        self.column: dict[str, int] = {}
        rows: list[int] = []
        columns: list[int] = []
        values: list[int] = []
        for row, own in enumerate(texts):
            for term, times in Counter(own).items():
                rows.append(row)
                columns.append(self.column.setdefault(term, len(self.column)))
                values.append(times)
        count = rows[-1] + 1
        lengths = np.bincount(rows, weights=values, minlength=count)
        self.average = float(lengths.mean())
        self.df = np.bincount(columns)
        self.idf = np.log(1 + (count - self.df + 0.5) / (self.df + 0.5))
        tf, where = np.array(values, dtype=float), np.array(columns)
        weight = self.idf[where] * tf * (K1 + 1) / (tf + K1 * (1 - B + B * lengths[rows] / self.average))
        self._weight: Any = sparse.csc_matrix((weight, (rows, columns)))
        self.tf: Any = sparse.csr_matrix((tf, (rows, columns)))

    def bm25(self, terms: Mapping[str, float]) -> np.ndarray:
        known = {self.column[term]: weight for term, weight in terms.items() if term in self.column}
        if not known:
            return np.zeros(self._weight.shape[0])
        return self._weight[:, list(known)] @ np.array(list(known.values()))


class _Space:
    """Latent semantic analysis (Deerwester et al., 1990), queries folded in."""

    def __init__(self, counts: _Counts) -> None:
        from scipy import sparse
        from scipy.sparse.linalg import svds

        self._counts = counts
        self._idf = np.log(counts.tf.shape[0] / counts.df) + 1
        weighted = counts.tf.copy()
        weighted.data = (1 + np.log(weighted.data)) * self._idf[weighted.indices]
        norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
        weighted = sparse.diags(1 / np.maximum(norms, 1e-9)) @ weighted
        axes: Any = svds(weighted, k=min(DIMENSIONS, min(weighted.shape) - 1), rng=np.random.default_rng(0))[2]
        self._axes = np.ascontiguousarray(axes.T)
        rows = weighted @ self._axes
        self.rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)

    def vector(self, terms: Mapping[str, float]) -> Any:
        known = {self._counts.column[term]: weight for term, weight in terms.items() if term in self._counts.column}
        if not known:
            return None
        at = list(known)
        found = (np.array(list(known.values())) * self._idf[at]) @ self._axes[at]
        norm = float(np.linalg.norm(found))
        return found / norm if norm > 1e-12 else None

    def cosines(self, terms: Mapping[str, float]) -> np.ndarray:
        vector = self.vector(terms)
        return np.zeros(len(self.rows)) if vector is None else self.rows @ vector
