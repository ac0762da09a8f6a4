"""The loop under its documented paths: how it stands, what it did, do it now, start and stop, roll back, and its gates."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import Field

from meliora.loop.change import Change, Environment
from meliora.loop.control import Acks
from meliora.loop.desk import Target
from meliora.loop.gates.board import GateRow
from meliora.loop.report import LoopReport
from meliora.loop.report_page import markdown
from meliora.loop.shown import CycleShown, History, Status, Triggered
from meliora.server.again import Again
from meliora.server.auth import AdminCaller, HereControl, ReadCaller
from meliora.server.inputs import Body, Cursor, PageLimit, Since, Until
from meliora.server.loop import actor, for_operators, loop_of
from meliora.server.shapes import Answer, says

router = APIRouter(prefix="/api/v1/optimizer", tags=["optimizer"], route_class=Again)

WEEK_US = 7 * 86_400_000_000

Why = Annotated[str, Field(max_length=500, description="Kept with it, for whoever asks later.")]


class Trigger(Body):
    """Look at the gates now."""

    force: bool = Field(default=False, description="Begin a cycle also where every gate holds.")
    target: Target = Field(default="all", description="Which changes may come of it.")


class Rollback(Body):
    """Roll back what was delivered last, or what replaced `to_version`."""

    environment: Environment
    to_version: Annotated[str, Field(max_length=200)] | None = None
    why: Why = ""


class Reason(Body):
    """Why."""

    why: Why = ""


NOTHING, NO_REASON = Trigger(), Reason()
"""What a request without a body says."""


class RunState(msgspec.Struct, frozen=True):
    """Whether the loop begins things now, and whether that is new."""

    is_running: bool
    changed: bool


class Killed(msgspec.Struct, frozen=True):
    """The kill switch's turn, to be acknowledged by every process (`GET /api/v1/optimizer/kill`)."""

    halted: bool
    epoch: int


class Gates(msgspec.Struct, frozen=True):
    """The gates, and how each stands."""

    status: Literal["passing", "near", "failing", "no_data"]
    items: tuple[GateRow, ...]


class Metrics(msgspec.Struct, frozen=True):
    """The last value of each gate's metric, by name, null where there is no data; and the state of each gate."""

    metrics: dict[str, float | None]
    gates: dict[str, str]


def _either(shape: type[msgspec.Struct]) -> dict[str, Any]:
    """Describe a route that answers in JSON, or in Markdown where that is asked for."""
    described = says(shape)
    described["responses"][200]["content"]["text/markdown"] = {"schema": {"type": "string"}}
    return described


@router.get("/status", **says(Status))
def status(caller: ReadCaller, control: HereControl) -> Answer:
    """Say how the loop stands."""
    return Answer(loop_of(control).desk.status(caller.tenant))


@router.post("/trigger", **says(Triggered, 409))
def trigger(caller: AdminCaller, control: HereControl, wish: Trigger = NOTHING) -> Answer:
    """Look at the gates now, and with `force` begin a cycle whatever they say. What it brings is shown once it was measured."""
    made = loop_of(control).desk.trigger(caller.tenant, actor(caller), force=wish.force, target=wish.target)
    if made.cycle_id is not None:
        control.changed(caller.tenant, caller.key_id, "loop.trigger", made.cycle_id, {"force": wish.force})
    return Answer(made)


@router.get("/metrics", **says(Metrics))
def metrics(caller: ReadCaller, control: HereControl) -> Answer:
    """Give what the gates measured last."""
    board = loop_of(control).board
    states = {row.name: row.standing.state for row in board.status(caller.tenant)}
    return Answer(Metrics(board.last(caller.tenant), states))


@router.get("/history", **says(History))
def history(caller: ReadCaller, control: HereControl, limit: PageLimit = 50, cursor: Cursor = None) -> Answer:
    """Give all that was ever done, the newest first."""
    return Answer(loop_of(control).desk.history(caller.tenant, limit=limit, cursor=cursor))


@router.get("/cycles/{cycle_id}", **says(CycleShown, 404))
def cycle(cycle_id: str, caller: ReadCaller, control: HereControl) -> Answer:
    """Show a cycle: its actions, and what they brought as far as it was measured."""
    return Answer(loop_of(control).desk.cycle(caller.tenant, cycle_id))


@router.get("/report", **_either(LoopReport))
def reported(
    caller: ReadCaller,
    control: HereControl,
    since: Since = None,
    until: Until = None,
    format: Annotated[Literal["json", "md"], Query(description="`md`: as Markdown, for people.")] = "json",
) -> Response:
    """Report on a time, the last seven days by default: cycles, times, cost, improvements as measured, what comes next."""
    end = control.now_us() if until is None else until
    found = loop_of(control).reports.of(caller.tenant, end - WEEK_US if since is None else since, end)
    return Answer(found) if format == "json" else Response(markdown(found), media_type="text/markdown")


@router.get("/quality-gates", **says(Gates))
def gates(caller: ReadCaller, control: HereControl) -> Answer:
    """List the gates and how each stands."""
    loop = loop_of(control)
    return Answer(Gates(loop.desk.gates.overall(caller.tenant), loop.board.status(caller.tenant)))


@router.post("/quality-gates/{metric}", **says(GateRow, 404))
def set_gate(
    metric: str,
    caller: AdminCaller,
    control: HereControl,
    threshold: Annotated[float, Query(description="The new bound, in the metric's unit.")],
) -> Answer:
    """Set the bound of the gate of this name, or of the one gate on this metric. It keeps its direction."""
    row = loop_of(control).desk.set_threshold(caller.tenant, actor(caller), metric, threshold)
    control.changed(caller.tenant, caller.key_id, "gate.set", row.name, {"threshold": threshold})
    return Answer(row)


@router.post("/start", **says(RunState, 409))
def start(caller: AdminCaller, control: HereControl) -> Answer:
    """Let the loop begin things. It is one loop however often it is started."""
    for_operators(control, caller, "start")
    changed = loop_of(control).desk.start(actor(caller))
    return Answer(RunState(True, changed))


@router.post("/stop", **says(RunState))
def stop(caller: AdminCaller, control: HereControl) -> Answer:
    """Let the loop begin nothing new; what is under way goes on."""
    for_operators(control, caller, "stop")
    changed = loop_of(control).desk.stop(actor(caller))
    return Answer(RunState(False, changed))


@router.post("/rollback", **says(Change, 404, 409))
def rollback(wish: Rollback, caller: AdminCaller, control: HereControl) -> Answer:
    """Roll back what was delivered last, or what replaced a version."""
    desk = loop_of(control).desk
    change = desk.rollback(
        caller.tenant, actor(caller), environment=wish.environment, to_version=wish.to_version, why=wish.why
    )
    control.changed(caller.tenant, caller.key_id, "change.roll_back", change.id)
    return Answer(change)


@router.post("/kill", **says(Killed))
def kill(caller: AdminCaller, control: HereControl, reason: Reason = NO_REASON) -> Answer:
    """All traffic to the baselines, nothing learned or explored, every edge stopped but rollback: in every process."""
    for_operators(control, caller, "kill")
    epoch = loop_of(control).desk.kill(actor(caller), reason.why)
    control.changed(caller.tenant, caller.key_id, "loop.kill", str(epoch))
    return Answer(Killed(True, epoch))


@router.post("/resume", **says(Killed))
def resume(caller: AdminCaller, control: HereControl, reason: Reason = NO_REASON) -> Answer:
    """Take the kill switch back."""
    for_operators(control, caller, "resume")
    epoch = loop_of(control).desk.resume(actor(caller), reason.why)
    control.changed(caller.tenant, caller.key_id, "loop.resume", str(epoch))
    return Answer(Killed(False, epoch))


@router.get("/kill", **says(Acks))
def acks(caller: ReadCaller, control: HereControl) -> Answer:
    """Say which processes have acknowledged the last turn of the kill switch, and how long each took."""
    for_operators(control, caller, "look at the processes of")
    return Answer(loop_of(control).desk.switch.acks())
