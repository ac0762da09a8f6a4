"""A made query: what it was made of and how, and the document that answers it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

Method = Literal["typo", "eda", "synonyms", "query_from_document", "paraphrase", "back_translation", "query_generation"]
METHODS: tuple[Method, ...] = (
    "typo",
    "eda",
    "synonyms",
    "query_from_document",
    "paraphrase",
    "back_translation",
    "query_generation",
)
ASKING: frozenset[Method] = frozenset({"paraphrase", "back_translation", "query_generation"})
"""Methods that ask a model."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What an example is made of: a query with a document that answers it, or a document alone."""

    document: str
    query: str = ""
    text: str = ""
    """Of the document, for those methods that read it."""


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A made query."""

    query: str
    document: str
    made_of: str
    """The query or the beginning of the text that it was made of."""
    method: Method
    quality: float = 0.0
    """In [0, 1]."""


class Ask(Protocol):
    """Asks a model, under a key of its own."""

    def __call__(self, prompt: str, /) -> str:
        """Give its answer. Raises `MelioraError`."""
        ...


class Neighbours(Protocol):
    """Words that stand where a word stands, in the collection's own texts."""

    def __call__(self, word: str, /) -> Sequence[str]:
        """Give them, the nearest first; empty where none is known."""
        ...
