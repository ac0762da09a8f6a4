"""What an answer is worth: the declared reward function. Pure; what it refuses, it names.

The first that is known decides: what a person said, what scorers found, that the prompt was sent again, that the model failed.
That an answer came is no information: a bad answer comes as readily as a good one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from meliora.errors import InvalidRequest
from meliora.routing.learning.labels import Calibration
from meliora.routing.learning.records import Reward, Settled, Signals
from meliora.settings.learning import Reward as RewardSettings

COST_USD = 0.01
"""Cost at which the documented formula gives nothing more for cheapness."""
SLOW_MS = 5000.0
"""Duration at which it gives nothing more for speed."""
COST_SHARE, SPEED_SHARE = 0.3, 0.2


@dataclass(frozen=True)
class RewardRule:
    """The reward function: the settings, and how much each scorer counts beside others."""

    settings: RewardSettings = field(default_factory=RewardSettings)
    scorers: Mapping[str, float] = field(default_factory=dict)
    """Weight in (0, 1] by name; a scorer that is not named here does not count."""
    doubted: Mapping[str, float] = field(default_factory=dict)
    """By judge: what its weight is multiplied by where it is not calibrated."""
    calibrations: Mapping[tuple[str, str], Calibration] = field(default_factory=dict)
    """By tenant and judge: what its scores are worth beside people's words."""

    @property
    def retry_us(self) -> int:
        """Give how long a prompt sent again counts as a retry, in microseconds."""
        return round(self.settings.retry_minutes * 60_000_000)

    def reward(self, signals: Signals) -> Reward | None:
        """Give what an answer is worth, None where nothing is known. Raises `InvalidRequest` for a value outside [0, 1]."""
        found = self._found(signals)
        if found is None or self.settings.formula == "quality":
            return found
        value = documented(found.value, signals.cost_micros, signals.latency_us)
        return Reward(value, found.weight, found.source)

    def settle(self, signals: Signals) -> Settled:
        """Give the reward to keep. Raises as `reward`."""
        return Settled(signals.call_id, signals.tenant, signals.touched, self.reward(signals))

    def _found(self, signals: Signals) -> Reward | None:
        chosen = self.settings
        if signals.feedback is not None:
            return Reward(checked(signals.feedback, "feedback"), chosen.feedback_weight, "feedback")
        scored = self._scored(signals.tenant, signals.scores)
        if scored is not None:
            return scored
        if signals.again_us is not None and signals.again_us - signals.started_us <= self.retry_us:
            return Reward(chosen.retry_value, chosen.retry_weight, "retry")
        if signals.outcome == "failed":
            return Reward(chosen.failure_value, chosen.failure_weight, "failure")
        return None

    def _scored(self, tenant: str, scores: Mapping[str, float]) -> Reward | None:
        """Give the weighted mean of the scorers that count, weighing as much as the weightiest of them."""
        known = []
        for name in sorted(scores.keys() & self.scorers):
            value, weight = checked(scores[name], f"scorer {name}"), self.scorers[name]
            calibration = self.calibrations.get((tenant, name))
            if calibration is not None:
                value = calibration.value(value)
            else:
                weight *= self.doubted.get(name, 1.0)
            if weight > 0:
                known.append((name, value, weight))
        if not known:
            return None
        total = math.fsum(weight for _, _, weight in known)
        value = math.fsum(value * weight for _, value, weight in known) / total
        weight = self.settings.scorer_weight * max(weight for _, _, weight in known)
        return Reward(min(1.0, value), weight, "scorer:" + "+".join(name for name, _, _ in known))


def checked(value: float, source: str) -> float:
    """Give a reward back. Raises `InvalidRequest`, naming the source, for one that is no number from 0 to 1."""
    if not 0 <= value <= 1:
        raise InvalidRequest(
            f"The reward of {source} is {value}.",
            hint="A reward is a number from 0 (useless) to 1 (perfect).",
            field=source,
        )
    return float(value)


def documented(value: float, cost_micros: int | None, latency_us: int | None) -> float:
    """Give value + 0.3 * max(0, 1 - cost / $0.01) + 0.2 * max(0, 1 - ms / 5000), over its greatest possible value.

    What is unknown is left out of the sum and of the divisor: an unknown price is not a price of nothing.
    """
    total, most = value, 1.0
    if cost_micros is not None:
        total += COST_SHARE * max(0.0, 1 - cost_micros / 1e6 / COST_USD)
        most += COST_SHARE
    if latency_us is not None:
        total += SPEED_SHARE * max(0.0, 1 - latency_us / 1e3 / SLOW_MS)
        most += SPEED_SHARE
    return total / most
