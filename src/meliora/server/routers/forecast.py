"""What the coming days will cost, by what the past ones did. Refuses to guess where there is no history."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query

from meliora.server.again import Again
from meliora.server.auth import HereControl, ReadCaller
from meliora.server.shapes import Answer, says
from meliora.stats.forecast import LEAST_DAYS, Expected, Forecast, Method, forecast
from meliora.store.calls.analytics import Usage

router = APIRouter(prefix="/api/v1/analytics", tags=["analytics"], route_class=Again)

HISTORY_DAYS = 180
"""Whole days that are looked back on at most."""
COVERAGE = 0.8
"""Share of days that shall fall into the interval."""


class Spend(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars. The interval is null where too few earlier forecasts could be tried to bound it."""

    expected_usd: float
    low_usd: float | None
    high_usd: float | None


class DaySpend(Spend, frozen=True, kw_only=True):
    """A day (UTC). The first is today, of which a part is spent already."""

    day: str


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """How the same method did on the days that are past; null where there were too few."""

    forecasts: int
    """Earlier forecasts of one day ahead that were held against what came."""
    mean_absolute_error_usd: float | None


class CostForecast(msgspec.Struct, frozen=True, kw_only=True):
    """Spend by day, and altogether. Without enough history there are no days, and `why` says so."""

    items: tuple[DaySpend, ...]
    total: Spend | None
    method: Method | None
    """`level`, `last_week` or `weekday`: the one that would have been the least wrong so far."""
    why: str
    coverage: float
    history_days: int
    """Whole days that it rests on; a day without calls among them cost nothing."""
    calls: int
    unpriced: int
    """Calls of these days whose cost is not known. They are not in any of the sums."""
    spent_today_usd: float
    tested: Tested | None


@router.get("/forecast", **says(CostForecast))
def cost_forecast(
    caller: ReadCaller,
    control: HereControl,
    days: Annotated[int, Query(ge=1, le=90, description="Days to look ahead, today included.")] = 7,
) -> Answer:
    """Forecast the spend of the coming days from the daily sums, each with the interval that its own past errors give."""
    today = datetime.fromtimestamp(control.now_us() / 1e6, UTC).date()
    since = today - timedelta(days=HISTORY_DAYS)
    rows = control.store.analytics.usage(caller.tenant, "day", since_us=_begin_us(since))
    by_day = {date.fromisoformat(row.group): row for row in rows if row.group}
    past = {day: row for day, row in by_day.items() if day < today}
    history = _history(past, today)
    made = forecast(history, days, COVERAGE)
    return Answer(
        CostForecast(
            items=tuple(_days(made, today)) if made is not None else (),
            total=_spend(made.total) if made is not None else None,
            method=made.method if made is not None else None,
            why=_why(made, len(history)),
            coverage=COVERAGE,
            history_days=len(history),
            calls=sum(row.calls for row in past.values()),
            unpriced=sum(row.unpriced for row in past.values()),
            spent_today_usd=by_day[today].cost_micros / 1e6 if today in by_day else 0.0,
            tested=Tested(forecasts=made.days[0].tried, mean_absolute_error_usd=made.mean_absolute_error)
            if made is not None
            else None,
        )
    )


def _begin_us(day: date) -> int:
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return max(0, int(begin.timestamp()) * 1_000_000)


def _history(past: dict[date, Usage], today: date) -> list[float]:
    """Give the dollars of each whole day from the first with calls to yesterday; nothing was spent on a day without calls."""
    if not past:
        return []
    first = min(past)
    every = (first + timedelta(days=step) for step in range((today - first).days))
    return [past[day].cost_micros / 1e6 if day in past else 0.0 for day in every]


def _days(made: Forecast, today: date) -> list[DaySpend]:
    return [
        DaySpend(
            day=(today + timedelta(days=step)).isoformat(),
            expected_usd=one.value,
            low_usd=one.low,
            high_usd=one.high,
        )
        for step, one in enumerate(made.days)
    ]


def _spend(one: Expected) -> Spend:
    return Spend(expected_usd=one.value, low_usd=one.low, high_usd=one.high)


def _why(made: Forecast | None, days: int) -> str:
    if made is None:
        return f"There are {days} whole days of history; a forecast takes {LEAST_DAYS}."
    if made.total.low is None:
        return f"{days} whole days of history are too few to test this forecast, so its sum has no interval."
    return f"From {days} whole days; {made.method} was the least wrong of the methods tried on them."
