"""Outcomes become snapshots: each learned once, late or changed; published at a pace; frozen, exchanged and rolled back cleanly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from meliora.errors import NotFound
from meliora.gateway.state import Overlay, TrialState
from meliora.runtime.worker import build
from meliora.settings.learning import RoutingLearning
from meliora.settings.models import Learning, Settings
from meliora.settings.routing import Routing
from tests.routing.learning.school import EASY, HARD, School, school


@pytest.fixture
def here() -> Iterator[School]:
    with school() as made:
        yield made


def numbers(here: School) -> list[int]:
    return [one.number for one in reversed(here.store.routing_snapshots.list("default"))]


def test_without_news_nothing_is_published(here: School) -> None:
    here.decided()
    for _ in range(3):
        here.work()
    assert numbers(here) == [1]


def test_a_word_moves_the_policy_and_is_published_as_the_next_snapshot(here: School) -> None:
    before = here.quality()
    here.say(here.decided(), "thumbs_down")
    here.work()
    made = here.store.routing_snapshots.serving("default")
    assert made is not None
    assert (made.number, made.parent, made.anchor, made.kind, made.evidence["outcomes"]) == (2, 1, 1, "online", 1)
    assert here.policy().number == 2
    assert here.quality() < before


def test_late_feedback_is_learned_once_however_often_the_worker_looks(here: School) -> None:
    call = here.decided()
    here.work()
    here.say(call, "thumbs_down")
    for _ in range(4):
        here.work()
    assert numbers(here) == [1, 2]


def test_a_worker_that_starts_anew_comes_to_the_same_policy_and_publishes_nothing(here: School) -> None:
    for place in range(6):
        here.say(here.decided(HARD if place % 2 else EASY), "thumbs_down" if place % 3 else "rating_4")
        here.work(31)
    before, known = here.mean(), numbers(here)
    here.restart()
    here.work()
    assert numbers(here) == known
    here.say(here.decided(), "thumbs_up")
    here.work()
    with school(here.settings) as other:
        for place in range(6):
            other.say(other.decided(HARD if place % 2 else EASY), "thumbs_down" if place % 3 else "rating_4")
        other.say(other.decided(), "thumbs_up")
        other.work()
        assert np.allclose(other.mean(), here.mean(), atol=1e-6), "one step a look or all at once is the same"
    assert not np.allclose(before, here.mean())


def test_a_changed_mind_replaces_the_effect_of_the_first_word(here: School) -> None:
    first, second = here.decided(), here.decided(HARD)
    here.say(first, "thumbs_down")
    here.say(second, "thumbs_up")
    here.work()
    here.say(first, "thumbs_up")
    here.work()
    with school() as other:
        for prompt in (EASY, HARD):
            other.say(other.decided(prompt), "thumbs_up")
        other.work()
        assert np.allclose(other.mean(), here.mean(), atol=1e-6)


def test_snapshots_keep_their_distance(here: School) -> None:
    for _ in range(5):
        here.say(here.decided(), "thumbs_up")
        here.work(10)
    assert numbers(here) == [1, 2, 3], "the first at once, the next 30 seconds later"


def test_the_model_that_answered_is_judged_and_an_unknown_one_is_left_out(here: School) -> None:
    before = here.quality("large")
    here.say(here.decided(model="large"), "thumbs_down")
    here.say(here.decided(model="stranger"), "thumbs_down")
    here.work()
    made = here.store.routing_snapshots.serving("default")
    assert made is not None and (made.evidence["outcomes"], made.evidence["skipped"]) == (1, 1)
    assert here.quality("large") < before


def test_what_another_trunk_saw_is_not_learned_from(here: School) -> None:
    from dataclasses import replace

    import msgspec

    call = here.decided()
    kept = here.store.outcomes.get("default", call)
    assert kept.trunk == here.policy().trunk
    other = replace(here.policy().embedding, id="another")
    from meliora.routing.learned.snapshot import encode

    def elsewhere(number: int) -> bytes:
        return encode(replace(here.policy(), number=number, embedding=other))

    made = here.store.routing_snapshots.add("default", elsewhere, kind="fit", made_by="test")
    here.store.routing_snapshots.promote("default", made.number)
    here.say(call, "thumbs_down")
    here.work()
    assert numbers(here) == [1, 2]
    assert msgspec.structs.replace(kept, reward=0.0).reward == here.store.outcomes.get("default", call).reward


def test_frozen_learning_goes_on_to_keep_rewards_and_moves_nothing(here: School) -> None:
    frozen = Settings(learning=Learning(enabled=False))
    worker = build(frozen, here.store, here.clock)
    names = [task.name for task in worker.tasks]
    assert "rewards" in names and "learning" not in names
    here.say(here.decided(), "thumbs_down")
    here.rewarder.step()
    assert here.store.outcomes.counts("default") == {"feedback": 1}
    assert "learning" in [task.name for task in build(Settings(), here.store, here.clock).tasks]


def test_what_comes_in_during_a_trial_is_learned_and_serves_when_it_has_ended(here: School) -> None:
    trial = TrialState("chg_1", "default", "trial", "s", 0, 0.5, Overlay(no_policy=True))
    here.store.trials.begin("default", trial)
    here.say(here.decided(), "thumbs_down")
    here.work()
    assert numbers(here) == [1]
    here.store.trials.end("default", "chg_1")
    here.work()
    made = here.store.routing_snapshots.serving("default")
    assert made is not None and (made.number, made.evidence["outcomes"]) == (2, 1)


def test_each_tenant_has_a_policy_of_its_own(here: School) -> None:
    here.serve("other")
    here.say(here.decided(tenant="other"), "thumbs_down", "other")
    here.work()
    assert numbers(here) == [1]
    assert here.policy("other").number == 2


def test_a_policy_put_in_service_by_a_person_is_where_learning_sets_out_from(here: School) -> None:
    here.say(here.decided(), "thumbs_down")
    here.work()
    number = here.serve("default")
    here.work()
    made = here.store.routing_snapshots.serving("default")
    assert made is not None and (made.number, made.anchor) == (number + 1, number), (
        "what was said before is learned anew"
    )


def test_after_a_rollback_what_spoiled_the_policy_is_not_learned_again(here: School) -> None:
    for _ in range(5):
        here.say(here.decided(), "thumbs_down")
    here.work()
    here.store.routing_snapshots.rollback("default", 1)
    here.work()
    assert here.policy().number == 1
    here.say(here.decided(), "thumbs_up")
    here.work()
    made = here.store.routing_snapshots.serving("default")
    assert made is not None and (made.number, made.evidence["outcomes"]) == (3, 1)


def test_a_policy_exchanged_while_learning_went_on_is_not_overwritten(here: School) -> None:
    here.say(here.decided(), "thumbs_down")
    here.rewarder.step()
    publish = here.store.routing_snapshots.publish

    def too_late(*arguments, **named):
        here.serve("default")
        return publish(*arguments, **named)

    here.store.routing_snapshots.publish = too_late  # type: ignore[method-assign]
    here.learner.step()
    assert here.policy().number == 2


def test_a_policy_that_is_withdrawn_is_learned_no_more(here: School) -> None:
    here.say(here.decided(), "thumbs_down")
    here.store.routing_snapshots.rollback("default")
    here.work()
    assert numbers(here) == [1]


def test_a_snapshot_that_does_not_load_stops_neither_the_worker_nor_other_tenants(here: School) -> None:
    torn = here.store.routing_snapshots.add("broken", lambda _: b"no policy", kind="fit", made_by="test")
    here.store.routing_snapshots.promote("broken", torn.number)
    here.say(here.decided(), "thumbs_down")
    here.work()
    assert here.policy().number == 2


def test_what_cannot_be_made_into_a_policy_stops_nothing(here: School, monkeypatch: pytest.MonkeyPatch) -> None:
    from meliora.routing.learning.online import OnlineLearner

    here.say(here.decided(), "thumbs_down")
    with monkeypatch.context() as broken:
        broken.setattr(OnlineLearner, "policy", lambda *_: np.linalg.cholesky(-np.eye(2)))
        here.work()
        assert numbers(here) == [1]
    here.work()
    assert numbers(here) == [1, 2]


def test_a_flood_from_one_key_moves_a_prediction_by_a_bounded_amount_at_most() -> None:
    with school() as here:
        for place in range(20):
            here.say(here.decided(key_id=f"key_{place}"), "thumbs_up")
        here.work()
        before = here.quality()
        for _ in range(30):
            here.say(here.decided(key_id="key_flood"), "thumbs_down")
        here.work()
        assert 0 < before - here.quality() <= 0.1 + 1e-3


def test_the_window_bounds_what_the_posterior_is_made_of() -> None:
    settings = Settings(routing=Routing(learning=RoutingLearning(window=10)))
    with school(settings) as here:
        for _ in range(12):
            here.say(here.decided(), "thumbs_up")
        while here.rewarder.step():
            pass
        here.work()
        made = here.store.routing_snapshots.serving("default")
        assert made is not None and made.evidence["outcomes"] == 10


def test_an_outcome_that_was_erased_is_gone_from_the_next_posterior(here: School) -> None:
    call = here.decided()
    here.say(call, "thumbs_down")
    here.work()
    here.store.housekeeping.erase("default", "ann")
    with pytest.raises(NotFound):
        here.store.outcomes.get("default", call)
    here.restart()
    here.say(here.decided(user="bob"), "thumbs_up")
    here.work()
    made = here.store.routing_snapshots.serving("default")
    assert made is not None and made.evidence["outcomes"] == 1
