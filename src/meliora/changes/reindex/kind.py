"""Builds a collection's index again beside the one that serves, holds both against the documents, and switches.

Nothing is split by traffic: an index that lacks documents is wrong for everybody. The one that served is kept to go back to. Its surface
is the index alone: a trial of searches goes on meanwhile, its arms split by snapshots that are both answered by the index that serves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from meliora.changes.comparing import DEPTH, LOSS, gained, held_against
from meliora.changes.manner import Check
from meliora.changes.searching import INDEX, PUT_IN_SERVICE, Collections, meant_of, neither, recommended
from meliora.errors import Conflict
from meliora.knowledge.index.base import IndexHeld
from meliora.knowledge.indexes import Audit, next_generation
from meliora.knowledge.quality.evidence import Evidence
from meliora.knowledge.shelf import Fenced, SnapshotShelf
from meliora.loop.change import Change
from meliora.loop.kind import Figure, Later, Proof, Proposal, TrialPlan, WatchPlan
from meliora.loop.work import Work

RULE = (
    "the index that serves lacks documents, has old versions or deleted ones; the new one is held against the same documents and"
    f" has no such fault; and NDCG@{DEPTH} of the judged queries, where there are any, is not shown to be lower (95%) by more than {LOSS}"
)
TURN_SECONDS = 1.0
"""After which it is tried again where another process writes the index."""
NAMED = 20
"""Ids of faulty documents that are told."""


class Hands(Protocol):
    """Builds and audits indexes on this machine."""

    def audit(self, tenant: str, collection: str, generation: str = "") -> Audit:
        """Hold the serving index, or a built one, against the documents. Raises `NotFound` for a generation that is not here."""
        ...

    def build(self, tenant: str, collection: str, generation: str) -> None:
        """Build a generation; nothing where it is whole already. Raises `IndexHeld` where another process writes the index."""
        ...

    def follow(self, tenant: str, collection: str) -> bool:
        """Let this machine serve the generation that is to serve. Raises `IndexHeld`."""
        ...


class Generations(Protocol):
    """Which generation is to serve."""

    def generation(self, tenant: str, collection: str) -> str:
        """Give it."""
        ...

    def exchange_generation(
        self, tenant: str, collection: str, generation: str, *, instead_of: str, fenced: Fenced
    ) -> bool:
        """Let another serve; False, and nothing changed, where `instead_of` does not."""
        ...


@dataclass(frozen=True, slots=True)
class Workshop:
    """What it works with."""

    generations: Generations
    hands: Hands
    snapshots: SnapshotShelf
    evidence: Evidence
    collections: Collections
    check: Check


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    collection: str
    generation: str
    instead_of: str
    faults: dict[str, int]
    snapshot: int
    """By which both answer in the proof."""


class Reindex:
    """Repairs an index by building it again."""

    name = "reindex"
    surface = INDEX

    def __init__(self, workshop: Workshop) -> None:
        self._shop = workshop

    def propose(self, change: Change, work: Work) -> Proposal | Later | None:
        """Name the next generation of the collection that has faults; None where every index is as its documents are."""
        if recommended(work.finding, self.name) is None:
            return None
        asked = bool(change.payload.get("collection")) and change.origin.kind == "person"
        for collection in meant_of(self._shop.collections(change.tenant), change, work):
            audit = self._shop.hands.audit(change.tenant, collection)
            if not audit.faults and not asked:
                continue
            serving = self._shop.generations.generation(change.tenant, collection)
            candidate = next_generation(serving, change.id)
            wanted = _Wanted(
                collection=collection,
                generation=candidate,
                instead_of=serving,
                faults=_counts(audit),
                snapshot=self._shop.snapshots.serving(change.tenant, collection).number,
            )
            return Proposal(
                target=f"{INDEX}:{collection}",
                summary=f"The index of {collection} built again: {_told(audit)}.",
                payload=msgspec.to_builtins(wanted),
                candidate=candidate,
                baseline=serving,
            )
        return None

    def prove(self, change: Change, work: Work) -> Proof | Later:
        """Build it, and hold both against the documents and the judged queries."""
        wanted = _wanted(change)
        tenant, collection = change.tenant, wanted.collection
        work.progress(0.1, "the index is built")
        try:
            self._shop.hands.build(tenant, collection, wanted.generation)
        except IndexHeld as error:
            return Later(TURN_SECONDS, str(error))
        work.progress(0.8, "the index was built")
        old = self._shop.hands.audit(tenant, collection, wanted.instead_of)
        new = self._shop.hands.audit(tenant, collection, wanted.generation)
        config = self._shop.snapshots.get(tenant, collection, wanted.snapshot).config
        before, after = (
            self._shop.evidence.answering(tenant, collection, config, generation)
            for generation in (wanted.instead_of, wanted.generation)
        )
        compared = held_against(before, after, self._shop.evidence.judged(tenant, collection), work.seed)
        difference = compared.result.difference
        high = compared.result.high
        # Documents that are back also stand before others: some queries lose by them, and few queries tell no more than that.
        worse = difference is not None and difference < -LOSS and high is not None and high < 0
        asked = change.origin.kind == "person"
        good = not new.faults and not worse and (old.faults > 0 or asked)
        if not new.documents:
            good = False
        sentence = f"{_told(old)}; built again: {_told(new)}"
        if difference is not None:
            sentence += f"; NDCG@{DEPTH} {difference:+.4f} on {compared.result.pairs} judged queries"
        return Proof(
            verdict="passed" if good else "inconclusive" if not new.documents else "failed",
            method="both indexes against the documents",
            rule=RULE,
            sentence=sentence,
            data={"collection": collection, "documents": new.documents, "missing": list(old.missing[:NAMED])},
            figures=(
                Figure(name="faults_before", value=float(old.faults), n=old.documents),
                Figure(name="faults_after", value=float(new.faults), n=new.documents),
                gained(compared),
            ),
            baseline=change.baseline,
            seed=work.seed,
        )

    def trial(self, change: Change) -> TrialPlan | None:
        """Give None: an index is right or wrong for everybody."""
        return None

    def rehearse(self, change: Change, work: Work) -> dict[str, Any]:
        """See that the baseline serves and is still there. Raises `Conflict`, `NotFound`. A machine without the new one builds it."""
        wanted = _wanted(change)
        if self.serving(change) != change.baseline:
            raise self._elsewhere(change)
        audit = self._shop.hands.audit(change.tenant, wanted.collection, wanted.instead_of)
        return {"restores": change.baseline, "documents": audit.indexed}

    def deliver(self, change: Change, work: Work) -> str | Later:
        """Let the new generation serve. Raises `Conflict` where something else than the baseline does."""
        wanted = _wanted(change)
        return self._switch(change, wanted.generation, wanted.instead_of, work)

    def undo(self, change: Change, work: Work) -> str | Later | None:
        """Let the old generation serve again."""
        wanted = _wanted(change)
        return self._switch(change, wanted.instead_of, wanted.generation, work)

    def serving(self, change: Change) -> str | None:
        """Read which generation is to serve."""
        return self._shop.generations.generation(change.tenant, _wanted(change).collection)

    def watch(self, change: Change) -> WatchPlan | None:
        """Give None: nobody stays with an index that lacks documents. Its gate looks on, and undoes it where that gets worse."""
        return None

    def _switch(self, change: Change, to: str, instead_of: str, work: Work) -> str | Later:
        collection = _wanted(change).collection
        if self.serving(change) != to:
            fence = self._shop.check(work.fence)
            if not self._shop.generations.exchange_generation(
                change.tenant, collection, to, instead_of=instead_of, fenced=fence
            ):
                raise self._elsewhere(change)
        try:
            self._shop.hands.follow(change.tenant, collection)
        except IndexHeld as error:
            return Later(TURN_SECONDS, str(error))
        return self.serving(change) or ""

    def _elsewhere(self, change: Change) -> Conflict:
        return neither(change, f"Generation {self.serving(change)} serves by now", PUT_IN_SERVICE)


def _wanted(change: Change) -> _Wanted:
    return msgspec.convert(change.payload, _Wanted)


def _counts(audit: Audit) -> dict[str, int]:
    return {"missing": len(audit.missing), "stale": len(audit.stale), "extra": len(audit.extra)}


def _told(audit: Audit) -> str:
    named: Mapping[str, int] = _counts(audit)
    said = ", ".join(f"{count} {name}" for name, count in named.items() if count)
    return f"{said or 'no fault'} of {audit.documents} documents"
