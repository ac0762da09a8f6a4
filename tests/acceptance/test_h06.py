"""H6: routing by task, queue and priority, one or many at once, with its matrix, its models and its costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import get, post
from tests.server.house import control_house

HARD = "Analyze and compare the trade-offs of both designs, step by step, and explain the consequences."
TASKS = {"chat", "code", "reasoning", "research", "creative", "system", "simple"}


def test_h06_a_long_queue_goes_a_tier_down_and_the_call_then_goes_where_it_was_said(meliora: RunningMeliora) -> None:
    """Four calls in flight are a short queue and five a long one; `call_with` leads the gateway to the same model."""
    gateway = meliora.gateway
    for depth, level, model in [(4, "low", "simulated-large"), (5, "high", "simulated-medium")]:
        said = post(gateway, "/routing/route", {"prompt": HARD, "queue_depth": depth})
        assert said.status == 200, said.body
        assert (said.json["queue"]["level"], said.json["model"], said.json["task_type"]) == (level, model, "reasoning")
        assert said.json["estimated_cost"] > 0
        body = {"model": said.json["call_with"], "messages": [{"role": "user", "content": HARD}]}
        assert post(gateway, "/v1/chat/completions", body).headers["x-meliora-model"] == model


def test_h06_a_batch_takes_the_cheapest_in_the_background_and_one_bad_request_touches_no_other(
    meliora: RunningMeliora,
) -> None:
    """Each in its place, with the sum of what is known."""
    asked = [
        {"prompt": HARD, "priority": "background"},
        {"prompt": HARD, "task_type": "code"},
        {"prompt": HARD, "available_models": ["nobody"]},
    ]
    said = post(meliora.gateway, "/routing/route/batch", {"requests": asked, "priority": "normal"})
    assert said.status == 200, said.body
    background, code, bad = said.json["items"]
    assert (background["routed"]["model"], background["routed"]["reason"]) == ("simulated-small", "cheapest")
    assert code["routed"]["model"] == "simulated-code"
    assert bad["routed"] is None and bad["error"]["field"] == "available_models"
    costs = [background["routed"]["estimated_cost"], code["routed"]["estimated_cost"]]
    assert said.json["estimated_cost"] == pytest.approx(sum(costs))
    quiet = {"requests": [{"prompt": HARD}, {"prompt": HARD, "priority": "interactive"}], "priority": "background"}
    routed = [one["routed"]["model"] for one in post(meliora.gateway, "/routing/route/batch", quiet).json["items"]]
    assert routed == ["simulated-small", "simulated-large"]


def test_h06_the_matrix_is_made_of_the_models_that_are_configured(meliora: RunningMeliora) -> None:
    """All seven tasks at both lengths of the queue; a cell is what a call in its words gets."""
    said = get(meliora.gateway, "/routing/matrix").json
    rows = {row["task"]: row for row in said["rows"]}
    assert set(rows) == TASKS and said["queue"]["threshold"] == 5
    for row in rows.values():
        for cell in (row["low"], row["high"]):
            body = {"model": cell["call_with"], "messages": [{"role": "user", "content": "ok"}]}
            assert post(meliora.gateway, "/v1/chat/completions", body).headers["x-meliora-model"] == cell["models"][0]
    models = {one["name"] for one in get(meliora.gateway, "/routing/models").json["items"]}
    assert {model for row in rows.values() for cell in (row["low"], row["high"]) for model in cell["models"]} <= models


def test_h06_costs_are_estimated_recorded_and_summed_and_an_unknown_one_is_null(tmp_path: Path, switched: None) -> None:
    """What the gateway spent and what was spent elsewhere stand apart; what has no price is counted, not added."""
    with control_house(tmp_path) as house:
        client = house.client(house.key())
        asked = client.get("/routing/cost/estimate?input_tokens=1000&output_tokens=1000")
        assert asked.status_code == 200, asked.text
        costs = {one["model"]: one["estimated_cost_usd"] for one in asked.json()["items"]}
        assert costs["simulated-small"] == pytest.approx(0.0005)
        house.call(model="simulated-small", cost_micros=2_000)
        house.call(model="simulated-small", cost_micros=None)
        house.ingest()
        for model, cost in [("own", 0.25), ("own", 0.5), ("simulated-large", None), ("own", None)]:
            fields = {"model": model, "input_tokens": 1000, "output_tokens": 1000, "cost": cost}
            made = client.post("/routing/cost/record", json={k: v for k, v in fields.items() if v is not None})
            assert made.status_code == 201
            assert (made.json()["cost_usd"] is None) == (made.json()["source"] == "unknown")
        said = client.get("/routing/cost/summary").json()
    own, large = said["elsewhere"]
    assert (own["model"], own["calls"], own["cost_usd"], own["unpriced"]) == ("own", 3, 0.75, 1)
    assert (large["model"], large["cost_usd"]) == ("simulated-large", pytest.approx(0.02))
    [spent] = said["gateway"]
    assert (spent["calls"], spent["cost_usd"], spent["unpriced"]) == (2, 0.002, 1)
    assert (said["calls"], said["unpriced"]) == (6, 2)
    assert said["usd_per_1000_calls"] == pytest.approx((0.75 + 0.02 + 0.002) / 4 * 1000)


def test_h06_the_queue_is_what_the_gateways_report_and_unknown_without_any(tmp_path: Path, switched: None) -> None:
    """Two gateways with three calls each are a queue of six; a dead one counts for nothing."""
    with control_house(tmp_path) as house:
        client = house.client(house.key())
        first = client.get("/routing/stats")
        assert first.status_code == 200, first.text
        assert (first.json()["queue"]["depth"], first.json()["queue"]["level"]) == (None, None)
        for name in ("g1", "g2"):
            beat = {"id": name, "version": "1", "record_format": 1, "host": "h", "pid": 1}
            told = house.gateway().post("/internal/heartbeat", json={**beat, "counters": {"calls_in_flight": 3}})
            assert told.status_code == 200
        assert client.post("/routing/route", json={"prompt": HARD}).json()["queue"]["level"] == "high"
        house.clock.advance(61)
        assert client.get("/routing/stats").json()["queue"]["depth"] is None
