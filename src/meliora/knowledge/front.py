"""The knowledge plane as one object for whoever talks to it. Built by `runtime`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol

import msgspec

from meliora.errors import Conflict, InvalidRequest, NotFound, StoreError
from meliora.knowledge.answers import Answer
from meliora.knowledge.augment.workshop import Workshop
from meliora.knowledge.config import SearchConfig
from meliora.knowledge.documents import Document
from meliora.knowledge.index.base import IndexHeld
from meliora.knowledge.indexes import Audit, Indexes, next_generation
from meliora.knowledge.library import Library, Taken
from meliora.knowledge.memory.memory import Memory
from meliora.knowledge.quality.evidence import Evidence
from meliora.knowledge.quality.records import SearchLog
from meliora.knowledge.search.explaining import ExplainedSearch, Method, explain
from meliora.knowledge.search.parts import Ranker
from meliora.knowledge.search.searcher import Request, search
from meliora.knowledge.service import Knowledge
from meliora.knowledge.serving import Who
from meliora.knowledge.shelf import Collection, DocumentShelf, GenerationShelf, JudgmentShelf, SnapshotShelf
from meliora.knowledge.upkeep.keeper import Keeper

DEFAULT = "default"
"""The collection that is meant where none is named."""

KNOWN_SECONDS = 1.0
"""For how long it is believed that a collection is there."""

Said = Literal["click", "accept", "reject", "rating"]


class Opinion(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody did with, or said of, a search's answer."""

    search: str
    said: Said
    document: str | None = None
    """None: of the answer as a whole."""
    value: float | None = None
    """0..1, of a rating."""
    position: int | None = None
    user: str | None = None


class Opinions(Protocol):
    """Keeps what people say of searches. The store implements it."""

    def give(self, tenant: str, opinion: Opinion) -> None:
        """Keep an opinion. Raises `NotFound` for a search that is not known."""
        ...


class Shelf(DocumentShelf, GenerationShelf, Protocol):
    """Documents, and which generation of their index is to serve."""


class Known(Evidence, SearchLog, Protocol):
    """What is known of how good searches are."""


class CollectionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a collection stands."""

    collection: Collection
    configuration: SearchConfig
    generation: str
    """Of the index on this machine."""
    passages: int
    indexed: int
    """Documents in the index on this machine."""
    behind: int
    """Numbers of changes that it has not come to yet; 0: it is up to date."""


@dataclass(frozen=True, slots=True)
class Plane:
    """All of it."""

    shelf: Shelf
    snapshots: SnapshotShelf
    library: Library
    indexes: Indexes
    searches: Knowledge
    opinions: Opinions
    keeper: Keeper
    judgments: JudgmentShelf
    evidence: Known
    workshop: Workshop
    """Makes data sets of queries, and keeps them."""
    memory: Memory | None = None
    """None where conversations are not kept."""
    closing: Callable[[], None] = lambda: None
    pass_on: Callable[[], None] = lambda: None
    """Closes what searches are written to, so that it is taken in and goes; the next search begins another."""
    rest: Callable[[], None] = lambda: None
    """The same where it is old; a process that answers searches does it now and then, whether any come or not."""
    obey: Callable[[bool], None] = lambda halted: None
    """Takes a turn of the kill switch: from then on every search goes by it."""
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    _seen: dict[tuple[str, str], float] = field(default_factory=dict)

    def check(self, tenant: str, collection: str) -> None:
        """Raise `NotFound` for an unknown collection. With the store away, what was there stays known."""
        seen, now = self._seen.get((tenant, collection)), self.monotonic()
        if seen is not None and 0 <= now - seen < KNOWN_SECONDS:
            return
        try:
            self.shelf.collection(tenant, collection)
        except StoreError:
            if seen is None:
                raise
            return
        except NotFound:
            self._seen.pop((tenant, collection), None)
            raise
        self._seen[tenant, collection] = now

    def drop(self, tenant: str, collection: str) -> int:
        """Delete a collection with all that is in it, its index on this machine too; give how many documents that were.

        An index that is being written is left to the worker, which removes it a minute later.
        """
        self.shelf.collection(tenant, collection)
        gone = self.shelf.drop(tenant, collection)
        self._seen.pop((tenant, collection), None)
        with suppress(IndexHeld):
            self.indexes.forget(tenant, collection)
        return gone

    def put(self, tenant: str, collection: str, documents: Iterable[Document], wait: float = 0.0) -> tuple[Taken, bool]:
        """Keep documents, and wait at most so many seconds until this machine's index has them; say whether it has."""
        taken = self.library.put(tenant, collection, documents)
        return taken, self.caught_up(tenant, collection, taken.latest, wait)

    def caught_up(self, tenant: str, collection: str, seq: int, wait: float = 0.0) -> bool:
        """Tell whether the index of this machine has come to a change, after waiting for it."""
        until = self.monotonic() + wait
        while True:
            if self.indexes.view(tenant, collection).watermark >= seq:
                return True
            if self.monotonic() >= until:
                return False
            self.sleep(0.05)

    def delete(self, tenant: str, collection: str, ids: Sequence[str]) -> int:
        """Delete documents for good. Raises `NotFound` for an unknown collection."""
        self.shelf.collection(tenant, collection)
        return self.shelf.delete(tenant, collection, ids)

    def status(self, tenant: str, collection: str) -> CollectionStatus:
        """Tell how a collection stands on this machine. Raises `NotFound`."""
        kept = self.shelf.collection(tenant, collection)
        view = self.indexes.view(tenant, collection)
        return CollectionStatus(
            collection=kept,
            configuration=self.snapshots.serving(tenant, collection).config,
            generation=view.generation,
            passages=view.passages,
            indexed=view.documents,
            behind=max(0, kept.latest - view.watermark),
        )

    def audit(self, tenant: str, collection: str) -> Audit:
        """Hold the index of this machine against the documents. Raises `NotFound`."""
        self.shelf.collection(tenant, collection)
        return self.indexes.audit(tenant, collection)

    def follow(self, tenant: str, collection: str) -> None:
        """Take up all that has changed, here and now. Raises `IndexHeld` where another process is at it."""
        while self.indexes.follow(tenant, collection):
            pass

    def bring_up(self, tenant: str, collection: str, seq: int, wait: float) -> bool:
        """Take up what has changed; where another process is at it, wait at most so many seconds for it or for one's own turn.

        Says whether the index of this machine has come to a change.
        """
        with suppress(IndexHeld):
            self._in_turn(lambda: self.follow(tenant, collection), wait)
        return self.caught_up(tenant, collection, seq)

    def _in_turn(self, act: Callable[[], object], wait: float) -> None:
        """Do what needs the index for itself.

        Raises `IndexHeld` where another process still has it after so many seconds, `StoreError` for a full disk.
        """
        until = self.monotonic() + wait
        while True:
            try:
                act()
                return
            except IndexHeld:
                if self.monotonic() >= until:
                    raise
            except OSError as error:
                raise StoreError(
                    f"The index cannot be written: {error.strerror or error}. What served serves on.",
                    hint="Make room on its disk. The documents are kept; the index takes them up then.",
                ) from error
            self.sleep(0.05)

    def opine(self, who: Who, opinion: Opinion) -> None:
        """Keep what somebody says of a search. Raises `InvalidRequest`, `NotFound`."""
        if (opinion.said == "rating") != (opinion.value is not None):
            raise InvalidRequest("A rating has a value from 0 to 1, and nothing else has.", field="value")
        if opinion.value is not None and not 0 <= opinion.value <= 1:
            raise InvalidRequest(f"The value {opinion.value} is not from 0 to 1.", field="value")
        if opinion.said == "click" and opinion.document is None:
            raise InvalidRequest("A click is on a document.", field="document")
        self.opinions.give(who.tenant, opinion)

    def look(self, tenant: str, collection: str, request: Request) -> Answer:
        """Search without a record, and in no arm of a trial."""
        view = self.indexes.view(tenant, collection)
        snapshot = self.searches.serving.serving(tenant, collection)
        return search(request, view, snapshot, self.searches.serving.parts(tenant, collection, snapshot, view))

    def explain(
        self, tenant: str, collection: str, request: Request, document: str | None = None, method: Method = "shap"
    ) -> ExplainedSearch:
        """Answer with reasons, without a record; tell the place of a document. Raises what `explaining.explain` does."""
        view = self.indexes.view(tenant, collection)
        snapshot = self.searches.serving.serving(tenant, collection)
        parts = self.searches.serving.parts(tenant, collection, snapshot, view)
        return explain(request, view, snapshot, parts, document, method)

    def ranker(self, tenant: str, collection: str) -> tuple[Ranker | None, dict[str, str]]:
        """Give the reranker that serves a collection, None where none does; with it, why one that should could not be loaded."""
        view = self.indexes.view(tenant, collection)
        snapshot = self.searches.serving.serving(tenant, collection)
        parts = self.searches.serving.parts(tenant, collection, snapshot, view)
        return parts.ranker, {name: why for name, why in parts.missing.items() if name == "reranking"}

    def rebuild(self, tenant: str, collection: str, wait: float = 0.0) -> str:
        """Build the index again on this machine and let it serve, on a person's word; give its generation.

        Raises `IndexHeld` where another process has the index for longer than `wait` seconds, `Conflict` where it was built meanwhile.
        """
        self.shelf.collection(tenant, collection)
        serving = self.shelf.generation(tenant, collection)
        made = next_generation(serving, "by-hand")
        self._in_turn(lambda: self.indexes.build(tenant, collection, made), wait)
        if not self.shelf.exchange_generation(tenant, collection, made, instead_of=serving):
            raise Conflict(
                f"Another generation than {serving} serves {collection} by now.", hint="Look, and try again."
            )
        self._in_turn(lambda: self.follow(tenant, collection), wait)
        return made

    def close(self) -> None:
        """Let go of what is open."""
        self.closing()

    def configure(self, tenant: str, collection: str, number: int, instead_of: int) -> None:
        """Let a kept snapshot serve, on a person's word. Raises `Conflict` where something else serves by now."""
        if not self.snapshots.exchange(tenant, collection, number, instead_of=instead_of):
            now = self.snapshots.serving(tenant, collection).number
            raise Conflict(f"Snapshot {now} of {collection} serves, not {instead_of}.")
