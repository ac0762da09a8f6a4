"""I16: the router's hoped-for figures as they were measured, with their counts; never a claim."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.server.house import House, control_house


def _figures(house: House) -> dict[str, Any]:
    answer = house.client(house.key()).get("/routing/stats")
    assert answer.status_code == 200, answer.text
    return {one["name"]: one for one in answer.json()["figures"]}


def test_i16_without_data_nothing_is_claimed(tmp_path: Path, switched: None) -> None:
    """No value, no verdict, a count of 0."""
    with control_house(tmp_path) as house:
        for figure in _figures(house).values():
            assert (figure["value"], figure["meets_target"], figure["count"]) == (None, None, 0)


def test_i16_the_figures_are_what_was_measured_on_the_calls_that_meliora_decided(
    tmp_path: Path, switched: None
) -> None:
    """Feedback on a call whose model was named says nothing about routing; few words leave the target open."""
    with control_house(tmp_path) as house:
        client = house.client(house.key())
        for number in range(60):
            word = "thumbs_down" if number == 0 else "thumbs_up"
            reason = "asked" if number >= 40 else "classifier:fast"
            call = house.call(reason=reason, cost_micros=None if number >= 50 else 50)
            house.ingest()
            given = {"call_id": call, "feedback_type": word}
            assert client.post("/api/v1/learning/feedback", json=given).status_code == 200
        found = _figures(house)
        by = {one["by"]: one for one in client.get("/routing/stats").json()["decided_by"]}
    right, cost = found["right_model"], found["cost_per_1000_messages"]
    assert (right["count"], right["value"]) == (40, pytest.approx(39 / 40))
    assert right["low"] < 0.95 < right["high"] and right["meets_target"] is None
    assert (cost["count"], cost["missing"], cost["value"]) == (50, 10, pytest.approx(0.05))
    assert cost["meets_target"] is None
    assert (by["classifier"]["calls"], by["classifier"]["judged"], by["classifier"]["good"]) == (40, 40, 39)
    assert by["asked"]["judged"] == 20
