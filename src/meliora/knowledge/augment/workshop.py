"""Makes the data set of a collection: of its documents, for the words its searches are weak at, never of what it is tested by.

Methods that ask a model are used only where one is configured. What people searched for is read only where that is wished.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
import structlog

from meliora.errors import Conflict, InvalidRequest, MelioraError
from meliora.knowledge.augment.aims import aims
from meliora.knowledge.augment.examples import ASKING, METHODS, Ask, Method, Source
from meliora.knowledge.augment.make import Made, Means, make
from meliora.knowledge.augment.manifest import DATASET, Origin, Tracked, describe, to_csv
from meliora.knowledge.augment.neighbours import CollectionNeighbours
from meliora.knowledge.augment.quality import ForbiddenQueries
from meliora.knowledge.augment.salient import query_from_document
from meliora.knowledge.augment.shelf import DataSet, DataSetShelf, ToKeepSet
from meliora.knowledge.augment.sources import about, of_passages, of_queries, passages
from meliora.knowledge.config import SearchConfig
from meliora.knowledge.index.base import Stored, View
from meliora.knowledge.quality.chains import judged
from meliora.knowledge.quality.evidence import Evidence, JudgedQuery, normal
from meliora.knowledge.quality.records import Searched, SearchLog
from meliora.knowledge.shelf import DocumentShelf, SnapshotShelf

log = structlog.get_logger(__name__)

FREE: tuple[Method, ...] = tuple(one for one in METHODS if one not in ASKING)
"""Methods that need no model."""
MOST = 5_000
"""Examples of a set."""
MOST_TOKENS = 50
DAYS = 30
"""How far back searches are read."""
_DAY_US = 86_400_000_000


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be made."""

    methods: tuple[Method, ...] = FREE
    tokens: tuple[str, ...] | None = None
    """Words to aim at; None: those that the collection's searches are weak at, all words where there are none."""
    count: int = 200
    seed: int = 1
    searches: bool = False
    """Also of what people searched for and found."""
    calls: int | None = None
    """Most calls of a model; None: as configured, which is never exceeded."""

    def check(self) -> None:
        """Raise `InvalidRequest` naming what is wrong."""
        if not self.methods:
            raise InvalidRequest("No method is named.", hint=f"There are: {', '.join(METHODS)}.", field="methods")
        if not 1 <= self.count <= MOST:
            raise InvalidRequest(f"A set has 1 to {MOST} examples, not {self.count}.", field="count")
        if self.tokens is not None and not all(0 < len(one.strip()) <= 100 for one in self.tokens):
            raise InvalidRequest("A word to aim at has 1 to 100 characters.", field="tokens")
        if self.tokens is not None and len(self.tokens) > MOST_TOKENS:
            raise InvalidRequest(f"{len(self.tokens)} words are aimed at; {MOST_TOKENS} may be.", field="tokens")


class MadeSet(msgspec.Struct, frozen=True, kw_only=True):
    """A data set, and how it came about."""

    dataset: DataSet
    fresh: bool
    """False: the same content was kept before, and is given again."""
    refused: dict[str, int]
    """What did not get into it, by reason; `test_set`: too near to a judged query."""
    lacking: tuple[str, ...]
    """Words aimed at that nothing it is made of has."""
    calls: int
    """Of a model."""
    notes: tuple[str, ...] = ()
    """What could not be done besides."""


class ForTraining(msgspec.Struct, frozen=True, kw_only=True):
    """What a set is made for in place of the collection's own: queries to alter, queries never to come near, who answers."""

    queries: tuple[JudgedQuery, ...]
    held: tuple[str, ...]
    config: SearchConfig
    trigger: str | None = None
    cycle: str | None = None


class Known(Evidence, SearchLog, Protocol):
    """What is known of how good searches are."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """Makes sets and keeps them."""

    sets: DataSetShelf
    documents: DocumentShelf
    snapshots: SnapshotShelf
    evidence: Known
    view: Callable[[str, str], View]
    """The index of a tenant's collection."""
    weak: Callable[[str, str], Sequence[str]]
    """Words that a collection's searches are weak at."""
    now_us: Callable[[], int]
    ask: Ask | None = None
    """None where no model is configured."""
    calls: int = 0
    """Most calls of a model for one set."""
    track: Callable[[str, str, bytes], Tracked | None] = lambda id, name, body: None
    """Hands a file of a set to a data versioner; None where there is none. May raise `MelioraError`."""

    def make(
        self, tenant: str, collection: str, wish: Wish, made_by: str, purpose: ForTraining | None = None
    ) -> MadeSet:
        """Make a set and keep it. The same wish over the same collection comes to the same set, which is kept once.

        Raises `InvalidRequest` for a wish that cannot be met, `NotFound` for an unknown collection, `Conflict` where nothing could be
        made, or where somebody whose words would be in it was erased meanwhile; and what asking a model raises.
        """
        wish.check()
        self.documents.collection(tenant, collection)
        asking = [one for one in wish.methods if one in ASKING]
        if asking and self.ask is None:
            raise InvalidRequest(
                f"{asking[0]} asks a model, and none is configured.",
                hint="Set knowledge.augment.model and knowledge.augment.key, or leave the method out.",
                field="methods",
            )
        read_us, view = self.now_us(), self.view(tenant, collection)
        tokens = self.weak(tenant, collection) if wish.tokens is None else wish.tokens
        targets = tuple(dict.fromkeys(one.strip() for one in tokens))[:MOST_TOKENS]
        ground = self._ground(tenant, collection, view, targets, wish, read_us, purpose)
        made = self._made(tenant, collection, view, ground, wish, purpose)
        if not made.examples:
            raise Conflict(f"Nothing could be made: {_told(made.refused)}.", hint=_hint(ground))
        origin = Origin(
            type="searches" if wish.searches else "documents",
            collection=collection,
            trigger=None if purpose is None else purpose.trigger,
            base_documents=tuple(sorted({one.document for one in made.examples})),
        )
        cycle = None if purpose is None else purpose.cycle
        # A word that nothing here has may be one that a single person searched with: it is told, and not kept.
        held = [one for one in targets if one not in ground.lacking]
        manifest = describe(made, origin, read_us, cycle=cycle, targets=held)
        asked = ground.asked(made)
        notes: list[str] = []
        if not asked:  # what a versioner keeps cannot be erased with a person
            try:
                found = self.track(manifest.dataset_id, DATASET, to_csv(made.examples))
                manifest = msgspec.structs.replace(manifest, dvc=found or Tracked())
            except MelioraError as error:
                log.error("a data set was not versioned", dataset=manifest.dataset_id, error=str(error))
                notes.append(str(error))
        kept = ToKeepSet(
            collection=collection,
            made_by=made_by,
            manifest=manifest,
            examples=made.examples,
            users=tuple(sorted({one.user for one in asked if one.user})),
            searched_us=min((one.at_us for one in asked), default=None),
            read_us=read_us,
        )
        dataset, fresh = self.sets.put(tenant, kept)
        return MadeSet(
            dataset=dataset,
            fresh=fresh,
            refused=manifest.refused,
            lacking=ground.lacking,
            calls=made.calls,
            notes=tuple(notes),
        )

    def _ground(
        self,
        tenant: str,
        collection: str,
        view: View,
        targets: tuple[str, ...],
        wish: Wish,
        read_us: int,
        purpose: ForTraining | None,
    ) -> _Ground:
        aimed = aims(targets) if targets else None
        queries: Sequence[JudgedQuery] = () if purpose is None else purpose.queries
        found: Sequence[Searched] = ()
        if wish.searches:
            since = max(0, read_us - DAYS * _DAY_US)
            found = self.evidence.searches(tenant, collection, since, read_us)
            queries = [*queries, *judged(found)]
        asked = [one for one in of_queries(queries) if aimed is None or any(map(aimed, one.query.split()))]
        if targets:
            stored, lacking = about(self.documents, view, tenant, collection, targets)
            lacking = tuple(
                one for one in lacking if not any(aims((one,))(word) for s in asked for word in s.query.split())
            )
        else:
            stored, lacking = list(passages(self.documents, view, tenant, collection)), ()

        def query(one: Stored) -> str:
            rng = random.Random(f"{wish.seed}\0{one.document}\0{one.number}")
            return query_from_document(one.text, rng, view.frequency, view.passages, targets=targets)

        sources = [*asked, *of_passages(stored, query, aimed)]
        random.Random(wish.seed).shuffle(sources)
        return _Ground(sources, targets, lacking, found)

    def _made(
        self, tenant: str, collection: str, view: View, ground: _Ground, wish: Wish, purpose: ForTraining | None
    ) -> Made:
        if purpose is None:
            config = self.snapshots.serving(tenant, collection).config
            held = [one.text for one in self.evidence.judged(tenant, collection)]
        else:
            config, held = purpose.config, list(purpose.held)
        neighbours = None
        if "synonyms" in wish.methods:
            texts = passages(self.documents, view, tenant, collection)
            neighbours = CollectionNeighbours(one.text for one in texts)
        calls = self.calls if wish.calls is None else min(wish.calls, self.calls)
        means = Means(
            ask=self.ask,
            calls=calls,
            neighbours=neighbours,
            having=view.frequency,
            documents=view.passages,
            found=self.evidence.answering(tenant, collection, config),
        )
        methods = tuple(dict.fromkeys(wish.methods))
        forbidden = ForbiddenQueries(held)
        return make(
            ground.sources,
            methods,
            forbidden,
            means,
            seed=wish.seed,
            targets=ground.targets,
            most=wish.count,
        )


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a set is made of."""

    sources: list[Source]
    targets: tuple[str, ...]
    lacking: tuple[str, ...]
    searches: Sequence[Searched]

    def asked(self, made: Made) -> list[Searched]:
        """Give the searches that something was made of."""
        texts = {normal(one.made_of) for one in made.examples}
        return [one for one in self.searches if normal(one.query) in texts]


def _told(refused: dict[str, int]) -> str:
    return (
        ", ".join(f"{reason} {count}" for reason, count in sorted(refused.items())) or "there is nothing to make it of"
    )


def _hint(ground: _Ground) -> str:
    if ground.lacking:
        return f"No document has: {', '.join(ground.lacking[:10])}."
    return "Index documents, name other words, or other methods."
