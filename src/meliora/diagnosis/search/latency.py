"""What each stage took, and which made searches slower. Where all did alike, as on a busy machine, none is named."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from meliora.diagnosis.search.records import Slower, StageTime
from meliora.diagnosis.search.seen import SearchSeen
from meliora.stats.drift import share_rise_z
from meliora.stats.special import student_cdf

APART = 1.2
"""How many times more than the others a stage has to grow to be named."""
_LEVEL, _MOST = 0.01, 0.5
_TAIL = 0.8
"""From which quantile on searches tell whether a stage grew by more than the others: more of them than the slowest twentieth."""
_LEAST_TIMED, _LEAST_SLOW = 40, 4

_Timed = Sequence[Mapping[str, int]]


def slower(before: Sequence[SearchSeen], now: Sequence[SearchSeen]) -> Slower | None:
    """Tell whether the 95th percentile got slower, and which stage did; None where too few were timed or it is not clearly slower.

    Clearly: so many searches now are above the percentile of before as chance does not bring (z of 3).
    """
    sides = [_timed(side) for side in (before, now)]
    if any(len(side) < _LEAST_TIMED for side in sides):
        return None
    totals = [np.array([sum(stages.values()) for stages in side], dtype=float) for side in sides]
    old, new = (float(np.quantile(total, 0.95)) for total in totals)
    above = [float((total > old).sum()) for total in totals]
    risen = share_rise_z(above[1], len(totals[1]), above[0], len(totals[0]))
    if new <= old or risen is None or risen < 3:
        return None
    slowest = _slowest(sides, totals, 0.95)
    names = sorted({name for side in slowest for stages in side for name in stages})
    means = {name: [sum(one.get(name, 0) for one in side) / len(side) for side in slowest] for name in names}
    name = max(names, key=lambda each: means[each][1] - means[each][0])
    grown = sum(now_ - old_ for old_, now_ in means.values())
    share = min(1.0, (means[name][1] - means[name][0]) / grown) if grown > 0 else 1.0
    stage = name if share >= _MOST and _stands_out(name, _slowest(sides, totals, _TAIL), len(names)) else None
    return Slower(
        stage=stage,
        p95_before_us=round(old),
        p95_now_us=round(new),
        stage_before_us=None if stage is None else round(means[name][0]),
        stage_now_us=None if stage is None else round(means[name][1]),
        share=None if stage is None else share,
    )


def by_stage(before: Sequence[SearchSeen], now: Sequence[SearchSeen]) -> tuple[StageTime, ...]:
    """Give what whole searches took, and each stage by name; empty where in both windows too few were timed."""
    sides = [_timed(side) for side in (before, now)]
    names = sorted({name for side in sides for stages in side for name in stages})
    whole = [_p95([sum(stages.values()) for stages in side]) for side in sides]
    found = [StageTime(stage=None, p95_before_us=whole[0], p95_now_us=whole[1])]
    for name in names:
        old, new = (_p95([stages[name] for stages in side if name in stages]) for side in sides)
        found.append(StageTime(stage=name, p95_before_us=old, p95_now_us=new))
    return tuple(found) if whole != [None, None] else ()


def _timed(searches: Sequence[SearchSeen]) -> _Timed:
    return [one.stages_us for one in searches if one.stages_us and min(one.stages_us.values()) >= 0]


def _p95(times: Sequence[int]) -> int | None:
    return None if len(times) < _LEAST_TIMED else round(float(np.quantile(times, 0.95)))


def _slowest(sides: Sequence[_Timed], totals: Sequence[NDArray[np.float64]], share: float) -> list[_Timed]:
    """Give of each side those from this quantile of its own upwards."""
    tops = [float(np.quantile(total, share)) for total in totals]
    return [
        [stages for stages, spent in zip(side, total.tolist(), strict=True) if spent >= top]
        for side, total, top in zip(sides, totals, tops, strict=True)
    ]


def _stands_out(name: str, slowest: Sequence[_Timed], stages: int) -> bool:
    """Tell whether a stage grew by more than the other ones did: by the logarithm of how they stand to each other (Welch, Biometrika
    34, 1947), at a level that pays for choosing it (Bonferroni)."""
    if stages < 2:
        return True
    sides = [
        np.log1p([one.get(name, 0) for one in side]) - np.log1p([_rest(name, one) for one in side]) for side in slowest
    ]
    if any(len(side) < _LEAST_SLOW for side in sides):
        return False
    errors = [float(side.var(ddof=1)) / len(side) for side in sides]
    moved, error = float(sides[1].mean() - sides[0].mean()), sum(errors)
    if moved < math.log(APART):
        return False
    if error <= 0:
        return True
    freedom = error**2 / sum(each**2 / (len(side) - 1) for each, side in zip(errors, sides, strict=True))
    return student_cdf(-moved / error**0.5, freedom) <= _LEVEL / stages


def _rest(name: str, stages: Mapping[str, int]) -> int:
    return sum(spent for each, spent in stages.items() if each != name)
