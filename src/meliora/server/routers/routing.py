"""The learned policy of a tenant: its snapshots, what proves them, which one serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import Field

from meliora.loop.states import State
from meliora.routing.learning.records import Outcome, Snapshot
from meliora.routing.learning.scoring import ScorerStatus, standing
from meliora.server.again import Again
from meliora.server.auth import AdminCaller, Caller, HereControl, ReadCaller
from meliora.server.context import Control
from meliora.server.inputs import BIG, Body
from meliora.server.loop import actor
from meliora.server.shapes import Answer, says

if TYPE_CHECKING:
    from meliora.routing.learning.promotion import Bench

router = APIRouter(prefix="/api/v1/routing", tags=["routing"], route_class=Again)

Number = Annotated[int, Path(ge=1, lt=BIG)]
Days = Annotated[float, Field(gt=0, le=3650, allow_inf_nan=False, description="Days of traffic to look at.")]


class Wish(Body):
    """How to look at a candidate before it serves."""

    days: Days = 30.0
    force: bool = Field(default=False, description="Also where it has not proved better; its evidence says so.")


class Look(Body):
    """How to look at a candidate."""

    days: Days = 30.0


class Back(Body):
    """Where to go back to."""

    number: Annotated[int, Field(ge=1, lt=BIG, strict=True)] | None = Field(
        default=None, description="Default: what served before the present policy."
    )


class Begin(Body):
    """How to begin without data."""

    reference: str = Field(
        default="",
        max_length=200,
        description="Model that answers until another is expected to be as good; default: the declared one.",
    )


class SnapshotList(msgspec.Struct, frozen=True):
    """Snapshots, the newest first."""

    items: tuple[Snapshot, ...]


class RoutingStatus(msgspec.Struct, frozen=True):
    """What serves, and what outcomes there are by what their reward came from (`none`: nothing is known of them)."""

    serving: Snapshot | None
    learning: bool
    """False: learning is frozen."""
    outcomes: dict[str, int]
    scorers: tuple[ScorerStatus, ...]
    """Registered scorers; a judge that is not calibrated yet counts for less."""


class Promoted(Snapshot, frozen=True, kw_only=True, omit_defaults=True):
    """The snapshot as it stands now, and the change that is to put it in service."""

    change: str | None = None
    """Missing where policies are not changed by way of the loop."""
    change_state: State | None = None
    """Where the change stands: `watching` and `kept` are in service; a candidate that proved better is tried first."""
    change_reason: str | None = None


class ProofShown(msgspec.Struct, frozen=True):
    """What is known of a candidate beside what serves."""

    number: int
    running: int | None
    """Snapshot that serves; null where none does."""
    method: str
    """`logged`: estimated on recorded traffic; `replay`: on scored prompts; `none`: there is nothing to go by."""
    proved: bool
    verdict: str
    evidence: dict[str, Any]


class Served(msgspec.Struct, frozen=True):
    """What serves now; null where no learned policy does."""

    serving: Snapshot | None


class OutcomeShown(msgspec.Struct, frozen=True):
    """What came of a call's decision. `reward` is null where nothing is known of the answer."""

    call_id: str
    model: str
    task: str | None
    outcome: str
    snapshot: int
    decided_by: str
    explored: bool
    reward: float | None
    weight: float | None
    source: str | None
    scores: dict[str, float | None]
    """By scorer; null where one could not say."""


@router.get("/status", **says(RoutingStatus))
def status(caller: ReadCaller, control: HereControl) -> Answer:
    """Say what serves, and from what it learns."""
    store = control.store
    learning = control.context.settings.learning.enabled
    serving = store.routing_snapshots.serving(caller.tenant)
    scorers = standing(store.outcomes, caller.tenant, control.context.settings.routing.scorers)
    return Answer(RoutingStatus(serving, learning, store.outcomes.counts(caller.tenant), scorers))


@router.get("/snapshots", **says(SnapshotList))
def listed(caller: ReadCaller, control: HereControl, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> Answer:
    """List the snapshots, the newest first."""
    return Answer(SnapshotList(control.store.routing_snapshots.list(caller.tenant, limit=limit)))


@router.get("/snapshots/{number}", **says(Snapshot, 404))
def show(number: Number, caller: ReadCaller, control: HereControl) -> Answer:
    """Show a snapshot and its evidence."""
    return Answer(control.store.routing_snapshots.get(caller.tenant, number))


@router.post("/snapshots/{number}/evaluate", **says(ProofShown, 404, 409))
def evaluate(number: Number, caller: AdminCaller, control: HereControl, look: Look | None = None) -> Answer:
    """Hold a candidate against what serves, on logged traffic or by its replay, and keep what comes out as its evidence."""
    proof = _bench(control, (look or Look()).days).prove(caller.tenant, number)
    return Answer(ProofShown(proof.number, proof.running, proof.method, proof.proved, proof.sentence, proof.evidence))


@router.post("/snapshots/{number}/promote", **says(Promoted, 404, 409))
def promote(number: Number, caller: AdminCaller, control: HereControl, wish: Wish | None = None) -> Answer:
    """Put a candidate in service that has proved better than what serves; 409 for one that has not. By a change of the loop."""
    wished = wish or Wish()
    loop = control.context.loop
    if loop is not None and control.context.settings.loop.enabled:
        proof = _bench(control, wished.days).passed(caller.tenant, number, force=wished.force)
        said = {"snapshot": number, "forced": wished.force}
        found = loop.asked(caller.tenant, actor(caller), "routing_policy", "routing", said)
        snapshot = control.store.routing_snapshots.get(caller.tenant, number)
        detail = {"proved": proof.proved, "forced": wished.force, "change": found.id}
        _changed(control, caller, "routing.promote", snapshot, detail)
        plain = msgspec.structs.asdict(snapshot)
        return Answer(Promoted(**plain, change=found.id, change_state=found.state, change_reason=found.reason))
    snapshot, proof = _bench(control, wished.days).promote(
        caller.tenant, number, force=wished.force, actor=caller.key_id
    )
    _changed(control, caller, "routing.promote", snapshot, {"proved": proof.proved, "forced": wished.force})
    return Answer(Promoted(**msgspec.structs.asdict(snapshot)))


@router.post("/start", **says(Snapshot, 400, 409))
def start(caller: AdminCaller, control: HereControl, begin: Begin | None = None) -> Answer:
    """Begin with a policy that has seen no outcome; 409 where one serves that was fitted or has learned."""
    from meliora.routing.learning.starting import Starting

    context = control.context
    work = Starting(control.store.routing_snapshots, context.offers, context.settings.routing)
    snapshot = work.by_hand(caller.tenant, (begin or Begin()).reference, caller.key_id)
    _changed(control, caller, "routing.start", snapshot, {"reference": snapshot.evidence["reference"]})
    return Answer(snapshot)


@router.post("/rollback", **says(Served, 404, 409))
def rollback(caller: AdminCaller, control: HereControl, back: Back | None = None) -> Answer:
    """Go back to what served before the present policy; what came in until now is not learned anew. Rolls back its change."""
    from meliora.routing.learning.promotion import delivered_by

    said = {"rolled_back_to_by": caller.key_id}
    number = None if back is None else back.number
    loop, shelf = control.context.loop, control.store.routing_snapshots
    change = delivered_by(shelf, caller.tenant) if number is None and loop is not None else None
    if loop is not None and change is not None:
        loop.taken_back(caller.tenant, change, actor(caller), "")
        restored = shelf.serving(caller.tenant)
        _changed(control, caller, "routing.rollback", restored, {"change": change})
        return Answer(Served(restored))
    snapshot = control.store.routing_snapshots.rollback(caller.tenant, number, evidence=said)
    _changed(control, caller, "routing.rollback", snapshot, {})
    return Answer(Served(snapshot))


@router.get("/outcomes/{call_id}", **says(OutcomeShown, 404))
def outcome(call_id: str, caller: ReadCaller, control: HereControl) -> Answer:
    """Show what came of one call's decision, and what it counted for."""
    found = control.store.outcomes.get(caller.tenant, call_id)
    return Answer(_shown(found, control.store.outcomes.scores(caller.tenant, call_id)))


def _shown(found: Outcome, scores: dict[str, float | None]) -> OutcomeShown:
    return OutcomeShown(
        found.call_id,
        found.model,
        found.task,
        found.outcome,
        found.snapshot,
        found.decided_by,
        found.explored,
        found.reward,
        found.weight,
        found.source,
        scores,
    )


def _bench(control: Control, days: float) -> Bench:
    from meliora.routing.learning.promotion import Bench, dial_of

    dial = dial_of(control.context.settings.routing.dial)
    return Bench(control.store.routing_snapshots, control.store.outcomes, dial, control.now_us(), days)


def _changed(
    control: Control, caller: Caller, action: str, snapshot: Snapshot | None, detail: dict[str, object]
) -> None:
    subject = "" if snapshot is None else str(snapshot.number)
    control.changed(caller.tenant, caller.key_id, action, subject, detail)
