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
class Paired:
    """What shadows have shown beside the calls that they are of."""

    units: int
    pairs: int
    same: int
    """Pairs where the candidate decided as the baseline did."""
    sums: dict[str, Sums]
    """By metric: the candidate's less the baseline's, in the metric's unit, over the pairs; or over the baseline's where it is read so."""
    candidate: Arm
    """Histograms alone."""
    baseline: Arm


@dataclass(frozen=True, slots=True)
class Stretch:
    """Traffic between two changes of the share; `share` is the candidate's."""

    number: int
    share: float
    candidate: Arm
    baseline: Arm
