"""G12: tiers, priority within a tier, the cheapest for no budget, a tier up after failures, and two answers checked by a third."""

from __future__ import annotations

import json
from pathlib import Path

from meliora.settings.models import Server, Settings
from meliora.testing.stack import RunningMeliora
from tests.acceptance.three import three_models
from tests.gateway.asking import get, post
from tests.gateway.learned import answered
from tests.gateway.raw_upstream import RawUpstream, Step
from tests.server.house import control_house

FACT = "What is the capital of France?"


def test_g12_the_higher_priority_of_a_tier_is_called_first_whatever_it_costs(tmp_path: Path, switched: None) -> None:
    """Two models of one tier, the dearer with the priority; the decision, the list and the call agree."""
    provider = {"kind": "simulated"}
    dear, cheap = {"input": 9.0, "output": 9.0}, {"input": 1.0, "output": 1.0}
    endpoint = [{"provider": "sim", "model": "simulated-small"}]
    made = Settings.model_validate(
        {
            "server": Server(state_dir=tmp_path / "state"),
            "providers": {"sim": provider},
            "models": {
                "cheap": {"tier": "fast", "endpoints": endpoint, "price": cheap},
                "dear": {"tier": "fast", "endpoints": endpoint, "price": dear, "priority": 7},
            },
        }
    )
    with RunningMeliora(made) as meliora:
        tiers = {one["tier"]: one["models"] for one in get(meliora.gateway, "/routing/tiers").json["items"]}
        assert tiers["fast"] == ["dear", "cheap"]
        body = {"model": "auto:fast", "messages": [{"role": "user", "content": FACT}]}
        assert post(meliora.gateway, "/v1/chat/completions", body).headers["x-meliora-model"] == "dear"


def test_g12_no_budget_takes_the_cheapest_and_a_small_one_what_it_pays_for(meliora: RunningMeliora) -> None:
    """0 is the cheapest model whatever the prompt; where nothing is cheap enough the least that it takes is told."""
    hard = "Analyze and compare the trade-offs of both designs, step by step."
    none = post(meliora.gateway, "/routing/route", {"prompt": hard, "budget": 0})
    assert none.status == 200, none.body
    assert (none.json["model"], none.json["reason"]) == ("simulated-small", "cheapest")
    some = post(meliora.gateway, "/routing/route", {"prompt": hard, "budget": 0.002}).json
    assert (some["model"], some["tier"]) == ("simulated-medium", "balanced")
    assert post(meliora.gateway, "/routing/route", {"prompt": hard, "budget": 1.0}).json["model"] == "simulated-large"
    refused = post(meliora.gateway, "/routing/route", {"prompt": hard, "budget": 0.0000001})
    assert (refused.status, refused.json["error"]["field"]) == (400, "budget")


def test_g12_a_conversation_that_failed_more_than_twice_goes_a_tier_up(tmp_path: Path, switched: None) -> None:
    """Counted from what was recorded; limits do not count, and what is old is forgotten."""
    with control_house(tmp_path) as house:
        client = house.client(house.key())

        def routed() -> tuple[str, str]:
            answer = client.post("/routing/route", json={"prompt": FACT, "session": "s"})
            assert answer.status_code == 200, answer.text
            return answer.json()["tier"], answer.json()["reason"]

        failed = {"session": "s", "outcome": "error", "status": 502, "error_code": "upstream_error"}
        for number in range(1, 7):
            house.call(**failed)
            house.call(**{**failed, "status": 429})
            house.ingest()
            expected = ("fast", "classifier:fast") if number < 3 else ("balanced", "escalated:balanced")
            assert routed() == (expected if number < 6 else ("deep", "escalated:deep"))
        house.clock.advance(601)
        assert routed()[0] == "fast"


AGREE = json.dumps({"agree": True, "better": "b", "conflicts": [], "confidence": 0.9})


def test_g12_two_answers_in_other_words_agree_by_the_verdict_of_a_third_and_not_by_their_letters(
    tmp_path: Path, switched: None
) -> None:
    """What the original searched for in the text ("not", "wrong") is in both answers; the verdict has a shape and is read by it."""

    def speak(_head: bytes, body: bytes) -> list[Step]:
        said = {"one": "It is not wrong to say Kyiv.", "two": "Kyiv, and not Lviv.", "judge": AGREE}
        return answered(said[json.loads(body)["model"]])

    with RawUpstream(speak) as provider, RunningMeliora(three_models(tmp_path, provider)) as meliora:
        answer = post(meliora.gateway, "/routing/crosscheck", {"prompt": FACT, "stakes": "critical"})
    assert answer.status == 200, answer.body
    said = answer.json
    assert (said["verdict"], said["answer"], said["took"]) == ("agree", "Kyiv, and not Lviv.", "b")
    assert [leg["role"] for leg in said["legs"]] == ["a", "b", "reviewer"]
    assert (said["escalated"], said["confidence"]) == (False, 0.9)
