"""G16: what the coming days will cost with how sure that is, strategies tried against each other, and degradation told."""

from __future__ import annotations

from pathlib import Path

from meliora.telemetry.records import CallFinished, Usage
from tests.acceptance.lives import living
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


def test_g16_a_routing_policy_is_tried_against_the_one_that_serves(tmp_path: Path, switched: None) -> None:
    """An A/B of routing: a share of the users first, all once it has won, the measured difference beside it."""
    with living(tmp_path) as life:
        life.breach()
        change = life.run()
        assert life.path(change)[-4:] == ["trying", "delivering", "watching", "kept"]
        edges = life.house.store.changes.edges("default", change.id)
        shares = [edge.evidence["share"] for edge in edges if edge.target == "trying"]
        assert shares == [0.05, 0.2]
        assert "reward" in {one["metric"] for one in life.get(f"/api/v1/changes/{change.id}")["gains"]}


def test_g16_degradation_is_told_at_once_and_when_it_ends(tmp_path: Path, switched: None) -> None:
    """A gate that fails is an alert that holds until it passes."""
    with living(tmp_path) as life:
        life.loop.alerts.look()
        assert life.get("/api/v1/alerts")["items"] == []
        life.fail("errors", 0.2)
        life.loop.alerts.look()
        (alert,) = life.get("/api/v1/alerts")["items"]
        assert (alert["name"], alert["status"]) == ("gate_failing", "firing") and "errors" in str(alert["labels"])
        life.admin.post("/api/v1/optimizer/quality-gates/errors?threshold=0.5")
        life.loop.alerts.look()
        assert [one["status"] for one in life.get("/api/v1/alerts")["items"]] == ["resolved"]
