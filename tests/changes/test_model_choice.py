"""A change of the model that answers: compared on like calls, tried for what was complained of, taken back to what stood before."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from meliora.changes.model_choice.compare import between_models
from meliora.changes.model_choice.kind import ModelChoice, Offer
from meliora.changes.model_choice.shelf import Cell, Sums
from meliora.errors import Conflict, UnknownModel
from meliora.gateway.state import ChoiceState
from meliora.loop.change import Change
from meliora.loop.kind import Proof
from meliora.routing.pool import Candidate, Pool
from meliora.store.calls.feedbacks import FeedbackGiven
from meliora.telemetry.records import Attempt, Usage
from meliora.testing.contract import KindBench, check_kind
from tests.changes.house import Deployment, Deployments
from tests.changes.overlays import decode

OFFERED = Pool(
    [
        Candidate("large", tier="deep", input_price=5, output_price=15, fallbacks=("other",), context_window=8000),
        Candidate("small", tier="deep", input_price=0.5, output_price=1, context_window=8000),
        Candidate("other", tier="deep", input_price=4, output_price=12, context_window=32_000),
        Candidate("blind", tier="fast", input_price=0.1, output_price=0.1, context_window=100),
    ]
)
ENDPOINTS = {"large": ("a/large", "b/large", "c/large"), "small": ("a/small",)}
DEAR = {"measured": "cost", "slices": [{"attributes": {"model": "large", "task": "chat"}}]}


def kind_of(here: Deployment, pool: Pool = OFFERED, endpoints: Mapping[str, Sequence[str]] = ENDPOINTS) -> ModelChoice:
    shelf, calls = here.faults.around(here.store.model_choices), here.faults.around(here.store.comparisons)
    return ModelChoice(shelf, calls, Offer(lambda: pool, lambda: endpoints), here.fences.check)


def answered(
    here: Deployment,
    model: str,
    count: int,
    *,
    micros: int = 10_000,
    liked: float | None = 1.0,
    ms: float = 400,
    **over: Any,
) -> None:
    """Record answers of a model: what they cost, how long they took (with noise), and whether people liked them (None: nobody said)."""
    calls = []
    for _ in range(count):
        here.clock.advance(1)
        now = here.clock.now_us()
        took = round(ms * 1000 * here.random.uniform(0.9, 1.1))
        cost = round(micros * here.random.uniform(0.9, 1.1))
        calls.append(here.call(model=model, cost_micros=cost, started_us=now - took, **over))
    here.ingest(calls)
    for call in calls:
        if liked is not None:
            rating = "thumbs_up" if here.random.random() < liked else "thumbs_down"
            here.store.feedbacks.give("default", FeedbackGiven(feedback_type=rating, call_id=call.id))


def failed(here: Deployment, model: str, count: int, **over: Any) -> None:
    broken = {"outcome": "error", "status": 502, "error_code": "upstream_error", "cost_micros": None}
    here.ingest([here.call(model=model, **(broken | over)) for _ in range(count)])


def tried(here: Deployment, endpoint: str, count: int, errors: int, ms: int = 300) -> None:
    """Record tries of the model large at one of its endpoints."""
    calls = []
    for number in range(count):
        here.clock.advance(1)
        now = here.clock.now_us()
        bad = number < errors
        one = Attempt(endpoint, "large", now - ms * 1000, now, 503 if bad else 200, "upstream_error" if bad else None)
        calls.append(here.call(model="large", attempts=(one,)))
    here.ingest(calls)


def proposed(here: Deployment, finding: dict[str, Any], **over: Any) -> tuple[ModelChoice, Change]:
    kind = kind_of(here, **over)
    return kind, here.proposed(kind, here.change("model_choice"), finding)


def proof(here: Deployment, kind: ModelChoice, change: Change) -> Proof:
    found = kind.prove(change, here.work(change))
    assert isinstance(found, Proof)
    return found


def bench(here: Deployment, finding: dict[str, Any]) -> KindBench:
    def put(name: str, model: str = "large", task: str | None = "chat") -> None:
        here.clock.advance(1)
        choice = ChoiceState(name, "default", model, "other", None, task)
        here.store.model_choices.put("default", choice, "chg_before")

    def forget() -> None:
        with here.store.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM calls")

    def lose(change: Change) -> None:
        here.store.model_choices.retire("default", change.baseline or "")
        if change.baseline is None:
            put("choice_third")

    here.clock.advance(1)
    return KindBench(
        build=lambda: kind_of(here),
        change=here.change("model_choice"),
        state=lambda: [kept.state for kept in here.store.model_choices.list("default")],
        decode=decode,
        lose_data=forget,
        lose_baseline=lose,
        replace=lambda: put("choice_third"),
        faults=here.faults,
        fences=here.fences,
        finding=finding,
        now_us=here.clock.now_us,
    )


def test_a_cheaper_model_keeps_the_contract(deployments: Deployments) -> None:
    def furnish(here: Deployment) -> None:
        answered(here, "large", 150)
        answered(here, "small", 150, micros=1000)
        choice = ChoiceState("choice_before", "default", "large", "other", None, "chat")
        here.store.model_choices.put("default", choice, "chg_before")

    check_kind(lambda: bench(deployments(furnish), DEAR))


def test_another_order_of_endpoints_keeps_the_contract(deployments: Deployments) -> None:
    finding = {"measured": "errors", "slices": [{"attributes": {"endpoint": "a/large", "task": "chat"}}]}

    def furnish(here: Deployment) -> None:
        tried(here, "a/large", 100, 40)
        tried(here, "b/large", 100, 1)

    check_kind(lambda: bench(deployments(furnish), finding))


def test_a_cheaper_model_whose_answers_are_as_good_is_proved_and_tried_for_cost(here: Deployment) -> None:
    answered(here, "large", 300)
    answered(here, "small", 300, micros=1000)
    kind, change = proposed(here, DEAR)
    assert (change.target, change.payload["choice"]["serve"]) == ("model:large:chat", "small")
    found = proof(here, kind, change)
    assert found.verdict == "passed", found.sentence
    figures = {one.name: one for one in found.figures}
    assert figures["cost"].value == pytest.approx(-0.009, rel=0.05)
    plan = kind.trial(change)
    assert plan is not None and plan.primary == "cost_per_call"
    assert {"reward", "error_rate", "latency_p95"} == {one.metric for one in plan.guardrails}


def test_a_cheaper_model_whose_answers_are_worse_is_not_proposed(here: Deployment) -> None:
    answered(here, "large", 200, liked=0.95)
    answered(here, "small", 200, micros=1000, liked=0.4)
    answered(here, "other", 200, micros=9000, liked=0.95)
    kind, change = proposed(here, DEAR)
    assert change.payload["choice"]["serve"] == "other"
    assert proof(here, kind, change).verdict in ("passed", "inconclusive")


@pytest.mark.parametrize(
    ("count", "liked"), [(10, 1.0), (0, None), (200, None)], ids=["too few calls", "no calls", "nobody judged them"]
)
def test_where_too_little_is_known_of_the_other_model_the_proof_is_inconclusive(
    here: Deployment, count: int, liked: float | None
) -> None:
    answered(here, "large", 200)
    answered(here, "small", count, micros=1000, liked=liked)
    kind, change = proposed(here, DEAR)
    assert change.payload["choice"]["serve"] == "other" or proof(here, kind, change).verdict == "inconclusive"
    assert proof(here, kind, change).verdict == "inconclusive"


def test_calls_of_another_length_or_task_are_not_compared(here: Deployment) -> None:
    answered(here, "large", 200)
    answered(here, "small", 200, micros=100, usage=Usage(input=9000, output=50))
    kind, change = proposed(here, {"measured": "cost", "slices": [{"attributes": {"model": "large"}}]})
    found = proof(here, kind, change)
    assert found.verdict == "inconclusive" and "none are alike" in found.sentence


def test_a_model_that_cannot_do_what_the_present_one_can_is_no_candidate(here: Deployment) -> None:
    answered(here, "large", 100)
    answered(here, "blind", 300, micros=10)
    _, change = proposed(here, DEAR)
    assert change.payload["choice"]["serve"] == "small", "blind is cheaper, and too short of sight"


def test_where_nothing_may_stand_in_there_is_nothing_to_offer(here: Deployment) -> None:
    answered(here, "large", 100)
    kind = kind_of(here, Pool([Candidate("large", tier="deep", input_price=5, output_price=15)]), {})
    change = here.change("model_choice")
    assert kind.propose(change, here.work(change, finding=DEAR)) is None
    assert kind.propose(change, here.work(change)) is None
    assert kind.propose(change, here.work(change, finding={"measured": "unheard of"})) is None


def test_an_endpoint_that_fails_is_left_for_last_and_the_best_comes_first(here: Deployment) -> None:
    tried(here, "a/large", 120, 60)
    tried(here, "b/large", 120, 12)
    tried(here, "c/large", 120, 0)
    kind, change = proposed(here, {"measured": "errors", "slices": [{"attributes": {"provider": "a"}}]})
    assert change.payload["choice"]["endpoints"] == ["c/large", "b/large"]
    found = proof(here, kind, change)
    assert found.verdict == "passed" and found.data["tries"] == {"a/large": 120, "b/large": 120, "c/large": 120}
    plan = kind.trial(change)
    assert plan is not None and plan.primary == "error_rate"


def test_a_slow_endpoint_gives_way_to_a_faster_one(here: Deployment) -> None:
    tried(here, "a/large", 80, 0, ms=900)
    tried(here, "b/large", 80, 0, ms=200)
    kind, change = proposed(here, {"metric": "latency_p95", "slices": [{"attributes": {"model": "large"}}]})
    assert change.payload["choice"]["endpoints"][0] == "b/large"
    assert proof(here, kind, change).verdict == "passed"


def test_a_few_tries_prove_no_endpoint(here: Deployment) -> None:
    tried(here, "a/large", 100, 50)
    tried(here, "b/large", 8, 0)
    kind, change = proposed(here, {"measured": "errors", "slices": [{"attributes": {"endpoint": "a/large"}}]})
    assert proof(here, kind, change).verdict == "inconclusive"


def test_a_model_that_fails_by_its_only_endpoint_gives_way_to_its_fallback(here: Deployment) -> None:
    answered(here, "large", 100)
    failed(here, "large", 100)
    answered(here, "other", 200)
    finding = {"measured": "errors", "slices": [{"attributes": {"model": "large"}}]}
    kind, change = proposed(here, finding, endpoints={"large": ("a/large",)})
    assert change.payload["choice"]["serve"] == "other"
    assert proof(here, kind, change).verdict == "passed"


def test_what_the_caller_got_wrong_counts_against_nobody(here: Deployment) -> None:
    answered(here, "large", 60)
    failed(here, "large", 60, status=400, error_code="invalid_request")
    (cell,) = here.store.comparisons.cells("default", 0, here.clock.now_us(), None)
    assert (cell.errors.n, cell.errors.total) == (60, 0)


def test_prompts_that_do_not_fit_go_to_a_model_with_a_longer_context(here: Deployment) -> None:
    failed(here, "large", 60)
    slices = [{"attributes": {"model": "large", "error_class": "context_length"}}]
    _, change = proposed(here, {"measured": "errors", "slices": slices})
    assert change.payload["choice"]["serve"] == "other"


def test_where_no_model_is_named_it_is_the_one_that_most_is_spent_on(here: Deployment) -> None:
    answered(here, "small", 100, micros=1000)
    answered(here, "large", 100)
    _, change = proposed(here, {"measured": "spend", "slices": []})
    assert change.payload["choice"]["model"] == "large"


def test_a_choice_that_a_person_names_is_taken_and_proved_like_any_other(here: Deployment) -> None:
    kind = kind_of(here)
    change = here.proposed(kind, here.change("model_choice", payload={"model": "large", "serve": "small"}))
    assert proof(here, kind, change).verdict == "inconclusive"


def test_a_model_that_is_gone_is_not_rehearsed(here: Deployment) -> None:
    kind = kind_of(here)
    change = here.proposed(kind, here.change("model_choice", payload={"model": "large", "serve": "gone"}))
    with pytest.raises(UnknownModel):
        kind.rehearse(change, here.work(change))


def test_a_later_choice_of_somebody_else_is_not_touched(here: Deployment) -> None:
    kind = kind_of(here)
    change = here.proposed(kind, here.change("model_choice", payload={"model": "large", "serve": "small"}))
    kind.deliver(change, here.work(change))
    here.clock.advance(1)
    here.store.model_choices.put("default", ChoiceState("choice_x", "default", "large", "other"), "chg_x")
    for act in (kind.deliver, kind.undo):
        with pytest.raises(Conflict, match="neither the baseline"):
            act(change, here.work(change))
    assert [one.state.id for one in here.store.model_choices.list("default")][-1] == "choice_x"


def test_nothing_in_common_is_no_difference_and_strata_weigh_as_the_present_models_calls_do() -> None:
    def cell(model: str, bucket: int, n: int, total: float) -> Cell:
        return Cell(model=model, task="chat", bucket=bucket, cost=Sums(n, total, total * total / n))

    cells = [cell("a", 0, 90, 90.0), cell("a", 1, 10, 100.0), cell("b", 0, 10, 5.0), cell("b", 1, 90, 450.0)]
    found = between_models(cells, "a", "b", "cost")
    assert found.value == pytest.approx(0.9 * (0.5 - 1.0) + 0.1 * (5.0 - 10.0))
    assert math.isnan(between_models(cells, "a", "c", "cost").value)


def test_what_a_model_was_like_before_it_fell_is_no_word_for_it(here: Deployment) -> None:
    """A model that was good for a week and has been bad for an hour is bad: calls count since what is complained of began."""
    answered(here, "large", 400, liked=1.0)
    answered(here, "small", 400, liked=0.9, micros=1000)
    began = here.clock.now_us()
    answered(here, "large", 60, liked=0.3)
    answered(here, "small", 60, liked=0.9, micros=1000)
    fell = {"measured": "dissatisfied", "slices": [{"attributes": {"model": "large"}}]}
    kind, change = proposed(here, fell | {"moment": {"since_us": began}})
    found = kind.prove(change, here.work(change, finding=fell | {"moment": {"since_us": began}}))
    assert isinstance(found, Proof)
    assert change.payload["choice"]["serve"] == "small"
    assert (found.verdict, found.data["since_us"]) == ("passed", began)


def test_a_typed_choice_is_held_against_the_model_that_answers_now(here: Deployment) -> None:
    """Where a choice stands already, what answered before it says nothing of what would be replaced."""
    answered(here, "large", 200, liked=0.2)
    answered(here, "other", 200, liked=1.0)
    answered(here, "small", 200, liked=0.6, micros=1000)
    stands = ChoiceState("choice_before", "default", "large", "other", None, "chat")
    here.store.model_choices.put("default", stands, "chg_before")
    kind = kind_of(here)
    wish = here.change("model_choice", payload={"model": "large", "serve": "small", "task": "chat"})
    change = here.proposed(kind, wish)
    found = proof(here, kind, change)
    assert (change.baseline, change.payload["instead_of"]) == ("choice_before", "other")
    assert found.verdict == "failed", "it is better than what answered once, and worse than what answers"
