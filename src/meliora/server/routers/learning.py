"""`GET /api/v1/learning/preferences`: everything that was learned of what a user likes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from meliora.routing.preferences.profile import Profile
from meliora.server.auth import HereControl, ReadCaller
from meliora.server.inputs import Filter
from meliora.server.shapes import Answer, says

router = APIRouter(prefix="/api/v1/learning", tags=["preferences"])


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
