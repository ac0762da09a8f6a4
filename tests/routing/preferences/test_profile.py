"""What is read out of a user's interactions."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.routing.preferences.interactions import Interaction, Mark
from meliora.routing.preferences.model_stats import model_stats
from meliora.routing.preferences.profile import (
    Profile,
    learning_stats,
    moving_average,
    next_activity,
    preferred,
    profile,
)
from tests.routing.preferences.planted import NOON, said, series


def read(seen: list[Interaction], **more: float) -> Profile:
    return profile("ann", seen, {}, rate=0.1, now=NOON, **more)


def test_the_best_poet_is_not_sent_the_code() -> None:
    seen = series("poet", [1.0] * 20, task="creative") + series("poet", [0.0] * 20, task="code", start=20)
    seen += series("coder", [1.0] * 20, task="code", start=40)
    found = read(seen).preferred_models
    assert {task: one.model for task, one in found.items()} == {"creative": "poet", "code": "coder"}
    assert preferred(seen, {}, "translation", 0.1) is None


def test_one_good_word_after_twenty_for_another_does_not_change_the_preference() -> None:
    seen = [*series("a", [1.0] * 20), *series("b", [0.0] * 4, start=20), said("b", 1.0, minutes=30)]
    found = preferred(seen, {}, "code", 0.1)
    assert found is not None
    assert (found.model, found.samples, found.rated) == ("a", 20, 25)
    assert found.confidence > 0.95


def test_confidence_grows_with_evidence_and_a_single_word_is_not_sure() -> None:
    counts = [1, 4, 16]
    found = [preferred(series("a", [1.0] * n), {}, "code", 0.1) for n in counts]
    sure = [one.confidence for one in found if one is not None]
    assert len(sure) == 3
    assert sure == sorted(sure)
    assert 0.5 < sure[0] < 0.6
    assert sure[2] < 0.9, "there may be a better one that was never tried"
    compared = preferred(series("a", [1.0] * 16) + series("b", [0.0] * 16, start=20), {}, "code", 0.1)
    assert compared is not None
    assert compared.confidence > 0.99


def test_a_model_that_is_only_disliked_is_not_preferred() -> None:
    assert preferred(series("a", [0.0, 0.0]), {}, "code", 0.1) is None
    both = preferred(series("a", [0.0] * 9) + series("b", [0.2] * 9, start=9), {}, "code", 0.1)
    assert both is not None
    assert both.model == "b"


def test_the_score_is_the_documented_moving_average() -> None:
    assert moving_average([1.0], 0.1) == pytest.approx(0.55)
    assert moving_average([1.0, 0.0], 0.1) == pytest.approx(0.495)
    found = preferred(series("a", [1.0, 0.8]), {}, "code", 0.1)
    assert found is not None
    assert found.score == pytest.approx(0.9 * 0.55 + 0.08)


def test_names_that_mean_the_same_task_share_their_evidence_under_the_name_used_most() -> None:
    seen = [*series("a", [1.0] * 3, task="code_generation"), said("a", 1.0, task="code", minutes=9)]
    found = preferred(seen, {}, "coding", 0.1)
    assert found is not None
    assert (found.task, found.samples) == ("code_generation", 4)


def test_others_words_count_where_a_user_said_little_and_ones_own_are_not_counted_twice() -> None:
    seen = [said("a", 1.0), said("b", 1.0, minutes=1)]
    marks = {("code", "a"): Mark(0.0 + 1, 41, 21), ("code", "b"): Mark(1.0, 1, 1)}
    found = preferred(seen, marks, "code", 0.1)
    assert found is not None
    assert found.model == "b"
    lonely = preferred(seen, {("code", "a"): Mark(1.0, 1, 1), ("code", "b"): Mark(1.0, 1, 1)}, "code", 0.1)
    assert lonely == preferred(seen, {}, "code", 0.1)


def test_tone_and_length_are_what_was_rated_well_not_what_came_last() -> None:
    dry = series("a", [1.0] * 10, metadata={"tone": "dry"}, response_length=100)
    warm = series("a", [0.0] * 10, start=20, metadata={"tone": "warm"}, response_length=5000)
    found = read([*dry, *warm, said("a", 1.0, minutes=50, metadata={"tone": "warm"}, response_length=5000)])
    assert found.tone is not None
    assert found.length is not None
    assert (found.tone.value, found.tone.samples) == ("dry", 10)
    assert found.length.value == "short"
    assert read(series("a", [1.0])).tone is None


def test_habits_by_time_of_day_foretell_the_next_activity() -> None:
    morning = [said("a", None, task="code", minutes=-180 - 1440 * day) for day in range(12)]
    evening = [said("a", None, task="creative", minutes=420 - 1440 * day) for day in range(12)]
    seen = sorted(morning + evening, key=lambda one: one.timestamp)
    at_nine = next_activity(seen, NOON - timedelta(hours=3))
    at_seven = next_activity(seen, NOON + timedelta(hours=7))
    assert at_nine is not None
    assert at_seven is not None
    assert (at_nine.task, at_seven.task) == ("code", "creative")
    assert at_nine.probability > 0.9
    assert 0.7 < at_nine.confidence < at_nine.probability
    at_night = next_activity(seen, NOON + timedelta(hours=12))
    assert at_night is not None
    assert (at_night.samples, at_night.confidence) == (0, 0)
    patterns = {one.period: one.task for one in read(seen).time_patterns}
    assert patterns == {"morning": "code", "evening": "creative"}
    eastern = {one.period: one.task for one in read(seen, utc_offset=9).time_patterns}
    assert eastern == {"evening": "code", "night": "creative"}


def test_frequent_tasks_are_counted_and_what_is_done_lately_weighs_more() -> None:
    seen = series("a", [1.0] * 30, task="chat") + series("a", [1.0] * 10, task="code", start=30)
    first, second = read(seen).frequent_tasks
    assert (first.task, first.count, first.share) == ("chat", 30, 0.75)
    assert second.frequency > first.frequency
    assert first.frequency + second.frequency == pytest.approx(1 - 0.9**40)


def test_how_well_ratings_are_foretold_is_measured() -> None:
    steady = learning_stats(series("a", [1.0] * 20), 0.1)
    assert (steady.predicted, steady.prediction_accuracy) == (19, 1.0)
    assert steady.prediction_low is not None
    assert steady.prediction_low < 0.9
    nothing = learning_stats([said("a", None)], 0.1)
    assert (nothing.interactions, nothing.prediction_accuracy, nothing.mean_rating) == (1, None, None)


def test_the_documented_score_of_a_model_leaves_out_what_is_unknown() -> None:
    seen = [said("a", 1.0), said("a", 0.2, minutes=1, feedback="regenerate"), said("b", None, minutes=2)]
    a, b = model_stats(seen)
    assert (a.total_uses, a.positive, a.negative, a.regenerations, a.success_rate) == (2, 1, 0, 1, 1.0)
    assert a.score == pytest.approx((0.5 + 0.2 * 0.02 + 0.05) / 0.8)
    assert (b.success_rate, b.avg_latency_ms) == (None, None)
    timed = model_stats([said("a", 1.0, latency_ms=1000.0), said("a", 0.0, minutes=1, latency_ms=2000.0)])[0]
    assert timed.avg_latency_ms == pytest.approx(1100)
    assert timed.score == pytest.approx(0.25 + 0.2 * 0.02 + 0.2 * 0.89 + 0.1)


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from([None, 0.0, 0.6, 1.0]), st.integers(-9000, 9000)), max_size=40
    )
)
@settings(max_examples=20, deadline=None)
def test_everything_learned_is_a_share_of_what_was_seen(rows: list[tuple[str, float | None, int]]) -> None:
    seen = sorted((said(model, value, minutes=at) for model, value, at in rows), key=lambda one: one.timestamp)
    found = read(seen)
    assert found.learning_stats.interactions == len(seen) == sum(one.count for one in found.frequent_tasks)
    assert sum(one.count for one in found.time_patterns) == len(seen)
    for one in found.preferred_models.values():
        assert 0 <= one.rating <= 1
        assert 0 <= one.confidence <= 1
        assert one.samples + sum(other.samples for other in one.others) == one.rated
