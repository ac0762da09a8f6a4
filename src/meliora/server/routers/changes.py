"""Changes: what they are, the edges they took on which evidence, and a person's word on them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field

from meliora.loop.approvals import Approval
from meliora.loop.change import Change
from meliora.loop.shown import ChangeShown
from meliora.loop.states import State
from meliora.server.again import Again
from meliora.server.auth import AdminCaller, HereControl, ReadCaller
from meliora.server.inputs import Body, Cursor, PageLimit
from meliora.server.loop import actor, loop_of
from meliora.server.shapes import Answer, says

router = APIRouter(prefix="/api/v1/changes", tags=["changes"], route_class=Again)


class Word(Body):
    """Why. It is kept with the edge, and never in the audit itself."""

    why: Annotated[str, Field(max_length=500)] = ""


NO_WORD = Word()
"""What a request without a body says."""


class ChangeList(msgspec.Struct, frozen=True):
    """Changes, the newest first."""

    items: tuple[Change, ...]
    next: str | None = None


class Waiting(msgspec.Struct, frozen=True):
    """Requests for an approval, the newest first."""

    items: tuple[Approval, ...]


@router.get("", **says(ChangeList))
def listed(
    caller: ReadCaller,
    control: HereControl,
    state: Annotated[list[State] | None, Query(description="Only those in one of these states.")] = None,
    kind: Annotated[str | None, Query(max_length=100)] = None,
    cycle: Annotated[str | None, Query(max_length=100)] = None,
    limit: PageLimit = 50,
    cursor: Cursor = None,
) -> Answer:
    """List changes, the newest first."""
    page = control.store.changes.list(
        caller.tenant, state=state or (), kind=kind, cycle=cycle, limit=limit, cursor=cursor
    )
    return Answer(ChangeList(page.items, page.next))


@router.get("/approvals", **says(Waiting))
def approvals(caller: ReadCaller, control: HereControl) -> Answer:
    """List what waits for a person."""
    return Answer(Waiting(loop_of(control).desk.waiting(caller.tenant)))


@router.get("/{change_id}", **says(ChangeShown, 404))
def show(change_id: str, caller: ReadCaller, control: HereControl) -> Answer:
    """Show a change with its edges, their evidence, and what its trial measured."""
    return Answer(loop_of(control).desk.change(caller.tenant, change_id))


@router.post("/{change_id}/approve", **says(Approval, 404, 409))
def approve(change_id: str, caller: AdminCaller, control: HereControl, word: Word = NO_WORD) -> Answer:
    """Approve what the change waits for. Who proposed it does not approve it."""
    decided = loop_of(control).desk.decide(caller.tenant, change_id, actor(caller), "approved", word.why)
    control.changed(caller.tenant, caller.key_id, "change.approve", change_id)
    return Answer(decided)


@router.post("/{change_id}/reject", **says(Change, 404, 409))
def reject(change_id: str, caller: AdminCaller, control: HereControl, word: Word = NO_WORD) -> Answer:
    """End a change: a trial is stopped, what was delivered is rolled back."""
    found = loop_of(control).desk.reject(caller.tenant, change_id, actor(caller), word.why)
    control.changed(caller.tenant, caller.key_id, "change.reject", change_id)
    return Answer(found)


@router.post("/{change_id}/rollback", **says(Change, 404, 409))
def rollback(change_id: str, caller: AdminCaller, control: HereControl, word: Word = NO_WORD) -> Answer:
    """Roll a delivered change back."""
    found = loop_of(control).desk.roll_back(caller.tenant, change_id, actor(caller), word.why)
    control.changed(caller.tenant, caller.key_id, "change.roll_back", change_id)
    return Answer(found)


@router.post("/{change_id}/pause", **says(Change, 404, 409))
def pause(change_id: str, caller: AdminCaller, control: HereControl, word: Word = NO_WORD) -> Answer:
    """Hold a change where it stands."""
    found = loop_of(control).desk.pause(caller.tenant, change_id, actor(caller), word.why)
    control.changed(caller.tenant, caller.key_id, "change.pause", change_id)
    return Answer(found)


@router.post("/{change_id}/resume", **says(Change, 404, 409))
def resume(change_id: str, caller: AdminCaller, control: HereControl, word: Word = NO_WORD) -> Answer:
    """Let a paused change go on."""
    found = loop_of(control).desk.go_on(caller.tenant, change_id, actor(caller), word.why)
    control.changed(caller.tenant, caller.key_id, "change.resume", change_id)
    return Answer(found)
