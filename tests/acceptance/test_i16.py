"""I16: the router's figures as they were measured with their counts, and a memory of ten thousand messages that needs no model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from meliora.settings.knowledge import Knowledge
from meliora.settings.models import Server, Settings
from meliora.stats.proportion import wilson
from meliora.supervisor.layout import Layout, write_pids
from meliora.testing.gateway import SECRET
from meliora.testing.stack import RunningMeliora
from tests.acceptance.talking import Talk, talk
from tests.gateway.asking import get, post
from tests.server.house import House, control_house

MESSAGES = 10_500


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


def test_i16_of_ten_thousand_messages_the_ones_that_answer_are_recalled(tmp_path: Path, switched: None) -> None:
    """More than 85% of the answers are among the ten turns that a question recalls, by the lower end of the interval too."""
    with control_house(tmp_path) as house:
        client = house.client(house.key())
        said = talk(MESSAGES, "ann")
        _append(client, "long", said)
        assert house.store.memory.conversation("default", "long").turns == MESSAGES > 10_000
        hits = 0
        for question, number in said.questions:
            found = client.post("/api/v1/memory/recall", json={"query": question, "user": "ann", "limit": 10}).json()
            hits += any(one["turn"]["number"] == number for one in found["turns"])
    low, _ = wilson(hits, len(said.questions))
    assert len(said.questions) == 60 and low > 0.85, f"{hits} of {len(said.questions)}"


@pytest.mark.parametrize("model", ["", "simulated-small"])
def test_i16_a_thousand_messages_are_kept_recalled_and_summed_up_without_a_model(
    model: str, tmp_path: Path, switched: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No call, so nothing of the ten cents; where a model is configured its calls are counted, as they would be without."""
    monkeypatch.setenv("OWN_KEY", SECRET)
    memory = {"summary_model": model, "key": "env:OWN_KEY" if model else ""}
    settings = Settings(
        server=Server(state_dir=tmp_path / "state"), knowledge=Knowledge.model_validate({"memory": memory})
    )
    with RunningMeliora(settings) as running:
        gateway, said = running.gateway, talk(1000, "ann")
        write_pids(Layout.of(settings), {"supervisor": os.getpid()}, gateway.url)
        assert post(gateway, "/api/v1/memory/c/turns", {"turns": said.turns}).status == 200
        for question, _ in said.questions:
            assert post(gateway, "/api/v1/memory/recall", {"query": question, "user": "ann"}).status == 200
        window = get(gateway, "/api/v1/memory/c/window?tokens=2000")
        assert window.status == 200 and window.json["summary"]["text"] and window.json["summary"]["failed"] == ""
        running.settle()
        calls = get(gateway, "/api/v1/calls").json["items"]
    assert [one["feature"] for one in calls] == (["knowledge"] if model else [])


def _append(client: Any, conversation: str, said: Talk) -> None:
    for start in range(0, len(said.turns), 1000):
        turns = list(said.turns[start : start + 1000])
        answer = client.post(f"/api/v1/memory/{conversation}/turns", json={"turns": turns})
        assert answer.status_code == 200, answer.text
