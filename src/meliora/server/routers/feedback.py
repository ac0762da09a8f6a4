"""Feedback on answers, by call id or by the application's own message id."""

from __future__ import annotations

from typing import Literal

import msgspec
from fastapi import APIRouter
from pydantic import Field

from meliora.server.again import Again
from meliora.server.auth import FeedbackCaller, HereControl, ReadCaller
from meliora.server.inputs import Body, Count, Cursor, Filter, Id, JsonObject, LongText, Name, PageLimit
from meliora.server.shapes import Answer, says
from meliora.store.calls.feedbacks import Feedback, FeedbackGiven, FeedbackWord
from meliora.store.cursors import Page

router = APIRouter(prefix="/api/v1/learning/feedback", tags=["feedback"], route_class=Again)

FeedbackType = Literal["thumbs_up", "thumbs_down", "rating_1", "rating_2", "rating_3", "rating_4", "rating_5"]


class FeedbackFields(Body):
    """What someone says of an answer. Exactly one of `call_id`, `message_id` and `response_id`."""

    feedback_type: FeedbackType = Field(
        description="thumbs_up is worth 1, thumbs_down 0, rating_1 to rating_5 0.2 to 1."
    )
    message_id: Id | None = Field(default=None, description="The application's own id, sent with the call.")
    call_id: Id | None = Field(default=None, description="`x-meliora-call` of the answer.")
    response_id: Id | None = Field(default=None, description="The id inside the answer.")
    user_id: Id | None = None
    model_used: Name | None = Field(default=None, description="Default: the model that answered.")
    task_type: Name | None = Field(default=None, description="Default: the task that was recognised.")
    response_length: Count | None = None
    comment: LongText | None = None
    metadata: JsonObject | None = None


class FeedbackHistory(msgspec.Struct, frozen=True):
    """What stands for a call, and all that was said, oldest first."""

    feedback: Feedback
    history: tuple[FeedbackWord, ...]


@router.post("", **says(Feedback, 404))
def give(fields: FeedbackFields, caller: FeedbackCaller, control: HereControl) -> Answer:
    """Give feedback, at once or days later. The last word on a call stands; the history is kept."""
    return Answer(control.store.feedbacks.give(caller.tenant, FeedbackGiven(**fields.model_dump())))


@router.get("", **says(Page[Feedback]))
def listed(
    caller: ReadCaller,
    control: HereControl,
    user: Filter = None,
    model: Filter = None,
    task: Filter = None,
    limit: PageLimit = 50,
    cursor: Cursor = None,
) -> Answer:
    """List what stands, the last given first."""
    page = control.store.feedbacks.list(caller.tenant, user=user, model=model, task=task, limit=limit, cursor=cursor)
    return Answer(page)


@router.get("/{call_id}", **says(FeedbackHistory, 404))
def show(call_id: str, caller: ReadCaller, control: HereControl) -> Answer:
    """Show what stands for a call and the history of it."""
    stands = control.store.feedbacks.get(caller.tenant, call_id)
    return Answer(FeedbackHistory(stands, control.store.feedbacks.history(caller.tenant, call_id)))
