"""I3: everything learned of a user at one address, each part with its confidence and counts."""

from __future__ import annotations

from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import get, post

PATH = "/api/v1/learning/preferences"


def test_i03_the_documented_parts_are_there_with_confidence_and_counts(meliora: RunningMeliora) -> None:
    """preferred_models, tone, length, frequent_tasks, learning_stats; times of day and the next activity beside."""
    for place in range(12):
        liked = place % 3 != 0
        body = {
            "model": "simulated-small" if liked else "simulated-large",
            "messages": [{"role": "user", "content": "hi"}],
        }
        call = post(meliora.gateway, "/v1/chat/completions", body, x_meliora_user="7", x_meliora_message_id=str(place))
        assert call.status == 200
        given = {
            "message_id": place,
            "feedback_type": "rating_5" if liked else "thumbs_down",
            "task_type": "conversation",
            "response_length": 100 if liked else 4000,
            "metadata": {"tone": "friendly" if liked else "stiff"},
            "user_id": 7,
        }
        assert post(meliora.gateway, "/api/v1/learning/feedback", given).status == 200
    meliora.settle()
    found = get(meliora.gateway, f"{PATH}?user_id=7").json
    model = found["preferred_models"]["conversation"]
    assert (model["model"], model["samples"], model["rated"]) == ("simulated-small", 8, 12)
    assert (found["tone"]["value"], found["tone"]["samples"]) == ("friendly", 8)
    assert (found["length"]["value"], found["length"]["samples"]) == ("short", 8)
    (task,) = found["frequent_tasks"]
    assert (task["task"], task["count"], task["share"]) == ("conversation", 12, 1)
    (pattern,) = found["time_patterns"]
    assert (pattern["task"], pattern["count"]) == ("conversation", 12)
    assert (found["next_activity"]["task"], found["next_activity"]["samples"]) == ("conversation", 12)
    stats = found["learning_stats"]
    assert (stats["interactions"], stats["positive"], stats["negative"], stats["learning_rate"]) == (12, 8, 4, 0.1)
    assert (stats["predicted"], stats["prediction_accuracy"]) == (10, 1)
    for part in (model, found["tone"], found["length"], task, pattern, found["next_activity"]):
        assert 0.5 < part["confidence"] <= 1
    nobody = get(meliora.gateway, f"{PATH}?user_id=8").json
    assert (nobody["preferred_models"], nobody["tone"], nobody["next_activity"]) == ({}, None, None)
    assert nobody["learning_stats"]["prediction_accuracy"] is None
