"""Daily sums carried on into the next days, with an interval that comes from how wrong the same method was before.

Three methods, all robust to single wild days; the one that would have been the least wrong so far is used:

- `level`: the median of the last seven days;
- `last_week`: the same weekday a week ago (the seasonal naive method; Hyndman and Athanasopoulos, Forecasting, 3rd ed., 5.2);
- `weekday`: the median of the last four weeks without their weekdays' shape, times that shape. The shape of a weekday is the median
  ratio of its days to the median of the week around them, drawn towards 1 by how few of them there are.

Errors are those of forecasts made at earlier days with only what was known then (a rolling origin, ibid. 5.10). The interval is split
conformal: the rank of the absolute error is ceil((n + 1) * coverage) of n (Vovk, Gammerman and Shafer 2005; Lei et al. 2018, section 2),
so it does not assume a shape of the errors. Forecasts of one past share days, so for a series that drifts the coverage is approximate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal

Method = Literal["level", "last_week", "weekday"]

LEAST_DAYS = 5
"""Whole days without which nothing is said."""
WEEK = 7
_SHAPE_WEEKS = 8
_LEVEL_DAYS = 28
_SHAPE_WEIGHT = 1.0
"""How many days of exactly 1 a weekday's ratios are mixed with."""
_ORIGINS = 56
"""Earlier days at most from which the method is tried."""
_SEASONAL_DAYS = 2 * WEEK
"""Days that a method needs which knows weekdays."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A forecast. `low` and `high` are None where too few forecasts were tried to bound one."""

    value: float
    low: float | None
    high: float | None
    tried: int
    """Past forecasts of this kind that the interval comes from."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Each coming day, and their sum."""

    method: Method
    days: tuple[Expected, ...]
    total: Expected
    mean_absolute_error: float | None
    """Over the days that the method was tried on; None where it could not be."""


def forecast(history: Sequence[float], horizon: int, coverage: float = 0.8) -> Forecast | None:
    """Carry daily values on for `horizon` days; None for fewer than `LEAST_DAYS` of them.

    `history` has one value for each day without a gap, oldest first, none negative. `coverage` is the share of days that shall fall
    between `low` and `high`. Raises `ValueError` for a horizon below 1, a coverage outside (0, 1), or a value that is negative or
    not finite.
    """
    values = [float(value) for value in history]
    if horizon < 1:
        raise ValueError(f"a forecast is for at least one day, not {horizon}")
    if not 0 < coverage < 1:
        raise ValueError(f"the coverage lies between 0 and 1, and is {coverage}")
    if any(not (0 <= value < math.inf) for value in values):
        raise ValueError("daily values are finite and not negative")
    if len(values) < LEAST_DAYS:
        return None
    tries: dict[Method, _Tries] = {
        name: _tried(values, horizon, name) for name in _METHODS if len(values) >= _NEEDS[name]
    }
    judged: dict[Method, float] = {
        name: error for name, tried in tries.items() if (error := tried.mean_absolute_error()) is not None
    }
    method: Method = min(judged, key=lambda name: judged[name]) if judged else "level"
    made, tried = _METHODS[method](values, horizon), tries[method]
    days = tuple(_bounded(value, tried.at(step), coverage) for step, value in enumerate(made))
    return Forecast(method, days, _bounded(math.fsum(made), tried.sums, coverage), judged.get(method))


def _level(values: Sequence[float], horizon: int) -> list[float]:
    return [median(values[-WEEK:])] * horizon


def _last_week(values: Sequence[float], horizon: int) -> list[float]:
    return [values[step % WEEK - WEEK] for step in range(horizon)]


def _weekday(values: Sequence[float], horizon: int) -> list[float]:
    shape = _shape(values)
    recent = range(max(0, len(values) - _LEVEL_DAYS), len(values))
    plain = [values[day] / shape[day % WEEK] for day in recent if shape[day % WEEK] > 0]
    level = median(plain) if plain else 0.0
    return [level * shape[(len(values) + step) % WEEK] for step in range(horizon)]


def _shape(values: Sequence[float]) -> list[float]:
    """Give what each weekday is of a usual day; weekdays count from the first value's."""
    ratios: list[list[float]] = [[] for _ in range(WEEK)]
    first = max(0, len(values) - _SHAPE_WEEKS * WEEK)
    for day in range(first, len(values)):
        start = min(max(first, day - WEEK // 2), len(values) - WEEK)
        usual = fmean(values[start : start + WEEK])
        if usual > 0:
            ratios[day % WEEK].append(values[day] / usual)
    return [
        (median(found) * len(found) + _SHAPE_WEIGHT) / (len(found) + _SHAPE_WEIGHT) if found else 1.0
        for found in ratios
    ]


_METHODS: dict[Method, Callable[[Sequence[float], int], list[float]]] = {
    "level": _level,
    "last_week": _last_week,
    "weekday": _weekday,
}
_NEEDS: dict[Method, int] = {"level": LEAST_DAYS, "last_week": _SEASONAL_DAYS, "weekday": _SEASONAL_DAYS}


class _Tries:
    """How wrong one method was, by how many days ahead, and over the whole horizon."""

    def __init__(self) -> None:
        self.days: dict[int, list[float]] = {}
        self.sums: list[float] = []

    def at(self, step: int) -> list[float]:
        """Give the absolute errors so many days ahead."""
        return self.days.get(step, [])

    def mean_absolute_error(self) -> float | None:
        """Give the mean over all of them; None where there are none."""
        errors = [error for found in self.days.values() for error in found]
        return fmean(errors) if errors else None


def _tried(values: Sequence[float], horizon: int, method: Method) -> _Tries:
    """Forecast from each earlier day, by what was known then, and hold it against what came."""
    tries = _Tries()
    for origin in range(max(_NEEDS[method], len(values) - _ORIGINS), len(values)):
        came = values[origin : origin + horizon]
        made = _METHODS[method](values[:origin], len(came))
        for step, (expected, real) in enumerate(zip(made, came, strict=True)):
            tries.days.setdefault(step, []).append(abs(real - expected))
        if len(came) == horizon:
            tries.sums.append(abs(math.fsum(came) - math.fsum(made)))
    return tries


def _bounded(value: float, errors: Sequence[float], coverage: float) -> Expected:
    rank = math.ceil((len(errors) + 1) * coverage)
    if rank > len(errors):
        return Expected(value, None, None, len(errors))
    width = sorted(errors)[rank - 1]
    return Expected(value, max(0.0, value - width), value + width, len(errors))
