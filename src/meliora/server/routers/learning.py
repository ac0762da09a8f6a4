"""`/api/v1/learning`: everything that was learned of what a user likes, and the events of learning."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from meliora.routing.preferences.profile import Profile
from meliora.server.again import Again
from meliora.server.auth import HereControl, ReadCaller
from meliora.server.inputs import Cursor, Filter, PageLimit
from meliora.server.shapes import Answer, says
from meliora.store.cursors import Page
from meliora.store.loop.learning_events import LearningEvent, LearningKind

router = APIRouter(prefix="/api/v1/learning", tags=["preferences"], route_class=Again)


@router.get("/events", **says(Page[LearningEvent]))
def events(
    caller: ReadCaller,
    control: HereControl,
    event_type: LearningKind | None = None,
    limit: PageLimit = 50,
    cursor: Cursor = None,
) -> Answer:
    """List what was learned, the newest first: preferences that moved, patterns found, improvements kept or taken back.

    `impact_score` is null where nothing was measured.
    """
    page = control.store.learning_events.list(caller.tenant, event_type=event_type, limit=limit, cursor=cursor)
    return Answer(page)


@router.get("/preferences", **says(Profile))
def preferences(
    caller: ReadCaller,
    control: HereControl,
    user_id: Filter = None,
    utc_offset: Annotated[float, Query(ge=-12, le=14, description="The user's clock minus UTC, in hours.")] = 0.0,
) -> Answer:
    """Show a user's preferred models by task, tone, length, frequent tasks, times of day and next activity, and how sure each is.

    Without `user_id`: what all users of the tenant like together.
    """
    return Answer(control.preferences.profile(caller.tenant, user_id, utc_offset))
