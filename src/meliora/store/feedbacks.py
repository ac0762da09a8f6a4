"""What people say about an answer. One current word a call, the last stands; each is kept in the history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from meliora.store.cursors import Page

VALUES = {
    "thumbs_up": 1.0,
    "thumbs_down": 0.0,
    "rating_1": 0.2,
    "rating_2": 0.4,
    "rating_3": 0.6,
    "rating_4": 0.8,
    "rating_5": 1.0,
}
"""Kinds of feedback and what each is worth."""


class FeedbackGiven(msgspec.Struct, frozen=True, kw_only=True):
    """What arrives: exactly one of the three ids, the kind, and what the application wants to add."""

    feedback_type: str
    call_id: str | None = None
    message_id: str | None = None
    response_id: str | None = None
    user_id: str | None = None
    model_used: str | None = None
    task_type: str | None = None
    response_length: int | None = None
    comment: str | None = None
    metadata: dict[str, Any] | None = None


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """What stands. `pending`: the call is genuine, and not ingested yet. Times in microseconds UTC."""

    id: int
    tenant: str
    call_id: str
    message_id: str | None
    user_id: str | None
    feedback_type: str
    value: float
    model_used: str | None
    task_type: str | None
    response_length: int | None
    comment: str | None
    metadata: dict[str, Any] | None
    pending: bool
    created_us: int
    updated_us: int


class FeedbackWord(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the history of a call."""

    feedback_type: str
    value: float
    user_id: str | None
    comment: str | None
    metadata: dict[str, Any] | None
    given_us: int


class Unseen(Protocol):
    """Knows the calls that lie in the spool and are not ingested yet."""

    def find(self, tenant: str, *, message_id: str | None, response_id: str | None) -> str | None:
        """Give the id of the newest such call, or None."""
        ...


class Feedbacks:
    """Take feedback and give it back."""

    def __init__(
        self,
        engine: sa.Engine,
        clock_us: Callable[[], int],
        issued: Callable[[str], bool],
        unseen: Unseen | None = None,
    ) -> None:
        self._engine = engine
        self._clock_us = clock_us
        self._issued = issued
        self._unseen = unseen

    def give(self, tenant: str, given: FeedbackGiven) -> Feedback:
        """Take one word, replacing what stood; `model_used` and `task_type` default to the call's.

        A call id that this deployment made but has not ingested is kept pending and linked at ingest.
        Raises `NotFound` for an id that never existed or is another tenant's, `InvalidRequest` for an unknown kind,
        or none or several ids.
        """
        raise NotImplementedError

    def get(self, tenant: str, call_id: str) -> Feedback:
        """Give what stands for a call. Raises `NotFound`."""
        raise NotImplementedError

    def history(self, tenant: str, call_id: str) -> tuple[FeedbackWord, ...]:
        """Give all that was said about a call, oldest first; empty where nothing was."""
        raise NotImplementedError

    def list(
        self,
        tenant: str,
        *,
        user: str | None = None,
        model: str | None = None,
        task: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Feedback]:
        """Give what stands, the last given first; at most 500."""
        raise NotImplementedError
