"""Calls: the list, and everything that is known of one."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query

from meliora.errors import NotFound
from meliora.server.again import Again
from meliora.server.auth import HereControl, ReadCaller
from meliora.server.inputs import Cursor, Filter, PageLimit, Since, Until
from meliora.server.shapes import Answer, says
from meliora.store import Store
from meliora.store.calls.calls import Call, CallContent, CallFilter, CallState, Tail
from meliora.store.calls.feedbacks import Feedback, FeedbackWord
from meliora.store.cursors import Page

router = APIRouter(prefix="/api/v1/calls", tags=["calls"], route_class=Again)

_Tag = Annotated[str | None, Query(max_length=400, pattern="^[^=]+=", description="`NAME=VALUE`.")]


class CallShown(Call, frozen=True, kw_only=True):
    """A call with what belongs to it. `cost_usd` null: a price or the usage is unknown."""

    cost_usd: float | None
    recorded: CallContent | None
    """Request and answer, as far as they are kept."""
    feedback: Feedback | None
    feedback_history: tuple[FeedbackWord, ...]


@router.get("", **says(Page[Call]))
def listed(
    caller: ReadCaller,
    control: HereControl,
    model: Filter = None,
    user: Filter = None,
    session: Filter = None,
    key_id: Filter = None,
    state: CallState | None = None,
    outcome: Literal["ok", "error", "cancelled"] | None = None,
    status: Annotated[int | None, Query(ge=100, le=599)] = None,
    tag: _Tag = None,
    since: Since = None,
    until: Until = None,
    limit: PageLimit = 50,
    cursor: Cursor = None,
) -> Answer:
    """List calls, the newest first."""
    name, _, value = (tag or "").partition("=")
    where = CallFilter(
        model=model,
        user=user,
        session=session,
        key_id=key_id,
        state=state,
        outcome=outcome,
        status=status,
        tag=(name, value) if tag else None,
        since_us=since,
        until_us=until,
    )
    return Answer(control.store.calls.list(caller.tenant, where, limit=limit, cursor=cursor))


@router.get("/tail", **says(Tail))
def tail(
    caller: ReadCaller,
    control: HereControl,
    after: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
    limit: PageLimit = 100,
) -> Answer:
    """Give what was ingested after `after`, oldest first; without it the last calls."""
    return Answer(control.store.calls.tail(caller.tenant, after, limit=limit))


@router.get("/{call_id}", **says(CallShown, 404))
def show(call_id: str, caller: ReadCaller, control: HereControl) -> Answer:
    """Show a call: what was chosen and why, every attempt, tokens, cost, content if kept, feedback."""
    return Answer(shown(control.store, caller.tenant, call_id))


def shown(store: Store, tenant: str, call_id: str) -> CallShown:
    """Gather what is known of a call. Raises `NotFound`."""
    call = store.calls.get(tenant, call_id)
    return CallShown(
        **msgspec.structs.asdict(call),
        cost_usd=None if call.cost_micros is None else call.cost_micros / 1e6,
        recorded=_content(store, tenant, call_id),
        feedback=_feedback(store, tenant, call_id),
        feedback_history=store.feedbacks.history(tenant, call_id),
    )


def _content(store: Store, tenant: str, call_id: str) -> CallContent | None:
    try:
        return store.calls.content(tenant, call_id)
    except NotFound:
        return None


def _feedback(store: Store, tenant: str, call_id: str) -> Feedback | None:
    try:
        return store.feedbacks.get(tenant, call_id)
    except NotFound:
        return None
