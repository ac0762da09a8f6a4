"""The two legs that tantivy answers: words and character n-grams by BM25 (k1 1.2, b 0.75), with block-max WAND.

What it is given is analysed already and joined by spaces, so that it takes it as it is. Rows stand in a column of its own.
"""

from __future__ import annotations

import errno
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from meliora.errors import MissingExtra, StoreError
from meliora.knowledge.index.embedded.entries import safe

Field = Literal["w", "g"]
FOLDER = "words"
MOST_WORDS = 64
"""Terms of a query that are asked: those of the greatest weight times rarity."""
MOST_GRAMS = 60
COMMON_GRAM = 0.2
"""Share of the passages from which on an n-gram tells nothing and is not asked."""
SMALL = 5_000
"""Passages up to which every n-gram is asked: it costs nothing there."""
_NUMBER = re.compile(r"os error (\d+)")


class WordsWriter:
    """Writes the index of one state; it starts with the segments of the state before, as hard links."""

    def __init__(self, folder: Path, before: Path | None, heap_bytes: int) -> None:
        tantivy = engine()
        folder.mkdir(parents=True)
        if before is not None:
            _link(before, folder)
        self._schema = schema()
        with engine_errors():
            self._writer = tantivy.Index(self._schema, path=str(folder)).writer(heap_bytes, 1)

    def add(self, row: int, words: str, grams: str, tokens: Iterable[str]) -> None:
        """Index a passage."""
        document = engine().Document()
        document.add_unsigned("row", row)
        document.add_text("w", words)
        document.add_text("g", grams)
        for one in tokens:
            document.add_text("f", one)
        with engine_errors():
            self._writer.add_document(document)

    def remove(self, rows: Sequence[int]) -> None:
        """Take passages out."""
        if rows:
            with engine_errors():
                self._writer.delete_documents_by_query(engine().Query.term_set_query(self._schema, "row", list(rows)))

    def finish(self) -> None:
        """Have it on the disk, small segments merged."""
        with engine_errors():
            self._writer.commit()
            self._writer.wait_merging_threads()

    def give_up(self) -> None:
        """Stop its threads."""
        with suppress(Exception):  # it failed already: the error on its way says more
            self._writer.rollback()
            self._writer.wait_merging_threads()


class Words:
    """Searches one state."""

    def __init__(self, folder: Path, passages: int) -> None:
        self._schema, self._passages = schema(), passages
        with engine_errors():
            index = engine().Index.open(str(folder))
            index.config_reader("manual")
            index.reload()
            self._searcher = index.searcher()

    def search(
        self, field: Field, asked: Mapping[str, float], limit: int, must: Any = None
    ) -> tuple[list[int], list[float]]:
        """Give rows and scores, best first."""
        tantivy = engine()
        chosen = self._chosen(field, asked)
        if not chosen or limit < 1:
            return [], []
        terms = [
            (tantivy.Occur.Should, self._term(field, term) if weight == 1 else self._boosted(field, term, weight))
            for term, weight in chosen
        ]
        query = tantivy.Query.boolean_query(terms)
        if must is not None:
            query = tantivy.Query.boolean_query([(tantivy.Occur.Must, query), (tantivy.Occur.Must, must)])
        return self._run(query, limit)

    def having(self, tokens: Sequence[Sequence[str]]) -> Any:
        """Make the condition that a passage has one token of each group."""
        tantivy = engine()
        groups = [tantivy.Query.term_set_query(self._schema, "f", list(group)) for group in tokens]
        both = tantivy.Query.boolean_query([(tantivy.Occur.Must, group) for group in groups])
        return tantivy.Query.const_score_query(both, 0.0)

    def among(self, rows: Sequence[int]) -> Any:
        """Make the condition that a passage is one of these rows."""
        query = engine().Query
        return query.const_score_query(query.term_set_query(self._schema, "row", list(rows)), 0.0)

    def passages_with(self, tokens: Iterable[str]) -> int:
        """Give how many rows have one of some tokens, at most: those that have two count twice, dead ones may count too."""
        return sum(self._searcher.doc_freq("f", one) for one in tokens)

    def rows_with(self, tokens: Sequence[str]) -> list[int]:
        """Give every row that has one of some tokens."""
        query = engine().Query.term_set_query(self._schema, "f", list(tokens))
        limit = 64
        while True:
            rows, _ = self._run(query, limit)
            if len(rows) < limit:
                return rows
            limit *= 16

    def _run(self, query: Any, limit: int) -> tuple[list[int], list[float]]:
        with engine_errors():
            hits = self._searcher.search(query, limit, count=False).hits
            rows = self._searcher.fast_field_values("row", [address for _, address in hits]) if hits else []
        return rows, [score for score, _ in hits]

    def _chosen(self, field: Field, asked: Mapping[str, float]) -> list[tuple[str, float]]:
        worth: list[tuple[float, str, float]] = []
        common = max(COMMON_GRAM * self._passages, SMALL) if field == "g" else math.inf
        for said, weight in asked.items():
            if not (weight > 0 and math.isfinite(weight)):
                continue
            term = safe(said)
            passages = self._searcher.doc_freq(field, term)
            if 0 < passages < common:
                rarity = math.log1p(self._passages / passages)
                worth.append((weight * rarity if field == "w" else rarity, term, weight))
        worth.sort(key=lambda one: (-one[0], one[1]))
        return [(term, weight) for _, term, weight in worth[: MOST_WORDS if field == "w" else MOST_GRAMS]]

    def _term(self, field: Field, term: str) -> Any:
        return engine().Query.term_query(self._schema, field, term, "freq")

    def _boosted(self, field: Field, term: str, weight: float) -> Any:
        return engine().Query.boost_query(self._term(field, term), weight)


def engine() -> Any:
    """Give tantivy. Raises `MissingExtra`."""
    try:
        import tantivy
    except ImportError as error:
        raise MissingExtra("The index needs tantivy.", hint="pip install 'meliora[knowledge]'") from error
    return tantivy


def schema() -> Any:
    """Give the fields: row, words, n-grams, and tokens of the fields that are filtered on."""
    builder = engine().SchemaBuilder()
    builder.add_unsigned_field("row", stored=False, indexed=True, fast=True)
    builder.add_text_field("w", stored=False, tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("g", stored=False, tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("f", stored=False, tokenizer_name="raw", index_option="basic")
    return builder.build()


@contextmanager
def engine_errors() -> Iterator[None]:
    """Give the engine's failures their type: `OSError` with its number where the system refused, else `StoreError`."""
    try:
        yield
    except ValueError as error:
        number = _NUMBER.search(str(error))
        if number is not None:
            raise OSError(int(number.group(1)), os.strerror(int(number.group(1)))) from error
        if "No space left" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise StoreError(f"The index failed: {error}", hint="Build it again: it is made of the documents.") from error


def _link(before: Path, folder: Path) -> None:
    """Start with the files of another state: none of them ever changes but the two lists, which are copied."""
    for path in before.iterdir():
        if path.suffix == ".lock":
            continue
        if path.suffix == ".json":
            shutil.copyfile(path, folder / path.name)
            continue
        try:
            os.link(path, folder / path.name)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.EMLINK):
                raise
            shutil.copyfile(path, folder / path.name)
