"""Two answers agree where an embedding model takes them for near: one request, charged as a leg, and doubt wherever it fails."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from meliora.errors import SettingsError
from meliora.gateway.likeness import cosine
from meliora.runtime.gateway import build
from meliora.settings.models import Model, Price, Provider, Server, Settings
from meliora.telemetry.records import CallFinished, Usage
from meliora.testing.gateway import SECRET, RunningGateway, key
from meliora.testing.policies import planted
from tests.gateway.asking import QUICK, post, until
from tests.gateway.learned import KNOWN, PATH, POLICY, PRICES, TIERS, answered, asked_models, auto
from tests.gateway.raw_upstream import RawUpstream, Step, whole
from tests.gateway.test_cascade import Patience, cascade, legs, price

MODEL = "near"
NEAR, FAR = [0.9, 0.1, 0.0], [0.0, 0.0, 2.0]


def embedded(*vectors: Any, tokens: int | None = 30, after: float = 0.0) -> list[Step]:
    body: dict[str, Any] = {
        "object": "list",
        "model": MODEL,
        "data": [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(vectors)],
    }
    if tokens is not None:
        body["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    steps = whole(body)
    return [after, *steps] if after else steps


def made(tmp_path: Path, fake: RawUpstream, **cascade_settings: Any) -> Settings:
    models = {
        name: Model(tier=TIERS[name], price=Price(input=a, output=b), context_window=100_000)  # type: ignore[arg-type]
        for name, (a, b) in PRICES.items()
    }
    models[MODEL] = Model(price=Price(input=0.5), capabilities=["embeddings"])  # type: ignore[list-item]
    usual = {"agreement": "embedding", "embedding_model": MODEL, "latency": 5}
    return Settings.model_validate(
        {
            "server": Server(state_dir=tmp_path / "state"),
            "providers": {"p": Provider(base_url=fake.base_url_openai, models=list(models), region="eu")},
            "models": models,
            "gateway": QUICK,
            "routing": cascade(**usual | cascade_settings),
        }
    )


FIRST, SECOND = "The sky scatters blue light most.", "Blue light is scattered the most by the sky."
WORDS = {"tiny": answered(FIRST), "small": answered(SECOND), "big": answered("Rayleigh.")}


def fake_of(steps: dict[str, list[Step]]) -> RawUpstream:
    return RawUpstream(lambda _head, body: steps[json.loads(body)["model"]])


@contextmanager
def served(
    tmp_path: Path, steps: dict[str, list[Step]], *, keys=None, **settings: Any
) -> Iterator[tuple[RawUpstream, RunningGateway]]:
    with fake_of(WORDS | steps) as fake:
        running = RunningGateway(made(tmp_path, fake, **settings), keys or (key(),), policies={"default": POLICY})
        with running as gateway:
            yield fake, gateway


def go(tmp_path: Path, steps: dict[str, list[Step]], body=None, *, keys=None, **settings: Any):
    with served(tmp_path, steps, keys=keys, **settings) as (fake, gateway):
        answer = post(gateway, PATH, body or auto())
        [record] = gateway.finished(1)
        metrics = gateway.gateway.house.means.metrics.render().decode()
    return answer, record, fake, metrics


def counted(metrics: str) -> dict[str, float]:
    lines = [line for line in metrics.splitlines() if line.startswith("meliora_cascade_likeness_total{")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


def test_answers_that_are_near_agree_and_the_comparison_is_charged_as_a_leg(tmp_path: Path) -> None:
    answer, record, fake, metrics = go(tmp_path, {MODEL: embedded(NEAR, [0.85, 0.12, 0.01])})
    assert answer.json["choices"][0]["message"]["content"] == FIRST
    assert (record.model, record.reason) == ("tiny", "policy:3;cascade:agreed")
    assert sorted(asked_models(fake)) == [MODEL, "small", "tiny"]
    head, body = next(one for one in fake.requests if json.loads(one[1])["model"] == MODEL)
    assert head.startswith(b"POST /v1/embeddings ") and json.loads(body)["input"] == [FIRST, SECOND]
    assert SECRET.encode() not in head
    cost = price("tiny") + price("small") + 15
    assert record.cost_micros == cost and answer.headers["x-meliora-cost"] == f"0.{cost:06d}"
    assert legs(record)[MODEL] == (False, 15, None)
    assert [leg.model for leg in record.legs] == ["tiny", "small", MODEL]
    assert record.usage == Usage(input=50, output=10)
    assert len(record.attempts) == 3
    assert all(record.started_us <= leg.started_us <= leg.ended_us <= record.ended_us for leg in record.legs)
    assert counted(metrics) == {"alike": 1}


def test_answers_that_are_far_do_not_and_all_four_are_charged(tmp_path: Path) -> None:
    _, record, _, metrics = go(tmp_path, {MODEL: embedded(NEAR, FAR, tokens=None)})
    assert (record.model, record.reason) == ("big", "policy:3;cascade:strong")
    assert [leg.model for leg in record.legs] == ["tiny", "small", MODEL, "big"]
    estimate = legs(record)[MODEL][1]
    assert estimate is not None and estimate > 0, "what its provider does not count is estimated by the texts' length"
    assert record.cost_micros == sum(price(name) for name in PRICES) + estimate
    assert counted(metrics) == {"unlike": 1}


@pytest.mark.parametrize(("similarity", "agreed"), [(0.7, True), (0.71, False)])
def test_how_near_is_near_enough_is_a_setting(tmp_path: Path, similarity: float, agreed: bool) -> None:
    _, record, _, _ = go(tmp_path, {MODEL: embedded([1, 0], [1, 1])}, similarity=similarity)
    assert record.reason.endswith("agreed" if agreed else "strong")


def test_the_same_final_answer_agrees_without_asking(tmp_path: Path) -> None:
    steps = {"tiny": answered("So the answer is 4."), "small": answered("**Answer:** 4"), MODEL: embedded(NEAR, FAR)}
    _, record, fake, metrics = go(tmp_path, steps)
    assert record.reason.endswith("agreed") and MODEL not in asked_models(fake)
    assert len(record.legs) == 2 and counted(metrics) == {}


def calling(arguments: str) -> list[Step]:
    function = {"name": "f", "arguments": arguments}
    message = {
        "role": "assistant",
        "content": "I look it up.",
        "tool_calls": [{"id": "a", "type": "function", "function": function}],
    }
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return whole({"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (answered(""), answered("")),
        (answered(FIRST), answered("  \n")),
        (calling('{"a": 1}'), calling('{"a": 2}')),
        (answered(FIRST), calling("{}")),
    ],
)
def test_tool_calls_and_empty_answers_are_never_compared_by_meaning(tmp_path: Path, first, second) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    steps = {"tiny": first, "small": second, MODEL: embedded(NEAR, NEAR)}
    _, record, fake, _ = go(tmp_path, steps, auto(tools=tools), tools=True)
    assert record.reason.endswith("strong") and MODEL not in asked_models(fake)


@pytest.mark.parametrize(
    ("steps", "paid"),
    [
        (whole({"error": {"message": "no", "type": "api_error"}}, "500 X"), False),
        (whole({"error": {"message": "no"}}, "400 X"), False),
        ([None], False),
        (whole(b"no json"), False),
        (embedded(NEAR), True),
        (embedded(NEAR, NEAR, NEAR), True),
        (embedded(NEAR, [1.0]), True),
        (embedded(NEAR, "AAAA"), True),
        (whole(b'{"data": [{"embedding": [1, NaN]}, {"embedding": [1, 2]}], "usage": {"prompt_tokens": 30}}'), None),
        (whole(b'{"data": [{"embedding": [1e999]}, {"embedding": [1]}], "usage": {"prompt_tokens": 30}}'), None),
        (answered("I am no embedding model"), None),
    ],
)
def test_what_cannot_be_compared_does_not_agree_and_is_counted(tmp_path: Path, steps, paid: bool | None) -> None:
    answer, record, _, metrics = go(tmp_path, {MODEL: steps})
    assert answer.status == 200 and record.model == "big"
    assert counted(metrics) == {"failed": 1}
    assert [attempt.model for attempt in record.attempts].count(MODEL) == 1, "it is not tried again"
    leg = next(leg for leg in record.legs if leg.model == MODEL)
    assert leg.error and not leg.accepted
    assert record.cost_micros is not None
    if paid is not None:
        assert leg.cost_micros == (15 if paid else 0), "an answer that does not fit was paid for all the same"


def test_a_vector_of_nothing_is_near_to_nothing() -> None:
    body = {"data": [{"embedding": [0.0, 0.0]}, {"embedding": [0.0, 0.0]}]}
    assert cosine(body) == 0


def test_the_comparison_has_what_is_left_of_the_cascades_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patience = Patience(monkeypatch)
    _, record, _, metrics = go(tmp_path, {MODEL: [patience.end, 30.0]}, latency=0.4)
    assert patience.seconds == 0.4
    assert record.model == "big" and legs(record)[MODEL] == (False, None, "cancelled")
    assert record.cost_micros is None, "never as if it had cost nothing"
    assert counted(metrics) == {"cancelled": 1}


def test_a_client_that_leaves_takes_the_comparison_with_it(tmp_path: Path) -> None:
    with served(tmp_path, {MODEL: embedded(NEAR, NEAR, after=20)}, latency=30) as (fake, gateway):
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
        head = {"content-type": "application/json", "authorization": f"Bearer {SECRET}"}
        connection.request("POST", PATH, json.dumps(auto()), head)
        until(lambda: len(fake.requests) == 3)
        connection.close()
        [record] = gateway.finished(1)
        until(lambda: gateway.gateway.house.admission.in_flight == 0)
    assert (record.outcome, record.error_code) == ("cancelled", "client_left")
    assert {name: leg[2] for name, leg in legs(record).items()} == {"tiny": None, "small": None, MODEL: "cancelled"}


@pytest.mark.parametrize("name", ["nobody", "simulated-small", "simulated-embeding"])
def test_a_model_that_gives_no_embeddings_is_refused_at_the_start(tmp_path: Path, name: str) -> None:
    wanted = cascade(agreement="embedding", embedding_model=name)
    with pytest.raises(SettingsError, match=f"'{name}' is no model that gives embeddings"):
        build(Settings.model_validate({"server": Server(state_dir=tmp_path / "state"), "routing": wanted}))


def test_a_model_whose_provider_cannot_embed_agrees_to_nothing(tmp_path: Path) -> None:
    with fake_of(WORDS) as fake:
        settings = made(tmp_path, fake)
        claude = Provider(kind="anthropic", base_url=fake.base_url_openai, models=[MODEL])
        own = settings.providers["p"].model_copy(update={"models": list(PRICES)})
        settings = settings.model_copy(update={"providers": {"p": own, "a": claude}})
        with RunningGateway(settings, policies={"default": POLICY}) as gateway:
            post(gateway, PATH, auto())
            [record] = gateway.finished(1)
    assert record.model == "big" and legs(record)[MODEL][:2] == (False, 0)
    assert MODEL not in asked_models(fake)


def test_a_key_that_may_not_use_the_model_agrees_to_nothing_by_it(tmp_path: Path) -> None:
    steps = {MODEL: embedded(NEAR, NEAR)}
    _, record, fake, metrics = go(tmp_path, steps, keys=(key(models=("tiny", "small", "big")),))
    assert record.model == "big" and MODEL not in asked_models(fake)
    assert counted(metrics) == {"forbidden": 1}
    assert len(record.legs) == 3


def test_budgets_and_analytics_know_what_the_comparison_took(tmp_path: Path) -> None:
    from meliora.store.calls.sums import Sums

    mine = key(budget_day_micros=10_000_000)
    with served(tmp_path, {MODEL: embedded(NEAR, NEAR)}, keys=(mine,)) as (_, gateway):
        post(gateway, PATH, auto())
        [record] = gateway.finished(1)
        [wish] = {
            one.period: one for one in gateway.gateway.house.admission.ledger.wishes(gateway.clock.now_us())
        }.values()
    assert wish.spent_micros == record.cost_micros == price("tiny") + price("small") + 15
    found = {name[2]: tally for name, tally in Sums.of([record]).daily.items()}
    assert (found[MODEL][4], found[MODEL][9]) == (30, 15)


def test_the_simulated_provider_can_show_it_without_a_key(tmp_path: Path) -> None:
    names = dict(zip(("simulated-small", "simulated-medium", "simulated-large"), KNOWN.values(), strict=True))
    made = Settings.model_validate(
        {
            "server": Server(state_dir=tmp_path / "state"),
            "routing": cascade(agreement="embedding", embedding_model="simulated-embedding", similarity=0.05),
        }
    )
    with RunningGateway(made, policies={"default": planted(names, number=3)}) as gateway:
        found: list[CallFinished] = []
        for number in range(12):
            post(gateway, PATH, auto(f"Tell me a story about the sea, number {number}."))
        found = gateway.finished(12)
    compared = [record for record in found if "simulated-embedding" in legs(record)]
    assert compared and any(record.reason.endswith("agreed") for record in compared)
    assert all(record.cost_micros for record in compared)
