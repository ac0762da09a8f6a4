"""H4: the classifier of tiers, by the documented formula, in the path of every call that leaves the choice to Meliora."""

from __future__ import annotations

import pytest

from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import post

PROMPTS = [
    ("What is the capital of France?", "simulated-small", "classifier:fast"),
    (
        "Compare and critically evaluate the trade-offs of both designs, step by step, and explain why the root cause lies "
        "in their assumptions.",
        "simulated-large",
        "classifier:deep",
    ),
    ("Write a Python function that parses a date", "simulated-code", "classifier:code"),
]


@pytest.mark.parametrize(("prompt", "model", "reason"), PROMPTS)
def test_h04_auto_sends_a_simple_a_hard_and_a_code_prompt_to_their_tiers(
    meliora: RunningMeliora, prompt: str, model: str, reason: str
) -> None:
    """FAST, QUALITY and CODE of the document are the tiers fast, deep and code."""
    body = {"model": "auto", "messages": [{"role": "user", "content": prompt}]}
    answer = post(meliora.gateway, "/v1/chat/completions", body)
    assert answer.headers["x-meliora-model"] == model
    assert answer.headers["x-meliora-reason"] == reason


def test_h04_the_complexity_is_the_documented_formula(meliora: RunningMeliora) -> None:
    """complexity = 0.5 pattern + 0.3 tokens/1000 + 0.2 * 0.2 questions; a preference moves it by 0.2; code is 0.85 sure."""
    from meliora.routing import decide  # the name that the request path calls
    from meliora.settings.models import Routing

    prompt = "Prove the theorem" + " and so on" * 40
    tokens = len(prompt) / 4
    found = decide.classify(prompt, settings=Routing())
    assert found.complexity == pytest.approx(0.5 * 1 + 0.3 * tokens / 1000)
    wished = decide.classify(prompt, prefer_speed=True, settings=Routing())
    assert wished.complexity == pytest.approx(found.complexity - 0.2)
    code = decide.classify("def f(x): fix this Python function", settings=Routing())
    assert (code.tier, code.confidence) == ("code", 0.85)
