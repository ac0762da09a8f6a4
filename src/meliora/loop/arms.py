"""What the arms of a trial have shown, as sums by the unit that was randomised. Judges nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from meliora.stats.histogram import LogHistogram
from meliora.stats.sums import Sums


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm in one stretch of traffic. Each metric has either sums or, for a quantile, a histogram."""

    units: int
    calls: int
    sums: dict[str, Sums] = field(default_factory=dict)
    """By metric, in the metric's unit."""
    histograms: dict[str, LogHistogram] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Traffic between two changes of the share; `share` is the candidate's."""

    number: int
    share: float
    candidate: Arm
    baseline: Arm
