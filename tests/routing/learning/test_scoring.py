"""Scorers at work: asked once about each answer, over recorded calls, and believed as far as people bear a judge out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from meliora.errors import UpstreamUnreachable
from meliora.routing.learning.scorers import Sample, build
from meliora.routing.learning.scoring import Scoring, calibrations, sampled, standing
from meliora.runtime.learning import hold_judges, read_answer, reward_rule
from meliora.runtime.learning import scoring as put_together
from meliora.runtime.worker import Aside
from meliora.runtime.worker import build as build_worker
from meliora.settings.learning import Scorer
from meliora.settings.models import Settings
from meliora.settings.routing import Routing
from tests.routing.learning.school import School, school

POLITE = Scorer(name="polite", kind="regex", pattern="please")
JUDGE = Scorer(name="judge", kind="judge", model="m", key="env:K", labels=10, uncalibrated_weight=0)


@pytest.fixture
def here() -> Iterator[School]:
    with school(Settings(routing=Routing(scorers=[POLITE, JUDGE]))) as made:
        yield made


def answered(here: School, text: str, **over: Any) -> str:
    request = msgspec.json.encode({"model": "auto", "messages": [{"role": "user", "content": "Say please."}]}).decode()
    body = {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
    given: dict[str, Any] = {
        "request_text": request,
        "response_text": msgspec.json.encode(body).decode(),
        "content": "full",
    }
    return here.decided(**given | over)


def scoring(here: School, *scorers: Scorer, ask=None) -> Scoring:
    made = [(one, build(one, ask)) for one in scorers]  # type: ignore[arg-type]
    return Scoring(here.store.outcomes, here.store.routing_snapshots.tenants, made, read_answer, here.clock.now_us)


def test_an_answer_is_scored_once_and_becomes_a_reward(here: School) -> None:
    good, bad = answered(here, "Yes, please do."), answered(here, "No.")
    at_work = scoring(here, POLITE)
    assert at_work.step() is False
    assert (here.store.outcomes.scores("default", good), here.store.outcomes.scores("default", bad)) == (
        {"polite": 1.0},
        {"polite": 0.0},
    )
    assert here.store.outcomes.unscored("default", "polite") == ()
    here.rewarder.step()
    assert here.store.outcomes.get("default", good).source == "scorer:polite"


def test_what_was_not_kept_whole_is_not_judged(here: School) -> None:
    calls = [answered(here, "please", truncated=True), here.decided(), answered(here, "please", request_text="cut {")]
    scoring(here, POLITE).step()
    assert [here.store.outcomes.scores("default", call) for call in calls] == [{"polite": None}] * 3
    here.rewarder.step()
    assert here.store.outcomes.counts("default") == {"none": 3}


def test_answers_of_other_tenants_tasks_and_days_and_failures_are_left_alone(here: School) -> None:
    answered(here, "please", outcome="error", status=502)
    answered(here, "please", task="code")
    old = answered(here, "please", started_us=here.clock.now_us() - 2 * 86_400_000_000)
    scoring(here, POLITE.model_copy(update={"tasks": ["chat"]}), POLITE.model_copy(update={"tenant": "other"})).step()
    assert here.store.outcomes.scores("default", old) == {}
    assert len(here.store.outcomes.unscored("default", "polite")) == 2


def test_a_sample_is_the_same_whenever_it_is_drawn(here: School) -> None:
    half = POLITE.model_copy(update={"sample": 0.5})
    ids = [f"call_{number}" for number in range(400)]
    taken = [one for one in ids if sampled(half, one)]
    assert 150 < len(taken) < 250
    assert taken == [one for one in ids if sampled(half, one)]
    assert not any(sampled(POLITE.model_copy(update={"sample": 0.0}), one) for one in ids)
    assert all(sampled(POLITE, one) for one in ids)
    call = answered(here, "please")
    scoring(here, POLITE.model_copy(update={"sample": 0.0})).step()
    assert here.store.outcomes.scores("default", call) == {"polite": None}


def test_a_judge_that_cannot_be_asked_stops_no_other_scorer_and_is_asked_again(here: School) -> None:
    call = answered(here, "please")

    def away(*_: Any) -> str:
        raise UpstreamUnreachable("no gateway")

    with pytest.raises(UpstreamUnreachable):
        scoring(here, JUDGE, POLITE, ask=away).step()
    assert here.store.outcomes.scores("default", call) == {"polite": 1.0}
    scoring(here, JUDGE, ask=lambda *_: '{"score": 8}').step()
    assert here.store.outcomes.scores("default", call) == {"judge": 0.8, "polite": 1.0}


def test_a_judge_counts_when_people_have_judged_enough_of_the_same_answers(here: School) -> None:
    verdicts = iter([2, 8] * 10)
    calls = [answered(here, "something") for _ in range(20)]
    scoring(here, JUDGE, ask=lambda *_: f'{{"score": {next(verdicts)}}}').step()
    here.rewarder.step()
    assert here.store.outcomes.counts("default") == {"none": 20}, "uncalibrated, and set to count for nothing"
    for call in calls[:16]:
        kind = "thumbs_up" if here.store.outcomes.scores("default", call)["judge"] == 0.8 else "thumbs_down"
        here.say(call, kind)
    polite, judge = standing(here.store.outcomes, "default", [POLITE, JUDGE])
    assert (polite.calibrated, judge.calibrated, judge.labels) == (None, True, 16)
    assert judge.error_before is not None and judge.error_after is not None
    hold_judges(here.settings, here.store, here.rewarder)
    found = here.rewarder.rule.calibrations["default", "judge"]
    assert found.labels == 16 and found.value(0.8) > 0.7 > 0.3 > found.value(0.2)
    for call in calls[16:]:
        here.store.outcomes.score("default", call, "judge", 0.8)
    here.rewarder.step()
    left = here.store.outcomes.get("default", calls[19])
    assert left.source == "scorer:judge" and left.reward == found.value(0.8)


def test_a_judge_without_labels_is_shown_as_uncalibrated(here: School) -> None:
    (judge,) = standing(here.store.outcomes, "default", [JUDGE])
    assert (judge.labels, judge.needed, judge.calibrated, judge.error_after) == (0, 10, False, None)
    assert standing(here.store.outcomes, "other", [JUDGE.model_copy(update={"tenant": "default"})]) == ()


def test_one_tenants_words_calibrate_no_judge_of_anothers(here: School) -> None:
    assert calibrations(here.store.outcomes, ["default", "other"], [JUDGE]) == {}
    assert reward_rule(here.settings).doubted == {"judge": 0.0}


@pytest.mark.parametrize(
    ("dialect", "request_body", "response", "sample"),
    [
        (
            "chat",
            {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
            "streamed text",
            Sample("Hi", "streamed text"),
        ),
        ("chat", {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}, '{"a": 1}', Sample("Hi", '{"a": 1}')),
        ("embeddings", {"model": "m", "input": "Hi"}, "{}", None),
    ],
)
def test_prompt_and_answer_are_read_from_what_was_recorded(dialect, request_body, response, sample) -> None:
    from meliora.routing.learning.records import Unscored

    recorded = Unscored("c", dialect, msgspec.json.encode(request_body).decode(), response, False)
    assert read_answer(recorded) == sample


def test_a_scorer_that_cannot_be_used_is_left_out_and_the_worker_starts() -> None:
    broken = Scorer(name="broken", kind="code", function="no.such.module:grade")
    settings = Settings(routing=Routing(scorers=[broken, POLITE]))
    with school(settings) as here:
        assert "scorers" in [task.name for task in build_worker(settings, here.store, here.clock).tasks]
        left = put_together(settings, here.store, here.clock)
        assert [scorer.name for scorer, _ in left.scorers] == ["polite"]


def test_what_takes_long_runs_aside_and_tells_its_failure_at_the_next_turn() -> None:
    runs = iter([True, False])
    aside = Aside(lambda: next(runs))
    assert aside.step() is False
    aside.wait()
    assert next(runs, None) is None, "it went on while there was more"

    def fails() -> bool:
        raise UpstreamUnreachable("no gateway")

    failing = Aside(fails)
    failing.step()
    failing.wait()
    with pytest.raises(UpstreamUnreachable):
        failing.step()
