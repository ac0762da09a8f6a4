"""Preferences as one object: take what users do and say, give what they like. `PreferenceTracker` is the documented async class.

Knows no database: what it needs it asks for by the protocol `Evidence`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from meliora.errors import InvalidRequest
from meliora.routing.preferences.belief import best, chance_best, sampled
from meliora.routing.preferences.interactions import Evidence, Interaction
from meliora.routing.preferences.model_stats import ModelStats, model_stats
from meliora.routing.preferences.offsets import Offsets, offsets
from meliora.routing.preferences.profile import (
    Learned,
    LearningStats,
    Marks,
    ModelStanding,
    NextActivity,
    PreferredModel,
    Profile,
    learning_stats,
    moving_average,
    next_activity,
    preferred,
    profile,
    ratings_at,
    standings,
    styles,
)
from meliora.routing.preferences.words import WORTH, same_task, task_of

MARKS_SECONDS = 300.0
"""How old the look at what other users say may be."""
EXPORT_FORMAT = 1


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """Which model to use for a user, by what they like."""

    model: str
    task_type: str
    confidence: float
    """Probability that it is the one this user likes best of those compared."""
    samples: int
    """Their ratings of it at this task."""
    explored: bool
    """Another one is believed better; this one is shown to learn."""
    reason: str
    compared: tuple[ModelStanding, ...]


class PreferenceStats(msgspec.Struct, frozen=True, kw_only=True):
    """How models do for a user, and how much was learned."""

    user_id: str | None
    models: tuple[ModelStats, ...]
    learning: LearningStats


class PreferredSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a user likes answers written. None where nothing is known."""

    tone: Learned | None
    length: Learned | None
    verbosity: Learned | None
    code_style: Learned | None
    explanation_depth: Learned | None


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """All that preferences are learned from, to be kept or imported elsewhere."""

    format: int = EXPORT_FORMAT
    user_id: str | None = None
    interactions: tuple[Interaction, ...] = ()


class Preferences:
    """What users like, read from the evidence at each question; only the word of all users together is remembered for a while."""

    def __init__(
        self,
        evidence: Evidence,
        rate: float,
        now: Callable[[], datetime],
        source: random.Random | None = None,
    ) -> None:
        """Raises `InvalidRequest` for a learning rate outside 0..1."""
        if not 0 <= rate <= 1:
            raise InvalidRequest(
                f"The learning rate is {rate}.", hint="Write a number from 0 to 1.", field="learning_rate"
            )
        self._evidence = evidence
        self._rate = rate
        self._now = now
        self._source = source or random.Random()
        self._marks: dict[str, tuple[datetime, Marks]] = {}

    def profile(self, tenant: str, user: str | None, utc_offset: float = 0.0) -> Profile:
        """Give everything learned of a user, or of all together."""
        seen = self._evidence.interactions(tenant, user)
        return profile(user, seen, self._said(tenant), rate=self._rate, now=self._now(), utc_offset=utc_offset)

    def preferred(self, tenant: str, user: str | None, task: str) -> PreferredModel | None:
        """Give the model a user likes best at a task; None where nothing speaks for any."""
        return preferred(self._evidence.interactions(tenant, user, rated=True), self._said(tenant), task, self._rate)

    def settings(self, tenant: str, user: str | None) -> PreferredSettings:
        """Give how a user likes answers written."""
        seen = self._evidence.interactions(tenant, user, rated=True)
        found = profile(user, seen, {}, rate=self._rate, now=self._now())
        style = styles(seen, self._rate)
        return PreferredSettings(**style, length=found.length)

    def next_activity(self, tenant: str, user: str | None) -> NextActivity | None:
        """Say what a user will probably do now."""
        return next_activity(self._evidence.interactions(tenant, user), self._now())

    def recommend(
        self,
        tenant: str,
        user: str | None,
        *,
        models: Sequence[str] = (),
        offered: Sequence[str] = (),
        task: str | None = None,
        prompt: str | None = None,
        explore: bool = False,
    ) -> Recommendation:
        """Choose a model for a task, which is recognised in `prompt` if need be.

        Among `models`; without any, among those rated at this task; where none was, among those `offered`.

        With `explore` the choice is drawn by Thompson sampling, so that what might be better is tried while it may be. Raises
        `InvalidRequest` where there is nothing to choose from.
        """
        named = task or task_of(prompt or "")
        wanted = same_task(named)
        seen = self._evidence.interactions(tenant, user, rated=True)
        own = ratings_at(seen, wanted)
        among = list(dict.fromkeys(models or (() if own else offered))) or None
        believed = standings(seen, self._said(tenant), wanted, self._rate, among)
        if not believed:
            raise InvalidRequest(
                "There is no model to choose from: none is named, and none has been rated at this task.",
                hint="Name the models to choose from.",
                field="models",
            )
        likeliest = best(believed)
        chosen = sampled(believed, self._source) if explore else likeliest
        chances = dict(zip((one.name for one in believed), chance_best(believed), strict=True))
        rated = sum(one.count for one in believed)
        return Recommendation(
            model=chosen.name,
            task_type=named,
            confidence=chances[chosen.name],
            samples=chosen.count,
            explored=chosen is not likeliest,
            reason=_reason(chosen is not likeliest, rated, named),
            compared=tuple(
                ModelStanding(
                    model=one.name,
                    rating=min(1.0, max(0.0, one.mean)),
                    score=moving_average(own.get(one.name, []), self._rate),
                    confidence=chances[one.name],
                    samples=one.count,
                )
                for one in sorted(believed, key=lambda one: -one.mean)
            ),
        )

    def offsets(self, tenant: str, user: str, largest: float) -> Offsets:
        """Give what a user's liking adds to each model at each task, as the gateways will have it within seconds."""
        seen = self._evidence.interactions(tenant, user, rated=True)
        return offsets(seen, self._said(tenant), rate=self._rate, largest=largest)

    def stats(self, tenant: str, user: str | None) -> PreferenceStats:
        """Give how models do for a user."""
        seen = self._evidence.interactions(tenant, user)
        return PreferenceStats(user_id=user, models=model_stats(seen), learning=learning_stats(seen, self._rate))

    def keep(self, tenant: str, interaction: Interaction) -> Interaction:
        """Keep an interaction, what its feedback is worth filled in. Raises `InvalidRequest` for a word that is none, `Conflict`."""
        value = None if interaction.feedback is None else worth(interaction.feedback)
        said = None if value is None else interaction.feedback_timestamp or self._now()
        return self._evidence.keep(tenant, msgspec.structs.replace(interaction, value=value, feedback_timestamp=said))

    def react(self, tenant: str, id: str, feedback: str, metadata: dict[str, Any] | None = None) -> Interaction:
        """Keep what is said of an interaction or a call; the last word stands. Raises `InvalidRequest`, `NotFound`."""
        worth(feedback)
        return self._evidence.react(tenant, id, feedback, self._now(), metadata)

    def exported(self, tenant: str, user: str | None) -> Exported:
        """Give all that is learned from."""
        return Exported(user_id=user, interactions=tuple(self._evidence.interactions(tenant, user)))

    def imported(self, tenant: str, given: Sequence[Interaction]) -> int:
        """Keep exported interactions; those that are there already are replaced, so that a repeated import changes nothing."""
        for one in given:
            if one.feedback is not None:
                worth(one.feedback)
        for one in given:
            self.keep(tenant, one)
        return len(given)

    def forget(self, tenant: str, user: str) -> int:
        """Forget what was learned of a user; gives how many interactions that were."""
        return self._evidence.forget(tenant, user)

    def _said(self, tenant: str) -> Marks:
        now = self._now()
        held = self._marks.get(tenant)
        if held is None or not 0 <= (now - held[0]).total_seconds() < MARKS_SECONDS:
            held = self._marks[tenant] = (now, self._evidence.marks(tenant))
        return held[1]


class PreferenceTracker:
    """The documented class: learn what users like from their feedback. One tenant's; ids may be numbers or texts."""

    def __init__(
        self,
        db_session: Evidence,
        learning_rate: float = 0.1,
        *,
        tenant: str = "default",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`db_session` is where interactions are kept: `Store.preferences`, or anything else that is `Evidence`."""
        self._evidence = db_session
        self._preferences = Preferences(db_session, learning_rate, now)
        self._tenant = tenant
        self._now = now

    async def track_feedback(
        self,
        user_id: int | str,
        message_id: int | str,
        feedback_type: str,
        model_used: str,
        task_type: str,
        response_length: int | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Interaction:
        """Keep what a user says of a message; said again, the last word stands. Raises `InvalidRequest` for a word that is none."""
        given = Interaction(
            id=message_key(str(user_id), str(message_id)),
            timestamp=self._now(),
            user_id=str(user_id),
            model=model_used,
            task_type=task_type,
            response_length=response_length,
            feedback=str(feedback_type),
            metadata=metadata,
        )
        return await asyncio.to_thread(self._preferences.keep, self._tenant, given)

    async def get_preferred_model(self, user_id: int | str, task_type: str) -> str | None:
        """Give the model this user likes best at a task; None where nothing speaks for any."""
        found = await asyncio.to_thread(self._preferences.preferred, self._tenant, str(user_id), task_type)
        return None if found is None else found.model

    async def get_preferred_settings(self, user_id: int | str) -> PreferredSettings:
        """Give how this user likes answers written."""
        return await asyncio.to_thread(self._preferences.settings, self._tenant, str(user_id))

    async def get_preferences(self, user_id: int | str) -> Profile:
        """Give everything learned of this user."""
        return await asyncio.to_thread(self._preferences.profile, self._tenant, str(user_id))

    async def predict_next_activity(self, user_id: int | str) -> NextActivity | None:
        """Say what this user will probably do now; None where nothing was seen."""
        return await asyncio.to_thread(self._preferences.next_activity, self._tenant, str(user_id))


def message_key(user: str, message_id: str) -> str:
    """Give the id under which an application's message is kept."""
    return f"message:{user}:{message_id}"


def worth(feedback: str) -> float:
    """Give what a word of feedback is worth, 0..1. Raises `InvalidRequest` for one that is none."""
    value = WORTH.get(feedback)
    if value is None:
        raise InvalidRequest(
            f"{feedback!r} is no kind of feedback.", hint=f"Kinds: {', '.join(WORTH)}.", field="feedback"
        )
    return value


def _reason(explored: bool, rated: int, task: str) -> str:
    if not rated:
        return (
            f"No rating of these models at {task} yet; others' ratings decide, or the first name where there are none."
        )
    if explored:
        return f"Shown to learn more: {rated} ratings at {task} do not settle which is best."
    return f"The highest expected rating at {task}, by {rated} ratings of this user."
