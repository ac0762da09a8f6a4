"""Interactions: one answer that one user got, and what became of it. And what keeps them, as preferences ask for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(micros: int) -> datetime:
    """Give the time that lies so many microseconds behind the epoch (UTC)."""
    return _EPOCH + timedelta(microseconds=micros)


def micros(time: datetime) -> int:
    """Give it back."""
    return (time - _EPOCH) // timedelta(microseconds=1)


class Interaction(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. None is unknown. `feedback` is the word that stands, `value` what it is worth in 0..1."""

    id: str
    timestamp: datetime
    model: str
    user_id: str | None = None
    task_type: str | None = None
    prompt_hash: str | None = None
    """Keyed: equal prompts of one deployment have equal hashes, and nobody else can make them."""
    prompt_length: int | None = None
    """Characters."""
    response_length: int | None = None
    """Characters; four a token where only tokens are known."""
    latency_ms: float | None = None
    feedback: str | None = None
    value: float | None = None
    feedback_timestamp: datetime | None = None
    metadata: dict[str, Any] | None = None


class Mark(msgspec.Struct, frozen=True):
    """What all users of a tenant say of a model at a task."""

    total: float
    """Sum of the values."""
    ratings: int
    users: int


class Evidence(Protocol):
    """Keeps interactions: those told to it, and the recorded calls with their feedback."""

    def interactions(self, tenant: str, user: str | None, *, rated: bool = False) -> Sequence[Interaction]:
        """Give the latest interactions of a user, oldest first; of all users together for None. With `rated` only those with a rating."""
        ...

    def marks(self, tenant: str) -> Mapping[tuple[str, str], Mark]:
        """Give what all users say, by task and model. Tasks as `words.same_task` spells them."""
        ...

    def keep(self, tenant: str, interaction: Interaction) -> Interaction:
        """Keep an interaction, in place of one with the same id; one with the id `""` gets one.

        Raises `Conflict` where that id is another user's.
        """
        ...

    def react(self, tenant: str, id: str, feedback: str, at: datetime, metadata: dict[str, Any] | None) -> Interaction:
        """Keep what is said of an interaction or call; the last word stands. Raises `NotFound`."""
        ...

    def forget(self, tenant: str, user: str) -> int:
        """Forget a user: nothing from before now counts any more. Give how many interactions that were."""
        ...
