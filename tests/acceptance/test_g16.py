"""G16: what the coming days will cost, from the daily sums, with how sure that is."""

from __future__ import annotations

from pathlib import Path

from meliora.telemetry.records import CallFinished, Usage
from tests.server.house import House, control_house, finished

DAY_US = 86_400_000_000
WEEK = [40_000, 44_000, 42_000, 40_000, 36_000, 8_000, 4_000]
"""Micro-dollars by weekday."""


def _spend(house: House, days: int, tenant: str = "default") -> None:
    """Record a call a day, whose costs repeat by the week, and one today."""
    now = house.clock.now_us()
    calls: list[CallFinished] = []
    for ago in range(days, -1, -1):
        cost = WEEK[(days - ago) % 7]
        fields = {"tenant": tenant, "cost_micros": cost, "usage": Usage(input=1, output=1)}
        calls.append(finished(house.store.call_ids.new(), now - ago * DAY_US, **fields))
    house.record(*calls)
    house.ingest()


def test_g16_a_week_that_repeats_is_forecast_day_by_day(tmp_path: Path, switched: None) -> None:
    """Five weeks with weekends: the next seven days, their sum, intervals, and how it was tested."""
    with control_house(tmp_path) as house:
        _spend(house, 35)
        answer = house.client(house.key()).get("/api/v1/analytics/forecast?days=7")
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert [round(day["expected_usd"] * 1e6) for day in said["items"]] == WEEK
    assert (said["items"][0]["day"], said["history_days"]) == ("2025-01-01", 35)
    assert said["total"]["expected_usd"] == sum(WEEK) / 1e6
    assert all(day["low_usd"] <= day["expected_usd"] <= day["high_usd"] for day in said["items"])
    assert said["tested"]["forecasts"] >= 14
    assert said["spent_today_usd"] == WEEK[0] / 1e6


def test_g16_without_history_nothing_is_forecast_and_it_says_so(tmp_path: Path, switched: None) -> None:
    """Two days are no history, another tenant's are none either, and a cost that is not known is counted apart."""
    with control_house(tmp_path) as house:
        _spend(house, 2)
        _spend(house, 20, "other")
        unpriced = finished(house.store.call_ids.new(), house.clock.now_us() - DAY_US, cost_micros=None)
        house.record(unpriced)
        house.ingest()
        said = house.client(house.key()).get("/api/v1/analytics/forecast").json()
    assert (said["items"], said["total"], said["method"]) == ([], None, None)
    assert "2 whole days" in said["why"]
    assert (said["calls"], said["unpriced"]) == (3, 1)
