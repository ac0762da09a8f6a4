"""H7: interactions and reactions become statistics, style and recommendations, by task; they can be exported and imported."""

from __future__ import annotations

from typing import Any

import pytest

from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import Answer, get, post

FIELDS = {
    "id", "timestamp", "prompt_hash", "prompt_length", "model", "response_length", "latency_ms", "task_type", "feedback",
    "feedback_timestamp", "metadata",
}  # fmt: skip
TASKS = {
    "Hello, how was your day?": "general",
    "Fix the bug in this Python function": "code",
    "Write a poem about the sea": "creative",
    "Analyze the pros and cons of both": "analysis",
    "Translate this into French": "translation",
    "Summarize the following text": "summarization",
}


def tell(meliora: RunningMeliora, **fields: Any) -> Answer:
    return post(meliora.gateway, "/preferences/interaction", {"model": "a", **fields})


def test_h07_an_interaction_has_the_documented_fields_and_its_task_is_recognised(meliora: RunningMeliora) -> None:
    """The prompt's hash has sixteen bytes and is keyed; the prompt itself is kept nowhere."""
    for prompt, task in TASKS.items():
        answer = tell(meliora, prompt=prompt)
        assert answer.status == 201, answer.body
        assert set(answer.json) >= FIELDS
        assert (answer.json["task_type"], answer.json["prompt_length"]) == (task, len(prompt))
        assert len(answer.json["prompt_hash"]) == 32
    assert "poem" not in get(meliora.gateway, "/preferences/export").body.decode()


def test_h07_reactions_count_and_the_score_is_the_documented_formula(meliora: RunningMeliora) -> None:
    """positive, negative, neutral, regenerate, edit; latency is a moving average of 0.9 and 0.1."""
    words = ["positive"] * 5 + ["negative"] * 2 + ["neutral", "regenerate", "edit"]
    for place, word in enumerate(words):
        told = tell(meliora, latency_ms=1000.0 if place == 0 else 2000.0, task_type="code").json
        reacted = post(meliora.gateway, "/preferences/feedback", {"interaction_id": told["id"], "feedback": word})
        assert (reacted.status, reacted.json["feedback"]) == (200, word)
    (stats,) = get(meliora.gateway, "/preferences/stats").json["models"]
    assert (stats["total_uses"], stats["positive"], stats["negative"]) == (10, 5, 2)
    assert (stats["neutral"], stats["regenerations"], stats["edits"]) == (1, 1, 1)
    latency = 2000 - 1000 * 0.9**9
    assert stats["avg_latency_ms"] == pytest.approx(latency)
    assert stats["success_rate"] == pytest.approx(5 / 7)
    score = 0.5 * 5 / 7 + 0.2 * 10 / 100 + 0.2 * (1 - latency / 10_000) + 0.1 * (1 - 1 / 10)
    assert stats["score"] == pytest.approx(score)


def test_h07_the_best_poet_is_not_sent_the_code(meliora: RunningMeliora) -> None:
    """What the original got wrong: preferences were kept by model and not by task."""
    for model, task, word in (
        ("poet", "creative", "positive"),
        ("poet", "code", "negative"),
        ("coder", "code", "positive"),
    ):
        for _ in range(6):
            tell(meliora, model=model, task_type=task, feedback=word)
    body = {"prompt": "Fix this Python function"}
    assert post(meliora.gateway, "/preferences/recommend", body).json["model"] == "coder"
    found = get(meliora.gateway, "/preferences/recommend?task_type=creative").json
    assert (found["model"], found["samples"]) == ("poet", 6)
    assert 0.5 < found["confidence"] < 1


def test_h07_style_is_learned_and_everything_moves_to_another_user(meliora: RunningMeliora) -> None:
    """Verbosity, tone, code style and depth; an export is what an import takes."""
    for place in range(10):
        liked = place % 2 == 0
        style = {"tone": "dry", "verbosity": "concise", "code_style": "typed", "explanation_depth": "deep"}
        told = style if liked else dict.fromkeys(style, "other")
        tell(meliora, id=f"i{place}", feedback="positive" if liked else "negative", metadata=told, task_type="code")
    found = get(meliora.gateway, "/preferences/style").json
    assert {name: found[name]["value"] for name in style} == style
    assert all(found[name]["samples"] == 5 for name in style)
    exported = get(meliora.gateway, "/preferences/export").json
    for one in exported["interactions"]:
        one["id"] = f"copy-{one['id']}"
    moved = post(meliora.gateway, "/preferences/import", {**exported, "user_id": "bob"})
    assert moved.json == {"imported": 10}
    assert get(meliora.gateway, "/preferences/style?user_id=bob").json == found
