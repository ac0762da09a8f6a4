"""A cascade in the request path: both cheap models are asked, every leg is charged, nothing is left running."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from meliora.errors import SettingsError
from meliora.gateway import cascade as cascading
from meliora.gateway.cascade import verifier_of
from meliora.gateway.legs import cost_of, summed
from meliora.gateway.state import LeaseGrant
from meliora.telemetry.records import CallFinished, Leg, Usage
from meliora.testing.gateway import RunningGateway, key
from meliora.testing.policies import laddered, planted
from tests.gateway.asking import opened, post, until
from tests.gateway.learned import KNOWN, PATH, POLICY, PRICES, answered, asked_models, auto, failing, settings, upstream
from tests.gateway.raw_upstream import Step

ALL = {**PRICES, "odd": (3.0, 6.0)}
TIE = laddered(planted({**KNOWN, "odd": (0.7, 0.0002)}, number=3), {("tiny", "small", "odd", "big"): (0.95, 0.3)})
"""A policy that would ask a third where the first two differ."""


def cascade(**more):
    return {
        "exploration": {"enabled": False},
        "dial": {"willingness_to_pay": 0.005},
        "cascade": {"enabled": True, **more},
    }


def go(tmp_path: Path, steps, body=None, *, routing=None, keys=None, policy=POLICY, **headers):
    with upstream(steps) as fake:
        made = settings(tmp_path, fake, routing or cascade(), ALL if policy is TIE else PRICES)
        with RunningGateway(made, keys or (key(),), policies={"default": policy}) as gateway:
            answer = post(gateway, PATH, body or auto(), **headers)
            [record] = gateway.finished(1)
    return answer, record, asked_models(fake)


class Patience:
    """Stands in for the clock of a cascade: its time is over when the test says so, however slow the machine is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds: float | None = None
        """As it was configured."""
        monkeypatch.setattr(cascading, "asyncio", SimpleNamespace(**{**vars(asyncio), "timeout": self._timeout}))

    def _timeout(self, seconds: float) -> asyncio.Timeout:
        self.seconds, self._loop, self._made = seconds, asyncio.get_running_loop(), asyncio.timeout(None)
        return self._made

    def end(self) -> None:
        """Let the time be over; from any thread."""
        self._loop.call_soon_threadsafe(self._made.reschedule, 0.0)


def free(gateway: RunningGateway) -> int:
    """Count the connections to providers that no call uses: what they carried is read."""
    accounts = gateway.gateway.snapshot.catalog.accounts.values()
    return sum(len(account.upstream.pool._idle) for account in accounts)  # type: ignore[attr-defined]


def price(model: str, tokens: tuple[int, int] = (10, 5)) -> int:
    return round(tokens[0] * ALL[model][0] + tokens[1] * ALL[model][1])


def legs(record: CallFinished) -> dict[str, tuple[bool, int | None, str | None]]:
    return {leg.model: (leg.accepted, leg.cost_micros, leg.error) for leg in record.legs}


def test_where_they_agree_the_cheaper_answer_is_given_and_the_strong_model_is_not_asked(tmp_path: Path) -> None:
    steps = {"tiny": answered("So the answer is 4."), "small": answered("**Answer:** 4", tokens=(10, 50))}
    answer, record, asked = go(tmp_path, steps)
    assert answer.json["choices"][0]["message"]["content"] == "So the answer is 4."
    assert sorted(asked) == ["small", "tiny"]
    assert answer.headers["x-meliora-model"] == record.model == "tiny"
    assert record.reason == "policy:3;cascade:agreed"
    cost = price("tiny") + price("small", (10, 50))
    assert record.cost_micros == cost
    assert answer.headers["x-meliora-cost"] == f"0.{cost:06d}"
    assert legs(record) == {
        "tiny": (True, price("tiny"), None),
        "small": (False, price("small", (10, 50)), None),
    }
    assert record.usage == Usage(input=20, output=55)
    assert len(record.attempts) == 2
    assert record.routing is not None
    assert record.routing.decided_by == "cascade"


def test_where_they_do_not_the_strong_model_answers_and_all_three_are_charged(tmp_path: Path) -> None:
    steps = {"tiny": answered("Answer: 4"), "small": answered("Answer: 5"), "big": answered("Answer: 6")}
    answer, record, asked = go(tmp_path, steps)
    assert answer.json["choices"][0]["message"]["content"] == "Answer: 6"
    assert asked[2] == "big"
    assert (record.model, record.reason) == ("big", "policy:3;cascade:strong")
    assert record.cost_micros == price("tiny") + price("small") + price("big")
    assert [leg.model for leg in record.legs] == ["tiny", "small", "big"]
    assert [leg.accepted for leg in record.legs] == [False, False, True]
    assert all(record.started_us <= leg.started_us <= leg.ended_us <= record.ended_us for leg in record.legs)


@pytest.mark.parametrize(
    ("third", "model", "content"),
    [("Answer: 4", "tiny", "Answer: 4"), ("5", "small", "Answer: 5"), ("Answer: 7", "big", "Answer: 6")],
)
def test_a_third_breaks_the_tie_of_two_and_is_charged_whatever_it_says(tmp_path: Path, third, model, content) -> None:
    steps = {
        "tiny": answered("Answer: 4"),
        "small": answered("Answer: 5"),
        "odd": answered(third),
        "big": answered("Answer: 6"),
    }
    answer, record, asked = go(tmp_path, steps, policy=TIE)
    assert answer.json["choices"][0]["message"]["content"] == content
    assert record.model == answer.headers["x-meliora-model"] == model
    assert record.reason == f"policy:3;cascade:{'strong' if model == 'big' else 'agreed'}"
    assert asked[2:] == (["odd", "big"] if model == "big" else ["odd"]), (
        "the third only when the two are known to differ"
    )
    assert [leg.model for leg in record.legs if leg.accepted] == [model]
    assert record.cost_micros == sum(price(name) for name in asked)
    assert len(record.legs) == len(asked)


def test_a_third_is_not_asked_where_two_agree(tmp_path: Path) -> None:
    _, record, asked = go(tmp_path, {"tiny": answered("4"), "small": answered("4")}, policy=TIE)
    assert (record.model, sorted(asked)) == ("tiny", ["small", "tiny"])


@pytest.mark.parametrize("broken", [failing(), failing("400 X"), [None]])
def test_a_third_that_fails_leaves_it_to_the_strong_model(tmp_path: Path, broken) -> None:
    steps = {"tiny": answered("4"), "small": answered("5"), "odd": broken, "big": answered("4")}
    answer, record, asked = go(tmp_path, steps, policy=TIE)
    assert (answer.status, record.model) == (200, "big")
    assert asked.index("odd") == 2
    assert legs(record)["odd"][:2] == (False, 0)
    assert record.cost_micros == price("tiny") + price("small") + price("big")


def test_a_third_that_takes_too_long_is_left_and_what_it_cost_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = Patience(monkeypatch)
    steps = {"tiny": answered("4"), "small": answered("5"), "odd": [patience.end, 30.0], "big": answered("4")}
    _, record, _ = go(tmp_path, steps, routing=cascade(latency=0.5), policy=TIE)
    assert patience.seconds == 0.5
    assert record.model == "big"
    assert legs(record)["odd"] == (False, None, "cancelled")
    assert record.cost_micros is None


@pytest.mark.parametrize("broken", [failing(), failing("429 X"), failing("400 X"), [None]])
def test_a_leg_that_fails_costs_nothing_and_the_strong_model_answers(tmp_path: Path, broken) -> None:
    steps = {"tiny": broken, "small": answered("4"), "big": answered("4")}
    answer, record, asked = go(tmp_path, steps)
    assert answer.status == 200
    assert record.model == "big"
    assert asked.count("tiny") == 1, "a leg is not tried again"
    tiny = next(leg for leg in record.legs if leg.model == "tiny")
    assert (tiny.cost_micros, tiny.accepted) == (0, False)
    assert tiny.error


def test_two_that_take_too_long_are_left_and_what_they_cost_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them has answered when the time is over: its connection is free again."""
    patience = Patience(monkeypatch)
    steps: dict[str, list[Step]] = {"small": answered("4"), "big": answered("4")}
    with upstream(steps) as fake:
        made = settings(tmp_path, fake, cascade(latency=0.2))
        with RunningGateway(made, policies={"default": POLICY}) as gateway:
            steps["tiny"] = [lambda: until(lambda: free(gateway) == 1), patience.end, 30.0]
            post(gateway, PATH, auto())
            [record] = gateway.finished(1)
    assert patience.seconds == 0.2
    assert record.model == "big"
    assert legs(record)["tiny"] == (False, None, "cancelled")
    assert legs(record)["small"] == (False, price("small"), None)
    assert record.cost_micros is None, "never as if it had cost nothing"


def test_a_strong_model_that_fails_falls_back_and_the_record_has_every_leg(tmp_path: Path) -> None:
    steps = {"tiny": answered("4"), "small": answered("5"), "big": failing("400 X")}
    answer, record, _ = go(tmp_path, steps)
    assert answer.status == 400
    assert (record.outcome, record.model) == ("error", None)
    assert legs(record)["big"][:2] == (False, 0)
    assert record.cost_micros == price("tiny") + price("small")


def test_a_client_that_leaves_takes_both_legs_with_it(tmp_path: Path) -> None:
    steps = {"tiny": answered("4", after=20), "small": answered("4", after=20)}
    with upstream(steps) as fake:
        made = settings(tmp_path, fake, cascade(latency=30))
        with RunningGateway(made, policies={"default": POLICY}) as gateway:
            import http.client
            import json

            from meliora.testing.gateway import SECRET

            connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
            head = {"content-type": "application/json", "authorization": f"Bearer {SECRET}"}
            connection.request("POST", PATH, json.dumps(auto()), head)
            until(lambda: len(fake.requests) == 2)
            connection.close()
            [record] = gateway.finished(1)
            until(lambda: gateway.gateway.house.admission.in_flight == 0)
    assert (record.outcome, record.error_code) == ("cancelled", "client_left")
    assert {leg.error for leg in record.legs} == {"cancelled"}
    assert len(record.legs) == 2


@pytest.mark.parametrize(
    "body", [auto(stream=True), auto(tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}])]
)
def test_streams_and_tools_are_asked_of_one_model(tmp_path: Path, body) -> None:
    with upstream({}) as fake:
        made = settings(tmp_path, fake, cascade())
        with RunningGateway(made, policies={"default": POLICY}) as gateway:
            with opened(gateway, PATH, body) as response:
                response.read()
            [record] = gateway.finished(1)
    assert len(asked_models(fake)) >= 1
    assert record.legs == ()


def test_a_cascade_for_tools_can_be_switched_on(tmp_path: Path) -> None:
    body = auto(tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}])
    _, record, _ = go(tmp_path, {}, body, routing=cascade(tools=True))
    assert record.reason == "policy:3;cascade:agreed"


def test_the_budget_is_settled_with_the_sum_of_the_legs(tmp_path: Path) -> None:
    mine = key(budget_day_micros=10_000_000)
    steps = {"tiny": answered("4"), "small": answered("5"), "big": answered("6")}
    with upstream(steps) as fake:
        made = settings(tmp_path, fake, cascade())
        with RunningGateway(made, (mine,), policies={"default": POLICY}) as gateway:
            ledger = gateway.gateway.house.admission.ledger
            post(gateway, PATH, auto())
            [record] = gateway.finished(1)
            wishes = ledger.wishes(gateway.clock.now_us())
            ledger.grant([LeaseGrant(one.key_id, one.period, 0, spent_micros=one.spent_micros) for one in wishes])
            assert ledger.spent(mine, gateway.clock.now_us())[0] == record.cost_micros
    assert record.cost_micros == price("tiny") + price("small") + price("big")


def same_length(prompt: str, first: str, second: str) -> bool:
    return prompt != "" and len(first) == len(second)


def failing_verifier(prompt: str, first: str, second: str) -> bool:
    raise RuntimeError("not now")


@pytest.mark.parametrize(
    ("function", "reason"), [("same_length", "cascade:agreed"), ("failing_verifier", "cascade:strong")]
)
def test_the_users_own_function_may_say_whether_two_answers_agree(tmp_path: Path, function: str, reason: str) -> None:
    steps = {"tiny": answered("Answer: 4"), "small": answered("Answer: 5"), "big": answered("6")}
    routing = cascade(agreement="verifier", verifier=f"tests.gateway.test_cascade:{function}")
    _, record, _ = go(tmp_path, steps, routing=routing)
    assert record.reason.endswith(reason)


@pytest.mark.parametrize("name", ["nowhere.at.all:f", "json:nothing", "json:__name__"])
def test_a_verifier_that_cannot_be_loaded_is_refused_at_the_start(name: str) -> None:
    with pytest.raises(SettingsError, match="verifier"):
        verifier_of(name)


def test_what_is_not_known_of_a_leg_is_not_known_of_the_sum() -> None:
    known = Leg("a", 0, 1, usage=Usage(input=1, output=2, cached=1), cost_micros=5)
    assert cost_of([known, known]) == 10
    assert cost_of([known, Leg("b", 0, 1)]) is None
    assert summed([known.usage, None, Usage(input=1, output=2)]) == Usage(input=2, output=4, cached=1)
    assert summed([known.usage, Usage(input=1)]) == Usage(input=2, output=None, cached=1)
    assert summed([None, None]) is None
