"""What an index can be asked, and how it follows its documents. An adapter for each engine; the stages know no engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from meliora.errors import Conflict
from meliora.knowledge.config import Leg
from meliora.knowledge.documents import Changed, Mark, Metadata
from meliora.knowledge.filters import Filter


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A query as an index is asked: analysed, repaired, expanded."""

    terms: Mapping[str, float]
    """Analysed words with weights, those added by repair and expansion among them."""
    grams: Mapping[str, float] = {}
    """Character n-grams with weights."""
    text: str = ""
    """Its words as written, repaired: what a provider's embedding is made of."""


class Hit(msgspec.Struct, frozen=True):
    """A passage that a leg found."""

    passage: str
    """`DOCUMENT#NUMBER`."""
    score: float


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What an index keeps of a passage to show and rerank it by."""

    document: str
    number: int
    title: str
    text: str
    start: int
    end: int
    terms: tuple[str, ...]
    """Analysed words of the text in their order."""
    title_terms: tuple[str, ...] = ()
    source: str = ""
    metadata: Metadata = {}
    marks: tuple[Mark, ...] = ()
    updated_us: int = 0


class View(Protocol):
    """An index as it stands at one moment: what is applied later does not show in it. Safe to use from several threads."""

    generation: str
    watermark: int
    """`seq` of the last change that it holds."""
    passages: int
    documents: int
    average_length: float
    """Words a passage."""
    fitted: bool
    """Whether its vectors are made of its own documents, and of no model."""

    def retrieve(self, leg: Leg, asked: Asked, limit: int, where: Filter | None = None) -> Sequence[Hit]:
        """Give the best passages, best first; ties by id. Nothing where the query has nothing that the leg could use.

        Raises `InvalidRequest` for a filter on a field that no document has.
        """
        ...

    def stored(self, passages: Sequence[str]) -> Sequence[Stored | None]:
        """Give what is kept of passages, in the order asked for; None for one that is not here."""
        ...

    def frequency(self, term: str) -> int:
        """Give in how many passages an analysed word stands."""
        ...

    def written(self) -> Mapping[str, int]:
        """Give every word as it is written (lower case, not analysed further) with the passages that have it: what spelling knows."""
        ...

    def vocabulary(self) -> Mapping[str, int]:
        """Give every analysed word with its frequency. May be large: it is made once a view and kept."""
        ...

    def vector(self, terms: Mapping[str, float]) -> Sequence[float] | None:
        """Give the dense vector of analysed words, of length 1; None where none of them is known."""
        ...

    def similarity(self, terms: Mapping[str, float], passages: Sequence[str]) -> Sequence[float]:
        """Give the cosine of the query's and each passage's vector; 0 where there is none."""
        ...

    def hashes(self) -> Iterator[tuple[str, str]]:
        """Give the id and hash of every document that it holds: what an audit compares with the store."""
        ...


class Index(Protocol):
    """An index that can be written to, by one writer at a time."""

    def view(self) -> View:
        """Give what serves now."""
        ...

    def apply(self, changes: Sequence[Changed], generation: str = "") -> int:
        """Take changes up, all or none of them, and give the new watermark. The same changes again come to the same.

        With `generation` a built one takes them, which goes on not to serve. Raises `NotFound` where there is no whole one of that
        name, `IndexHeld` where another writer has it, `OSError` for a full disk: what served goes on to serve.
        """
        ...

    def build(self, documents: Iterable[Changed], generation: str, upto: int = 0) -> None:
        """Build a whole new generation beside the one that serves; it serves nothing yet.

        `upto` is the change to which the documents are complete, which may be a deletion that is told no more.
        """
        ...

    def built(self, generation: str) -> View:
        """Give a built generation, whether it serves or not. Raises `NotFound` where there is no whole one of that name."""
        ...

    def switch(self, generation: str) -> None:
        """Let a built generation serve, at once and whole. Raises `NotFound` where there is no whole one of that name."""
        ...


class IndexHeld(Conflict):
    """Another writer holds the index: it stands as it was, and one's turn comes."""

    code = "index_held"


class Outdated(Conflict):
    """The index stands before changes that are told no more, or after all there are: it must be built again."""

    code = "index_outdated"


class Feed(Protocol):
    """The documents of a collection as their index follows them. The store implements it."""

    def changes(self, tenant: str, collection: str, after: int, limit: int, *, begun: int = 0) -> Sequence[Changed]:
        """Give the changes with a greater `seq`, in order, fewer than asked for where texts are long; for a document that changed
        twice, the last.

        Old deletions are forgotten in time: who reads everything from 0 names what `latest` was then as `begun`, and need not hear
        of them. Raises `Outdated` where an index stands before them, or after all that there is: it must be built again.
        """
        ...

    def latest(self, tenant: str, collection: str) -> int:
        """Give the greatest `seq`; 0 for none."""
        ...
