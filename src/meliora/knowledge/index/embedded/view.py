"""A state of an index as it is searched: mapped into memory, never changing, safe to use from several threads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meliora.errors import InvalidRequest
from meliora.knowledge.config import Leg
from meliora.knowledge.filters import OWN, Condition, Filter
from meliora.knowledge.index.base import Asked, Hit, Stored
from meliora.knowledge.index.embedded import lsa
from meliora.knowledge.index.embedded.columns import Columns
from meliora.knowledge.index.embedded.counts import CountsOf
from meliora.knowledge.index.embedded.entries import safe, token
from meliora.knowledge.index.embedded.layout import Fixed, Manifest, fixed, state_name
from meliora.knowledge.index.embedded.making import alive_rows
from meliora.knowledge.index.embedded.rows import Finder, Rows
from meliora.knowledge.index.embedded.vectors import Embed, Nearest
from meliora.knowledge.index.embedded.view_base import BaseView, best_first, document_hashes, embedded_query
from meliora.knowledge.index.embedded.words import FOLDER, Words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEW = 4096
"""Rows up to which the engine is told which ones may be given."""

FEW_READ = 256
"""Rows up to which a filter is held against their records."""


class EmbeddedView(BaseView):
    """What serves at one moment."""

    def __init__(
        self, folder: Path, manifest: Manifest, embed: Embed | None = None, before: EmbeddedView | None = None
    ) -> None:
        """Open a state; of `before`, one that it `follows`, is used what is the same."""
        self.generation, self.watermark = manifest.generation, manifest.watermark
        self.passages, self.documents = manifest.passages, manifest.documents
        self.average_length = manifest.words / manifest.passages if manifest.passages else 0.0
        self.fitted = embed is None
        self._manifest, self._embed = manifest, embed
        self._rows = Rows(folder, manifest.epoch, manifest.sizes, manifest.rows)
        self._alive: NDArray[np.bool_] = alive_rows(folder, manifest)
        self._words = Words(folder / state_name(manifest.state) / FOLDER, manifest.passages)
        self._columns = Columns([*fixed(folder, manifest.columns, manifest).values()], manifest.rows)
        self._counts = CountsOf(fixed(folder, manifest.counts, manifest), before._counts if before else None)
        self._finder = Finder(self._rows, before._finder if before else None)
        model = manifest.vectors
        self._nearest = Nearest(folder, model, manifest.rows) if model else None
        self._model_file = Fixed(folder / model.model, manifest.checks[model.model]) if model and model.model else None
        if before is not None and model is not None and before._manifest.vectors == model and "_lsa" in vars(before):
            self._lsa = before._lsa

    def follows(self, manifest: Manifest) -> bool:
        """Tell whether a state is a later one of the same rows."""
        own = self._manifest
        same = (own.generation, own.first_us, own.epoch) == (manifest.generation, manifest.first_us, manifest.epoch)
        return same and own.state <= manifest.state

    @cached_property
    def _lsa(self) -> lsa.Lsa | None:
        return lsa.decoded(self._model_file.read()) if self._model_file else None

    def retrieve(self, leg: Leg, asked: Asked, limit: int, where: Filter | None = None) -> Sequence[Hit]:
        """Give the best passages, best first; equal ones by id. Of a query of more than 64 terms, the weightiest and rarest count.

        Raises `InvalidRequest` for a filter on a field that no document has.
        """
        if where is not None:
            refuse_unknown(where, self._manifest.fields)
        if limit < 1 or not self.passages:
            return ()
        if leg == "dense":
            rows, scores = self._dense(asked, limit, where)
        elif where is None:
            rows, scores = self._lexical(leg, asked, limit)
        else:
            rows, scores = self._filtered(leg, asked, limit, where)
        return best_first((self._rows.name(row) for row in rows), scores)

    def stored(self, passages: Sequence[str]) -> Sequence[Stored | None]:
        """Give what is kept of passages, in the order asked for; None for one that is not here."""
        rows = self._finder.find(passages, self._alive)
        return [None if row is None else self._rows.record(row).stored() for row in rows]

    def similarity(self, terms: Mapping[str, float], passages: Sequence[str]) -> Sequence[float]:
        """Give the cosine of the query's and each passage's vector; 0 where there is none."""
        vector = self._vector(terms)
        if vector is None or self._nearest is None:
            return [0.0] * len(passages)
        rows = self._finder.find(passages, self._alive)
        cosines = self._nearest.cosines(vector, [row or 0 for row in rows])
        return [0.0 if row is None else cosine for row, cosine in zip(rows, cosines, strict=True)]

    def hashes(self) -> Iterator[tuple[str, str]]:
        """Give the id and hash of every document that it holds."""
        return document_hashes(self._rows.record(row) for row in self._alive.nonzero()[0].tolist())

    def _lexical(self, leg: Leg, asked: Asked, limit: int, must: Any = None) -> tuple[list[int], list[float]]:
        if leg == "words":
            return self._words.search("w", asked.terms, limit, must)
        return self._words.search("g", asked.grams, limit, must)

    def _filtered(self, leg: Leg, asked: Asked, limit: int, where: Filter) -> tuple[list[int], list[float]]:
        """Search among the passages that pass: the engine knows of equality, and takes a list of rows where they are few."""
        if all(one.test == "in" for one in where.conditions):
            groups = list(map(_tokens, where.conditions))
            return self._lexical(leg, asked, limit, self._words.having(groups)) if all(groups) else ([], [])
        allowed = self._allowed(where)
        count = int(allowed.sum())
        if count <= FEW:
            few = allowed.nonzero()[0].tolist()
            return self._lexical(leg, asked, limit, self._words.among(few)) if few else ([], [])
        return self._deeper(leg, asked, limit, allowed)

    def _allowed(self, where: Filter) -> NDArray[np.bool_]:
        """Tell of each row whether it lives and passes. Where one condition leaves few, only those are looked at."""
        import numpy as np

        for condition in where.conditions:
            tokens = _tokens(condition) if condition.test == "in" else None
            if tokens is not None and self._words.passages_with(tokens) <= FEW_READ:
                allowed = np.zeros(len(self._alive), dtype=bool)
                rows = self._words.rows_with(tokens) if tokens else []
                allowed[[row for row in rows if self._rows.record(row).passes(where)]] = True
                return allowed & self._alive
        return self._columns.passing(where) & self._alive

    def _deeper(self, leg: Leg, asked: Asked, limit: int, allowed: NDArray[np.bool_]) -> tuple[list[int], list[float]]:
        """Ask for more and more, until enough of what is found may be given, or nothing more is found."""
        depth = 4 * limit
        while True:
            rows, scores = self._lexical(leg, asked, depth)
            good = [at for at, row in enumerate(rows) if allowed[row]][:limit]
            if len(good) == limit or len(rows) < depth:
                return [rows[at] for at in good], [scores[at] for at in good]
            depth *= 8

    def _dense(self, asked: Asked, limit: int, where: Filter | None) -> tuple[list[int], list[float]]:
        vector = self._vector(asked.terms, asked.text)
        if vector is None or self._nearest is None:
            return [], []
        allowed = self._alive if where is None else self._allowed(where)
        return self._nearest.nearest(vector, limit, allowed)

    def _vector(self, terms: Mapping[str, float], text: str = "") -> NDArray[np.float32] | None:
        model = self._manifest.vectors
        if model is None or not terms:
            return None
        if model.model:
            return self._lsa.vector({safe(term): weight for term, weight in terms.items()}) if self._lsa else None
        return embedded_query(self._embed, terms, text, model.dimension)


class EmptyView:
    """What serves where nothing was indexed yet."""

    generation = ""
    watermark = passages = documents = 0
    average_length = 0.0
    fitted = True

    def retrieve(self, leg: Leg, asked: Asked, limit: int, where: Filter | None = None) -> Sequence[Hit]:
        """Give nothing."""
        return ()

    def stored(self, passages: Sequence[str]) -> Sequence[Stored | None]:
        """Give None of each."""
        return [None] * len(passages)

    def frequency(self, term: str) -> int:
        """Give 0."""
        return 0

    def written(self) -> Mapping[str, int]:
        """Give nothing."""
        return {}

    def vocabulary(self) -> Mapping[str, int]:
        """Give nothing."""
        return {}

    def vector(self, terms: Mapping[str, float]) -> Sequence[float] | None:
        """Give None."""
        return None

    def similarity(self, terms: Mapping[str, float], passages: Sequence[str]) -> Sequence[float]:
        """Give zeros."""
        return [0.0] * len(passages)

    def hashes(self) -> Iterator[tuple[str, str]]:
        """Give nothing."""
        return iter(())


def refuse_unknown(where: Filter, fields: Iterable[str]) -> None:
    """Raise `InvalidRequest` for a condition on a field that no document has; `fields` are those of the metadata."""
    known = {*OWN, *fields}
    for condition in where.conditions:
        if condition.field not in known:
            raise InvalidRequest(
                f"No document has the field {condition.field[:100]!r}.",
                hint=f"There are: {', '.join(nearest_first(condition.field, known))}.",
                field=f"filter.{condition.field[:100]}",
            )


def _tokens(condition: Condition) -> list[str]:
    return [said for value in condition.values if (said := token(condition.field, value)) is not None]


def nearest_first(field: str, known: set[str]) -> list[str]:
    """Give at most 20 known fields, those that are spelled alike first."""
    alike = {name: SequenceMatcher(None, field[:100], name).ratio() for name in known}
    return sorted(known, key=lambda name: (-alike[name], name))[:20]
