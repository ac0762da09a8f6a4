"""How fast an error budget burns, over a long and a short window together.

Beyer, Murphy, Rensin, Kawahara & Thorne, The Site Reliability Workbook (2018), chapter 5, alert 6: the long window says that it
matters, the short one that it still goes on. The long window must exceed by its Wilson bound, so that a handful of requests does
not burn a budget; the short one, which only ends an alarm early, by its share. Too few requests are unknown, never quiet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from meliora.stats.proportion import wilson


@dataclass(frozen=True, slots=True)
class Pair:
    """Two windows in seconds, and how many times faster than even the budget must burn in both."""

    long: int
    short: int
    factor: float


PAIRS = (Pair(3600, 300, 14.4), Pair(21600, 1800, 6.0), Pair(259200, 21600, 1.0))
"""For a budget of 30 days: 2% of it in an hour, 5% in six, 10% in three days (ibid., table 5-8)."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What failed, and all there was, in one window."""

    bad: float
    total: float


@dataclass(frozen=True, slots=True)
class Burn:
    """How many times faster than even the budget burns in the long window; None where there are too few requests."""

    state: Literal["burning", "quiet", "unknown"]
    rate: float | None
    low: float | None
    high: float | None


def burn(long: Counted, short: Counted, budget: float, factor: float, *, least: int = 100, z: float = 1.959964) -> Burn:
    """Tell whether a budget (a share of bad requests that is allowed) burns by more than `factor`.

    Raises `ValueError` for a budget outside (0, 1), or a factor that no share of bad requests could reach.
    """
    if not 0 < budget < 1 or not 0 < factor * budget < 1:
        raise ValueError(f"a budget of {budget} cannot burn {factor} times too fast: that is no share of requests")
    if long.total < least or short.total <= 0:
        return Burn("unknown", None, None, None)
    low, high = wilson(long.bad, long.total, z)
    exceeded = low > factor * budget and short.bad > factor * budget * short.total
    return Burn("burning" if exceeded else "quiet", long.bad / long.total / budget, low / budget, high / budget)
