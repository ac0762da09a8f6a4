"""I14: the documented reward of rating, cost and speed, and selection probabilities that stay within 0.1 and 0.9."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.routing.learned.snapshot import encode
from meliora.settings.models import Settings
from meliora.testing.policies import planted
from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import get, post

KNOWN = {"simulated-small": (0.6, 0.0001), "simulated-medium": (0.7, 0.001), "simulated-large": (0.9, 0.01)}
PATH = "/v1/chat/completions"


def _settings(tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {
            "server": {"state_dir": tmp_path / "state"},
            "learning": {"exploration": 0.9},
            "routing": {
                "exploration": {"floor": 0.1, "cap": 0.9},
                "reward": {"formula": "documented"},
                "dial": {"willingness_to_pay": 0.001},
            },
        }
    )


def test_i14_a_word_becomes_the_documented_reward_of_a_choice_whose_probabilities_are_bounded(
    tmp_path: Path, switched: None
) -> None:
    """rating + .3 max(0, 1 - cost/.01) + .2 max(0, 1 - ms/5000), over its greatest value; each model between .1 and .9."""
    with RunningMeliora(_settings(tmp_path)) as meliora:
        snapshots = meliora.store.routing_snapshots
        made = snapshots.add("default", lambda n: encode(planted(KNOWN, number=n)), kind="fit", made_by="cli")
        snapshots.promote("default", made.number)
        meliora.wait(lambda: "default" in meliora.gateway.gateway.snapshot.loaded.policies, 10)
        body = {"model": "auto", "messages": [{"role": "user", "content": "Tell me about the harbour of Odesa."}]}
        ids: list[str] = []
        for word in ("rating_5", "thumbs_down"):
            answer = post(meliora.gateway, PATH, body)
            assert answer.headers["x-meliora-reason"].startswith("policy:"), answer.headers
            ids.append(answer.headers["x-meliora-call"])
            meliora.settle()
            given = {"call_id": ids[-1], "feedback_type": word}
            assert post(meliora.gateway, "/api/v1/learning/feedback", given).status == 200
        meliora.settle()
        outcomes = [meliora.store.outcomes.get("default", one) for one in ids]
        calls = [get(meliora.gateway, f"/api/v1/calls/{one}").json for one in ids]
    for outcome, call, rating in zip(outcomes, calls, (1.0, 0.0), strict=True):
        cost, seconds = call["cost_micros"] / 1e6, (call["ended_us"] - call["started_us"]) / 1e6
        total = rating + 0.3 * max(0, 1 - cost / 0.01) + 0.2 * max(0, 1 - seconds * 1000 / 5000)
        assert outcome.reward == pytest.approx(total / 1.5)
        served = [one.served for one in outcome.candidates]
        assert len(served) == 4 and sum(served) == pytest.approx(1, abs=1e-4)
        assert all(0.1 - 1e-9 <= chance <= 0.9 for chance in served), served
