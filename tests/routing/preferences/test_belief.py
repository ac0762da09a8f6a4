"""What ratings say about a few choices."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.routing.preferences.belief import PRIOR, Belief, beliefs, best, chance_best, sampled

RATINGS = st.dictionaries(
    st.sampled_from("abcd"), st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0]), max_size=30), min_size=1
)


def of(name: str, found: tuple[Belief, ...]) -> Belief:
    return next(one for one in found if one.name == name)


def test_what_nobody_rated_is_believed_to_be_as_others_say() -> None:
    found = beliefs({"a": [], "b": []}, {"b": 0.8})
    assert (of("a", found).mean, of("b", found).mean) == (PRIOR, 0.8)
    assert of("a", found).personal == 0


def test_little_evidence_moves_little_and_much_is_personal() -> None:
    few = beliefs({"a": [1.0], "b": [0.0]})
    many = beliefs({"a": [1.0] * 60, "b": [0.0] * 60})
    assert PRIOR < of("a", few).mean < 0.7
    assert of("a", many).mean > 0.95
    assert of("a", many).spread < of("a", few).spread


def test_a_grumbler_says_nothing_against_any_one_choice() -> None:
    grumbler = beliefs({name: [0.0, 0.0, 0.2] * 10 for name in "abc"})
    assert all(abs(one.personal) < 0.05 for one in grumbler)
    judge = beliefs({"a": [0.0] * 30, "b": [1.0] * 30, "c": [1.0] * 30})
    assert of("a", judge).personal < -0.3


def test_what_everybody_says_is_nothing_personal() -> None:
    found = beliefs({"a": [1.0] * 20, "b": [0.0] * 20}, {"a": 1.0, "b": 0.0})
    assert all(abs(one.personal) < 0.02 for one in found)


def test_the_later_words_of_a_user_whose_mind_changed_weigh_more() -> None:
    turned = [1.0] * 100 + [0.0] * 100
    assert (
        of("a", beliefs({"a": turned, "b": [0.5] * 100})).mean < of("b", beliefs({"a": turned, "b": [0.5] * 100})).mean
    )
    patient = beliefs({"a": turned, "b": [0.5] * 100}, rate=0)
    assert of("a", patient).mean == pytest.approx(of("b", patient).mean, abs=0.02)


@given(RATINGS)
@settings(max_examples=8, deadline=None)
def test_chances_are_those_of_drawing_again_and_again(ratings: dict[str, list[float]]) -> None:
    found = beliefs(ratings)
    chances = chance_best(found)
    if len(found) == 1:
        assert 0 < chances[0] < 1, "the only one that was rated need not be the best there is"
        return
    assert sum(chances) == pytest.approx(1)
    source = random.Random(1)
    draws = 300
    for one, chance in zip(found, chances, strict=True):
        seen = sum(sampled(found, source) is one for _ in range(draws)) / draws
        assert seen == pytest.approx(chance, abs=0.14)


@given(RATINGS, st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_choices_changes_nothing(ratings: dict[str, list[float]], source: random.Random) -> None:
    names = list(ratings)
    source.shuffle(names)
    assert best(beliefs(ratings)).name == best(beliefs({name: ratings[name] for name in names})).name


def test_a_choice_that_is_surely_best_has_chance_one_and_a_narrow_one_is_not_lost_between_two_points() -> None:
    found = (Belief("a", 0.9, 0.001, 1, 0), Belief("b", 0.1, 0.3, 1, 0), Belief("c", 0.2, 0.05, 1, 0))
    chances = chance_best(found)
    assert chances[0] == pytest.approx(0.996, abs=0.003)
    assert sum(chances) == pytest.approx(1)
