"""What a user likes, read out of their interactions: models by task, style, habits. Each with its confidence and how much is behind it.

Nothing is kept between two readings but the interactions themselves, so that a changed word, an import or an erasure is exact.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from meliora.routing.preferences.belief import PRIOR, Belief, beliefs, best, chance_best
from meliora.routing.preferences.interactions import Interaction, Mark
from meliora.routing.preferences.words import PERIODS, STYLES, Period, length_of, period_of, same_task
from meliora.stats.proportion import wilson

Marks = Mapping[tuple[str, str], Mark]
_STRANGERS = 4
"""Other users whose word weighs as much as the documented prior."""
_SMOOTHING = 2.0
"""Calls that a user's overall habits are worth in a time of day."""
_VERBOSITY = {"short": "concise", "medium": "balanced", "long": "detailed"}


class Learned(msgspec.Struct, frozen=True):
    """A liking. `confidence` is the probability that it is the best of what was seen (against the unseen, where it is the only one)."""

    value: str
    confidence: float
    samples: int
    """Ratings behind it."""


class ModelStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A model at a task, for one user."""

    model: str
    rating: float
    """Expected rating, 0..1."""
    score: float
    """Exponential moving average of the ratings at the learning rate, from the prior 0.5."""
    confidence: float
    """Probability that it is the best of those compared."""
    samples: int


class PreferredModel(msgspec.Struct, frozen=True, kw_only=True):
    """The model a user likes best at a task, and the others."""

    task: str
    model: str
    rating: float
    score: float
    confidence: float
    samples: int
    rated: int
    """Ratings at this task over all models."""
    others: tuple[ModelStanding, ...]


class TaskUse(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what a user does is this."""

    task: str
    count: int
    share: float
    frequency: float
    """The same as an exponential moving average at the learning rate: what is done lately weighs more."""
    confidence: float
    """Lower end of the share's 95% interval."""


class TimePattern(msgspec.Struct, frozen=True, kw_only=True):
    """A time of day, and what is mostly done in it."""

    period: Period
    count: int
    share: float
    task: str
    confidence: float
    """Lower end of the 95% interval of that task's share in this time of day."""


class NextActivity(msgspec.Struct, frozen=True, kw_only=True):
    """What this user will probably ask for next, by what they did at this time of day and at all."""

    task: str
    period: Period
    probability: float
    confidence: float
    """Lower end of the 95% interval; 0 where nothing was seen at this time of day."""
    samples: int
    """Interactions seen at this time of day."""


class LearningStats(msgspec.Struct, frozen=True, kw_only=True):
    """How much was learned, and how well ratings are foretold."""

    interactions: int
    rated: int
    positive: int
    negative: int
    mean_rating: float | None
    learning_rate: float
    predicted: int
    """Ratings, above or below the middle, that earlier ones of the same model and task spoke about."""
    prediction_accuracy: float | None
    """Share of them that was foretold rightly, each by what stood before it; None where there are none."""
    prediction_low: float | None
    prediction_high: float | None
    first: datetime | None
    last: datetime | None


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Everything learned of a user; of all users of the tenant together where `user_id` is null."""

    user_id: str | None
    preferred_models: dict[str, PreferredModel]
    """By task."""
    tone: Learned | None
    length: Learned | None
    """short (under 200 characters), medium (under 1,000) or long."""
    frequent_tasks: tuple[TaskUse, ...]
    time_patterns: tuple[TimePattern, ...]
    next_activity: NextActivity | None
    learning_stats: LearningStats


def profile(
    user: str | None, seen: Sequence[Interaction], marks: Marks, *, rate: float, now: datetime, utc_offset: float = 0.0
) -> Profile:
    """Read everything out of a user's interactions, oldest first. `utc_offset` is the user's clock minus UTC, in hours."""
    here = timedelta(hours=utc_offset)
    style = styles(seen, rate)
    return Profile(
        user_id=user,
        preferred_models={
            found.task: found for task in tasks_of(seen) if (found := preferred(seen, marks, task, rate)) is not None
        },
        tone=style["tone"],
        length=_favourite(_rated_lengths(seen), rate),
        frequent_tasks=_frequent(seen, rate),
        time_patterns=_patterns(seen, here),
        next_activity=next_activity(seen, now + here, here),
        learning_stats=learning_stats(seen, rate),
    )


def tasks_of(seen: Sequence[Interaction]) -> dict[str, str]:
    """Give the tasks seen, and for each the name it was called by most."""
    names: dict[str, Counter[str]] = defaultdict(Counter)
    for one in seen:
        names[same_task(one.task_type)][one.task_type or "chat"] += 1
    return {task: counted.most_common(1)[0][0] for task, counted in names.items()}


def ratings_at(seen: Sequence[Interaction], task: str) -> dict[str, list[float]]:
    """Give the ratings of each model at a task, oldest first."""
    found: dict[str, list[float]] = defaultdict(list)
    for one in rated(seen):
        if same_task(one.task_type) == task and one.value is not None:
            found[one.model].append(one.value)
    return found


def rated(seen: Sequence[Interaction]) -> list[Interaction]:
    """Give the interactions that have a rating, in the order of their last word."""
    return sorted(
        (one for one in seen if one.value is not None), key=lambda one: one.feedback_timestamp or one.timestamp
    )


def others_say(marks: Marks, task: str, own: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Give what other users say of each model at a task, drawn to the prior where they are few; without a user's `own` ratings."""
    found = {}
    for (at, model), mark in marks.items():
        mine = own.get(model, ())
        ratings, users = mark.ratings - len(mine), mark.users - bool(mine)
        if at == task and ratings > 0 and users > 0:
            mean = min(1.0, max(0.0, (mark.total - sum(mine)) / ratings))
            found[model] = PRIOR + (mean - PRIOR) * users / (users + _STRANGERS)
    return found


def standings(
    seen: Sequence[Interaction], marks: Marks, task: str, rate: float, models: Sequence[str] | None = None
) -> tuple[Belief, ...]:
    """Give what is believed of the models rated at a task, or of exactly those given."""
    own = ratings_at(seen, task)
    compared = own if models is None else {model: own.get(model, []) for model in models}
    return beliefs(compared, others_say(marks, task, own), rate=rate)


def preferred(seen: Sequence[Interaction], marks: Marks, task: str, rate: float) -> PreferredModel | None:
    """Give the model that a user likes best at a task; None without ratings, or where the only model rated is disliked."""
    task = same_task(task)
    believed = standings(seen, marks, task, rate)
    if not believed or (len(believed) == 1 and believed[0].mean < PRIOR):
        return None
    own = ratings_at(seen, task)
    chances = dict(zip((one.name for one in believed), chance_best(believed), strict=True))
    ranked = {
        one.name: ModelStanding(
            model=one.name,
            rating=_share(one.mean),
            score=moving_average(own[one.name], rate),
            confidence=chances[one.name],
            samples=one.count,
        )
        for one in sorted(believed, key=lambda one: -one.mean)
    }
    first = ranked.pop(best(believed).name)
    return PreferredModel(
        **msgspec.structs.asdict(first),
        task=tasks_of(seen)[task],
        rated=sum(one.count for one in believed),
        others=tuple(ranked.values()),
    )


def moving_average(values: Sequence[float], rate: float) -> float:
    """Give (1 - rate) * old + rate * new over all values, from the prior 0.5."""
    score = PRIOR
    for value in values:
        score = (1 - rate) * score + rate * value
    return score


def styles(seen: Sequence[Interaction], rate: float) -> dict[str, Learned | None]:
    """Give the style a user likes, by the metadata of what was rated; verbosity by the answers' length where nothing names it."""
    found: dict[str, Learned | None] = {}
    for name in STYLES:
        groups: dict[str, list[float]] = defaultdict(list)
        for one in rated(seen):
            told = (one.metadata or {}).get(name)
            if isinstance(told, str) and told and one.value is not None:
                groups[told].append(one.value)
        if name == "verbosity" and not groups:
            groups.update({_VERBOSITY[length]: values for length, values in _rated_lengths(seen).items()})
        found[name] = _favourite(groups, rate)
    return found


def next_activity(seen: Sequence[Interaction], now: datetime, here: timedelta = timedelta()) -> NextActivity | None:
    """Say what a user will probably do now; None where nothing was seen. `now` and `here` are of the user's clock."""
    if not seen:
        return None
    period = period_of(now)
    names = tasks_of(seen)
    overall = Counter(same_task(one.task_type) for one in seen)
    then = Counter(same_task(one.task_type) for one in seen if period_of(one.timestamp + here) == period)
    n = then.total()
    chances = {
        task: (then[task] + _SMOOTHING * count / len(seen)) / (n + _SMOOTHING) for task, count in overall.items()
    }
    task = max(chances, key=lambda task: (chances[task], task))
    return NextActivity(
        task=names[task],
        period=period,
        probability=chances[task],
        confidence=wilson(then[task], n)[0],
        samples=n,
    )


def learning_stats(seen: Sequence[Interaction], rate: float) -> LearningStats:
    """Count, and check each rating against what the earlier ones of the same model and task foretold."""
    told = rated(seen)
    values = [one.value for one in told if one.value is not None]
    before: dict[tuple[str, str], list[float]] = defaultdict(list)
    right = predicted = 0
    for one, value in zip(told, values, strict=True):
        earlier = before[same_task(one.task_type), one.model]
        leaning = sum(earlier) - PRIOR * len(earlier)
        if leaning and value != PRIOR:
            predicted += 1
            right += (leaning > 0) == (value > PRIOR)
        earlier.append(value)
    low, high = wilson(right, predicted)
    return LearningStats(
        interactions=len(seen),
        rated=len(values),
        positive=sum(value > PRIOR for value in values),
        negative=sum(value < PRIOR for value in values),
        mean_rating=sum(values) / len(values) if values else None,
        learning_rate=rate,
        predicted=predicted,
        prediction_accuracy=right / predicted if predicted else None,
        prediction_low=low if predicted else None,
        prediction_high=high if predicted else None,
        first=seen[0].timestamp if seen else None,
        last=seen[-1].timestamp if seen else None,
    )


def _favourite(groups: Mapping[str, Sequence[float]], rate: float) -> Learned | None:
    believed = beliefs(groups, rate=rate)
    if not believed or (len(believed) == 1 and believed[0].mean < PRIOR):
        return None
    liked = best(believed)
    return Learned(liked.name, chance_best(believed)[believed.index(liked)], liked.count)


def _rated_lengths(seen: Sequence[Interaction]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for one in rated(seen):
        if one.response_length is not None and one.value is not None:
            found[length_of(one.response_length)].append(one.value)
    return found


def _frequent(seen: Sequence[Interaction], rate: float) -> tuple[TaskUse, ...]:
    names = tasks_of(seen)
    order = [same_task(one.task_type) for one in seen]
    counts = Counter(order)
    lately = dict.fromkeys(counts, 0.0)
    for task in order:
        for name in lately:
            lately[name] = (1 - rate) * lately[name] + rate * (name == task)
    return tuple(
        TaskUse(
            task=names[task],
            count=count,
            share=count / len(seen),
            frequency=lately[task],
            confidence=wilson(count, len(seen))[0],
        )
        for task, count in counts.most_common()
    )


def _patterns(seen: Sequence[Interaction], here: timedelta) -> tuple[TimePattern, ...]:
    names = tasks_of(seen)
    by_period: dict[Period, Counter[str]] = defaultdict(Counter)
    for one in seen:
        by_period[period_of(one.timestamp + here)][same_task(one.task_type)] += 1
    found = []
    for period in PERIODS:
        counts = by_period.get(period)
        if counts:
            task, most = counts.most_common(1)[0]
            n = counts.total()
            share = n / len(seen)
            low = wilson(most, n)[0]
            found.append(TimePattern(period=period, count=n, share=share, task=names[task], confidence=low))
    return tuple(found)


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
