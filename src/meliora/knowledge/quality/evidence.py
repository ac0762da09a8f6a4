"""What is known of how good searches are, as a proof asks for it: queries with graded documents, and how a configuration answers them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Literal, Protocol

import msgspec

from meliora.knowledge.config import SearchConfig

Half = Literal["fitted", "held"]
"""What may be learned from, and what proves."""


class JudgedQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A query, and how well documents answer it."""

    id: str
    text: str
    grades: Mapping[str, float]
    """By document, above 0 for those that answer; others answer not, as far as is known."""
    origin: Literal["judged", "used"]
    """From a frozen set of judgments, or from what people used."""
    at_us: int = 0
    """When it was last asked; 0 for judgments."""
    weight: float = 1.0
    """How often it is asked, as far as that is to count."""
    again: bool = False
    """What answers it was not picked by the order that serves: it was found in other words, or by an older query that is the same but for
    words that no passage has."""
    people: frozenset[str] = frozenset()
    """Who asked it, and who used what answers it (`records.Searched.person`); empty for judgments."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A query, and a document that somebody used for it: at once, or after putting it in other words."""

    query: str
    document: str
    weight: float
    """Corrected for the position at which it was shown; 1 for one that is sure to be a good answer."""
    again: str = ""
    """The other words, where it was found by those."""
    at_us: int = 0


class Evidence(Protocol):
    """Reads it. All methods raise `StoreError`."""

    def judged(self, tenant: str, collection: str) -> Sequence[JudgedQuery]:
        """Give the newest frozen set of judgments; empty where there is none."""
        ...

    def used(self, tenant: str, collection: str, since_us: int, until_us: int) -> Sequence[JudgedQuery]:
        """Give the queries of a stretch of time that people found an answer to, at once or by other words."""
        ...

    def pairs(self, tenant: str, collection: str, since_us: int, until_us: int) -> Sequence[Pair]:
        """Give what people used in a stretch of time."""
        ...

    def answering(
        self,
        tenant: str,
        collection: str,
        config: SearchConfig,
        generation: str = "",
        unkept: Mapping[str, bytes] | None = None,
    ) -> Callable[[str], Sequence[str]]:
        """Give what answers a query by a configuration: document ids, best first.

        `generation`: of the index, built but not serving. `unkept`: artifacts that are only tried, by the names the configuration has.
        """
        ...


def half(query: str, salt: str) -> Half:
    """Say in which half a query is: the same words always in the same one, so that what is proved was not learned by heart."""
    digest = sha256(f"{salt}\0{normal(query)}".encode("utf-8", "surrogatepass")).digest()
    return "fitted" if digest[0] & 1 else "held"


def normal(query: str) -> str:
    """Give a query without case and spaces that mean nothing: what is equal then is the same query."""
    return " ".join(query.casefold().split())


def fingerprint(query: str) -> str:
    """Give six hex digits of a query: enough to know one of some thousands again by, too few to tell which query it was."""
    return sha256(normal(query).encode("utf-8", "surrogatepass")).hexdigest()[:6]
