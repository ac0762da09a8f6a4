"""How models do for a user, as documented: uses, verdicts, latency, success rate and a score. For people to read, not to choose by.

The score rewards use, so that what is chosen by it is chosen again; `profile.preferred` and `belief` choose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from meliora.routing.preferences.belief import PRIOR
from meliora.routing.preferences.interactions import Interaction

_MANY, _SLOW_MS = 100, 10_000
_LATENCY_KEPT = 0.9


class ModelStats(msgspec.Struct, frozen=True, kw_only=True):
    """One model. `positive` and `negative` are ratings above and below the middle; None is unknown."""

    model: str
    total_uses: int
    positive: int
    negative: int
    neutral: int
    regenerations: int
    edits: int
    avg_latency_ms: float | None
    """Exponential moving average: 0.9 of the old, 0.1 of the new."""
    success_rate: float | None
    """positive / (positive + negative)."""
    score: float
    """0.5 success + 0.2 min(uses/100, 1) + 0.2 (1 - min(latency/10 s, 1)) + 0.1 (1 - regenerations/uses).

    Where nobody judged, success counts as the prior 0.5; where no latency is known, its part is left out and the rest is scaled up.
    """


def model_stats(seen: Sequence[Interaction]) -> tuple[ModelStats, ...]:
    """Give each model's, the most used first. `seen` is oldest first."""
    uses = Counter(one.model for one in seen)
    return tuple(_of(model, [one for one in seen if one.model == model]) for model, _ in uses.most_common())


def _of(model: str, seen: Sequence[Interaction]) -> ModelStats:
    words = Counter(one.feedback for one in seen)
    judged = [
        one.value for one in seen if one.value is not None and one.feedback not in ("regenerate", "edit", "neutral")
    ]
    positive, negative = sum(v > PRIOR for v in judged), sum(v < PRIOR for v in judged)
    success = positive / (positive + negative) if positive + negative else None
    latency = _moving(one.latency_ms for one in seen if one.latency_ms is not None)
    return ModelStats(
        model=model,
        total_uses=len(seen),
        positive=positive,
        negative=negative,
        neutral=words["neutral"],
        regenerations=words["regenerate"],
        edits=words["edit"],
        avg_latency_ms=latency,
        success_rate=success,
        score=_score(len(seen), success, latency, words["regenerate"]),
    )


def _score(uses: int, success: float | None, latency: float | None, regenerations: int) -> float:
    total = 0.5 * (PRIOR if success is None else success)
    total += 0.2 * min(uses / _MANY, 1) + 0.1 * (1 - regenerations / uses)
    if latency is None:
        return total / 0.8
    return total + 0.2 * (1 - min(latency / _SLOW_MS, 1))


def _moving(values: Iterable[float]) -> float | None:
    mean: float | None = None
    for value in values:
        mean = value if mean is None else _LATENCY_KEPT * mean + (1 - _LATENCY_KEPT) * value
    return mean
