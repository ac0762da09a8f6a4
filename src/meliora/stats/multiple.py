"""Many tests at once: which to believe, so that few of those believed are wrong.

Which one where:

- the trials of a deployment, one after the other: `e_lond`. Trials share traffic and overlap, and it holds under any dependence.
- a closed list of trials or slices with e-values: `e_bh`, under any dependence too.
- a closed list of p-values (metrics of one report, candidate causes): `benjamini_hochberg`, for independent or positively dependent.
- a stream of independent p-values: `lord`. Not gates: each tick looks at nearly the same window as the tick before, so that neither
  independence nor a rate of false discoveries means anything there. What a gate promises is few false alarms a day: `alarm_z`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from meliora.stats.special import normal_quantile

_ALL_PLACES = 2.2857657
"""Riemann's zeta function at 1.6."""


def benjamini_hochberg(p_values: Sequence[float], alpha: float = 0.05) -> list[bool]:
    """Tell which to reject at this false discovery rate (Benjamini & Hochberg, JRSS B 57(1), 1995)."""
    _check_all("p-value", p_values, 1.0)
    return _step_up([-p for p in p_values], lambda rank, count: -alpha * rank / count)


def e_bh(e_values: Sequence[float], alpha: float = 0.05) -> list[bool]:
    """Tell which to reject at this false discovery rate, whatever the dependence (Wang & Ramdas, JRSS B 84(3), 2022)."""
    _check_all("e-value", e_values, math.inf)
    return _step_up(list(e_values), lambda rank, count: count / (alpha * rank))


def calibrated(p_value: float) -> float:
    """Make an e-value of a p-value: 1 / (2 sqrt(p)) (Vovk & Wang, Annals of Statistics 49(3), 2021). Infinite at 0."""
    _check_all("p-value", (p_value,), 1.0)
    return 0.5 / math.sqrt(p_value) if p_value > 0 else math.inf


def e_lond_level(rejected: Sequence[bool], alpha: float = 0.05, share: Callable[[int], float] | None = None) -> float:
    """Give the level of the next test after those that were `rejected` or not, in the order in which they began.

    It is rejected once its e-value reaches one over the level. The false discovery rate stays below alpha at all times under any
    dependence (Xu & Ramdas, AISTATS 2024), for any shares of the places that add up to 1 at most.
    """
    return alpha * (share or _share)(len(rejected) + 1) * (sum(rejected) + 1)


def early_share(place: int) -> float:
    """Give shares that add up to 1 and favour the first tests: 6 / (pi place) squared, for streams of tens and not of thousands."""
    return 6 / (math.pi * place) ** 2


def e_lond(e_values: Sequence[float], alpha: float = 0.05) -> list[bool]:
    """Tell which of a stream of tests are rejected, each decided by those before it alone."""
    _check_all("e-value", e_values, math.inf)
    rejected: list[bool] = []
    for value in e_values:
        rejected.append(value * e_lond_level(rejected, alpha) >= 1)
    return rejected


def lord(p_values: Sequence[float], alpha: float = 0.05) -> list[bool]:
    """Tell which of a stream of independent p-values are rejected (LORD++: Ramdas, Yang, Wainwright & Jordan, NeurIPS 2017)."""
    _check_all("p-value", p_values, 1.0)
    start = alpha / 2
    times: list[int] = []
    rejected = []
    for now, value in enumerate(p_values, 1):
        level = _share(now) * start + sum(
            _share(now - time) * (alpha - start if not place else alpha) for place, time in enumerate(times)
        )
        rejected.append(value <= level)
        if rejected[-1]:
            times.append(now)
    return rejected


def alarm_z(alarms_a_day: float, gates: int, ticks_a_day: float) -> float:
    """Give the one-sided z at which all gates together raise at most so many false alarms a day, were each tick independent.

    By the union bound, so fewer in truth: windows overlap, and a gate asks for several breaches in a row. Raises `ValueError` for
    numbers that are not positive.
    """
    looks = gates * ticks_a_day
    if not (alarms_a_day > 0 and looks > 0):
        raise ValueError(f"{alarms_a_day} alarms a day of {gates} gates at {ticks_a_day} ticks: all are positive")
    return -normal_quantile(min(alarms_a_day / looks, 0.5))


def _step_up(values: list[float], bar: Callable[[int, int], float]) -> list[bool]:
    """Reject the k largest for the largest k whose k-th largest reaches bar(k, count)."""
    count = len(values)
    order = np.argsort([-value for value in values], kind="stable")
    most = max((rank for rank in range(1, count + 1) if values[order[rank - 1]] >= bar(rank, count)), default=0)
    rejected = [False] * count
    for index in order[:most]:
        rejected[index] = True
    return rejected


def _share(place: int) -> float:
    """Give the part of alpha of the test at this place; all parts add up to 1 (as Ramdas et al., ICML 2018, section 4, choose them)."""
    return place**-1.6 / _ALL_PLACES


def _check_all(what: str, values: Sequence[float], most: float) -> None:
    for value in values:
        if not 0 <= value <= most:
            raise ValueError(f"{value} is no {what}: leave out what is not known")
