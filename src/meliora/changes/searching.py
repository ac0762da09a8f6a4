"""What all changes of a collection's search configuration share: a candidate is a snapshot, proved on queries, switched by one pointer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from meliora.changes.manner import Check, Manner
from meliora.errors import Conflict, InvalidRequest, NotFound
from meliora.knowledge.config import SearchConfig, Snapshot
from meliora.knowledge.quality.evidence import Evidence, JudgedQuery
from meliora.knowledge.shelf import Fenced, SnapshotShelf
from meliora.loop.change import Change
from meliora.loop.kind import Guardrail, Later, Proof, Proposal, TrialPlan, WatchPlan
from meliora.loop.work import Work

SURFACE = "search"
"""One change at a time is tried or watched on the searches of a tenant."""
INDEX = "index"
"""What searches read. Both arms of a trial, and a holdback, read one index: what mends it waits for none of them."""
DAY_US = 86_400_000_000
TRIED = 0.05
"""Share of the satisfied searches that a candidate may lose in its trial: that it gains was proved on queries with a known answer, and
who finds anything, or asks again, is satisfied, so that most of a gain cannot be seen there."""
PUT_IN_SERVICE = "`meliora knowledge show` tells it. What somebody put in service is not touched."
"""Hint where something serves that no change knows of."""


class Collections(Protocol):
    """Which collections a tenant has."""

    def __call__(self, tenant: str, /) -> Sequence[str]:
        """Give their names."""
        ...


@dataclass(frozen=True, slots=True)
class Plane:
    """What a change of searches works with."""

    shelf: SnapshotShelf
    evidence: Evidence
    collections: Collections
    check: Check
    manner: Manner = field(default_factory=Manner)
    days: float = 30.0
    """How much of what people used is read."""

    def has(self, tenant: str, artifact: str) -> bool:
        """Tell whether an artifact is kept: the erasure of somebody from whom it was learned puts another in its place."""
        try:
            self.shelf.artifact(tenant, artifact)
        except NotFound:
            return False
        return True


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The payload: which snapshot of which collection, in place of which."""

    collection: str
    snapshot: int
    instead_of: int
    forced: bool = False
    """On a person's word: without a trial."""
    notes: dict[str, Any] = {}
    """Numbers and hashes of how it was made; no content."""


class _Noted(msgspec.Struct, frozen=True):
    """A candidate that was made, as the checkpoint has it."""

    collection: str
    instead_of: int
    config: SearchConfig
    summary: str
    notes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """A candidate, and how it was made."""

    config: SearchConfig
    summary: str
    notes: Mapping[str, Any] = field(default_factory=dict)


class SnapshotChange:
    """A change whose candidate is another snapshot. A kind says how it is made (`make`) and how it is proved (`compare`)."""

    name = ""
    surface = SURFACE

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    def make(self, change: Change, work: Work, collection: str, serving: Snapshot) -> Made | Later | None:
        """Give a candidate; None where this kind has nothing to offer."""
        raise NotImplementedError

    def compare(self, change: Change, work: Work, wanted: Wanted, configs: tuple[SearchConfig, SearchConfig]) -> Proof:
        """Hold the candidate (second) against the baseline (first)."""
        raise NotImplementedError

    def propose(self, change: Change, work: Work) -> Proposal | Later | None:
        """Keep a candidate under a number of its own; what an earlier attempt kept is taken again. Raises `NotFound`."""
        collection = self._collection(change, work)
        if collection is None:
            return None
        shelf, tenant = self._plane.shelf, change.tenant
        serving = shelf.serving(tenant, collection)
        made = self._made(change, work, collection, serving)
        if made is None or isinstance(made, Later):
            return made
        if made.config == serving.config:
            return None
        candidate = self._named(change, collection) or shelf.add(tenant, collection, made.config, change.id)
        if candidate.number == serving.number:
            return None
        forced = bool(change.payload.get("forced")) and change.origin.kind == "person"
        wanted = Wanted(
            collection=collection,
            snapshot=candidate.number,
            instead_of=serving.number,
            forced=forced,
            notes=dict(made.notes),
        )
        return Proposal(
            target=f"search:{collection}",
            summary=f"{made.summary}, in place of {version(serving.number)}.",
            payload=msgspec.to_builtins(wanted),
            candidate=version(candidate.number),
            baseline=version(serving.number),
        )

    def _made(self, change: Change, work: Work, collection: str, serving: Snapshot) -> Made | Later | None:
        """Give the candidate that somebody named, that an earlier attempt noted, or a new one: noted before it is kept."""
        named = self._named(change, collection)
        if named is not None:
            return Made(named.config, f"Search snapshot {named.number} of {collection}")
        kept = msgspec.convert(work.checkpoint["made"], _Noted) if "made" in work.checkpoint else None
        same = kept is not None and (kept.collection, kept.instead_of) == (collection, serving.number)
        if kept is not None and same and all(self._plane.has(change.tenant, one) for one in kept.config.artifacts):
            return Made(kept.config, kept.summary, kept.notes)
        made = self.make(change, work, collection, serving)
        if isinstance(made, Made):
            noted = _Noted(collection, serving.number, made.config, made.summary, dict(made.notes))
            work.progress(0.9, "a candidate was made", {"made": msgspec.to_builtins(noted)})
        return made

    def _named(self, change: Change, collection: str) -> Snapshot | None:
        said = change.payload.get("snapshot")
        if said is None:
            return None
        if isinstance(said, bool) or not isinstance(said, int) or said < 0:
            raise InvalidRequest(f"{said!r} is no number of a snapshot.", field="snapshot")
        return self._plane.shelf.get(change.tenant, collection, said)

    def prove(self, change: Change, work: Work) -> Proof | Later:
        """Answer the same queries by both, as the kind has it. A forced one stands on a person's word where that does not pass."""
        wanted = wanted_of(change)
        shelf = self._plane.shelf
        before, after = (
            shelf.get(change.tenant, wanted.collection, number).config
            for number in (wanted.instead_of, wanted.snapshot)
        )
        found = self.compare(change, work, wanted, (before, after))
        if wanted.forced and found.verdict != "passed":
            said = f"it stands on a person's word: {found.sentence}"
            return msgspec.structs.replace(found, verdict="passed", sentence=said)
        return found

    def trial(self, change: Change) -> TrialPlan | None:
        """Answer the candidate's arm by its snapshot: not to satisfy fewer people, since it was proved. None for a forced one."""
        wanted = wanted_of(change)
        if wanted.forced:
            return None
        plan = self._plane.manner.trial
        rails = _rails(self._plane, but="satisfied")
        overlay = _overlay(wanted, wanted.snapshot)
        return msgspec.structs.replace(
            plan, overlay=overlay, primary="satisfied", margin=TRIED, guardrails=rails, shadow=False
        )

    def rehearse(self, change: Change, work: Work) -> dict[str, Any]:
        """See that the baseline serves, and that all that either takes is there. Raises `Conflict`, `NotFound`."""
        wanted = wanted_of(change)
        known_of(self._plane.collections(change.tenant), wanted.collection)
        if self.serving(change) != change.baseline:
            raise self._elsewhere(change)
        shelf = self._plane.shelf
        for number in (wanted.instead_of, wanted.snapshot):
            for artifact in shelf.get(change.tenant, wanted.collection, number).config.artifacts:
                shelf.artifact(change.tenant, artifact)
        return {"restores": change.baseline, "candidate": change.candidate}

    def deliver(self, change: Change, work: Work) -> str | Later:
        """Let the candidate serve. Raises `Conflict` where something else than the baseline does."""
        wanted = wanted_of(change)
        return self._switch(change, wanted.snapshot, wanted.instead_of, work)

    def undo(self, change: Change, work: Work) -> str | Later | None:
        """Let the baseline serve again. Raises `Conflict` where something else than the candidate does."""
        wanted = wanted_of(change)
        return self._switch(change, wanted.instead_of, wanted.snapshot, work)

    def serving(self, change: Change) -> str | None:
        """Read which snapshot serves."""
        return version(self._plane.shelf.serving(change.tenant, wanted_of(change).collection).number)

    def watch(self, change: Change) -> WatchPlan | None:
        """Keep the holdback on the baseline's snapshot."""
        wanted = wanted_of(change)
        plan = self._plane.manner.watch
        return msgspec.structs.replace(
            plan, overlay=_overlay(wanted, wanted.instead_of), guardrails=_rails(self._plane, but="")
        )

    def _switch(self, change: Change, to: int, instead_of: int, work: Work) -> str:
        collection = wanted_of(change).collection
        if self.serving(change) != version(to):
            fence: Fenced = self._plane.check(work.fence)
            if not self._plane.shelf.exchange(change.tenant, collection, to, instead_of=instead_of, fenced=fence):
                raise self._elsewhere(change)
        return self.serving(change) or ""

    def _collection(self, change: Change, work: Work) -> str | None:
        """Give the collection that is meant: named, of the finding, or the only one there is."""
        meant = meant_of(self._plane.collections(change.tenant), change, work)
        return meant[0] if len(meant) == 1 else None

    def _elsewhere(self, change: Change) -> Conflict:
        return neither(change, f"{self.serving(change)} answers by now", PUT_IN_SERVICE)


def wanted_of(change: Change) -> Wanted:
    """Read the payload of a proposed change."""
    return msgspec.convert(change.payload, Wanted)


def known_of(known: Sequence[str], collection: str) -> str:
    """Give a collection that there is. Raises `NotFound`."""
    if collection not in known:
        raise NotFound(f"There is no collection {collection!r}.", hint=f"There are: {', '.join(known) or 'none'}.")
    return collection


def meant_of(known: Sequence[str], change: Change, work: Work) -> Sequence[str]:
    """Give the collections to look at: the one that the change or its finding names, else all. Raises `NotFound`."""
    said = change.payload.get("collection") or (work.finding or {}).get("collection")
    return (known_of(known, str(said)),) if said else known


def known_queries(
    evidence: Evidence, tenant: str, collection: str, *, until_us: int, days: float
) -> Sequence[JudgedQuery]:
    """Give the queries whose answer is known: those that people judged, and those whose results they used in the days before."""
    used = evidence.used(tenant, collection, max(0, until_us - round(days * DAY_US)), until_us)
    return [*evidence.judged(tenant, collection), *used]


def neither(change: Change, stands: str, hint: str) -> Conflict:
    """Give the error for what is as neither the baseline nor the candidate has it; `stands` says how it is."""
    return Conflict(
        f"{stands}, which is neither the baseline ({change.baseline}) nor the candidate ({change.candidate}).",
        hint=hint,
    )


def version(number: int) -> str:
    """Give the name of a snapshot as changes have it."""
    return f"search-{number}"


def recommended(finding: Mapping[str, Any] | None, kind: str) -> Mapping[str, Any] | None:
    """Give what a finding says of a kind; None where it recommends others, or nothing. Without a finding everything is open."""
    said = (finding or {}).get("recommended")
    if said is None:
        return {}
    return next((one for one in said if one["kind"] == kind), None)


def _overlay(wanted: Wanted, number: int) -> dict[str, Any]:
    return {"search": {"collection": wanted.collection, "snapshot": number}}


def _rails(plane: Plane, but: str) -> tuple[Guardrail, ...]:
    """Give what must not get worse. A search costs nothing by itself; `satisfied` counts every search, so silence is no way to win."""
    margins = plane.manner.margins
    known = (
        Guardrail(metric="satisfied", margin=margins.reward, relative=False),
        Guardrail(metric="error_rate", margin=margins.error_rate, relative=False),
        Guardrail(metric="latency_p95", margin=margins.latency_p95),
    )
    return tuple(one for one in known if one.metric != but)
