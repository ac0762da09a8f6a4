"""The whole way of an outcome: a call that a policy decided, a word about it, a moved posterior, the next snapshot at the gateway."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

from meliora.routing.learned.policy import Policy
from meliora.routing.learned.snapshot import encode
from meliora.settings.models import Server, Settings
from meliora.settings.routing import Exploration, Routing
from meliora.store.calls.feedbacks import FeedbackGiven
from meliora.testing.gateway import SECRET
from meliora.testing.policies import planted
from meliora.testing.stack import RunningMeliora

SMALL, LARGE = "simulated-small", "simulated-large"


def post(running: RunningMeliora, path: str, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    asked = urllib.request.Request(
        f"{running.gateway.url}{path}",
        json.dumps(body).encode(),
        {"authorization": f"Bearer {SECRET}", "content-type": "application/json", "x-meliora-user": "ann"},
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return json.load(answer), dict(answer.headers)


def serve(running: RunningMeliora, policy: Policy) -> int:
    shelf = running.store.routing_snapshots
    made = shelf.add("default", lambda number: encode(replace(policy, number=number)), kind="fit", made_by="test")
    shelf.promote("default", made.number)
    wait_for(running, made.number)
    return made.number


def wait_for(running: RunningMeliora, number: int) -> None:
    """Ask until the policy of that number decides: all gateways converge within two seconds."""
    running.wait(lambda: ask(running)["x-meliora-reason"].startswith(f"policy:{number}"), 20)


def ask(running: RunningMeliora) -> dict[str, str]:
    message = {"role": "user", "content": "What is the capital of Peru?"}
    _, headers = post(running, "/v1/chat/completions", {"model": "auto", "messages": [message]})
    return {name.lower(): value for name, value in headers.items()}


def test_a_word_about_a_routed_call_reaches_the_gateways_as_a_new_snapshot(tmp_path: Path) -> None:
    certain = Routing(exploration=Exploration(enabled=False))
    with RunningMeliora(Settings(server=Server(state_dir=tmp_path / "var"), routing=certain)) as running:
        serve(running, planted({SMALL: (0.9, 0.0001), LARGE: (0.91, 0.01)}))
        call = ask(running)
        assert call["x-meliora-model"] == SMALL
        running.settle()
        kept = running.store.outcomes.get("default", call["x-meliora-call"])
        assert (kept.model, kept.snapshot, kept.reward) == (SMALL, 1, None)
        assert kept.propensity == 1.0
        given = FeedbackGiven(feedback_type="thumbs_down", call_id=call["x-meliora-call"])
        running.store.feedbacks.give("default", given)
        running.settle()
        running.settle()
        serving = running.store.routing_snapshots.serving("default")
        assert serving is not None and (serving.number, serving.kind, serving.evidence["outcomes"]) == (2, "online", 1)
        wait_for(running, 2)
