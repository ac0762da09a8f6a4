"""Clicks become judgments once it is taken out how far down people look, and one person's clicking changes little."""

import numpy as np
import pytest

from meliora.knowledge.quality.clicks import CLIP, from_clicks
from meliora.knowledge.quality.records import Searched

EXAMINED = 1 / np.arange(1, 7) ** 0.8


def log(seed=1, people=3000, queries=10, noise=0.02, shuffled=True):
    """Let people look down as `EXAMINED` says, and like documents d0 and d1 (.7 and .4) of six."""
    rng = np.random.default_rng(seed)
    liked = {"d0": 0.7, "d1": 0.4}
    found = []
    for person in range(people):
        order = [f"d{at}" for at in range(5, -1, -1)]
        if shuffled:
            # As ranks move between index states and snapshots: mostly in place, sometimes two exchanged.
            one, other = rng.integers(6, size=2)
            order[one], order[other] = order[other], order[one]
        clicked = [d for at, d in enumerate(order) if rng.random() < EXAMINED[at] * liked.get(d, noise)]
        query = f"query {rng.integers(queries)}"
        found.append(
            Searched(
                id=str(person), at_us=person, query=query, user=f"u{person}", shown=tuple(order), clicked=tuple(clicked)
            )
        )
    return found


def test_how_far_people_look_is_found_again():
    found = from_clicks(log())
    assert found.examined[0] == 1
    assert np.allclose(found.examined, EXAMINED, atol=0.1)


def test_what_is_liked_at_the_bottom_is_graded_above_what_is_clicked_by_chance_at_the_top():
    found = from_clicks(log())
    grades = found.judgments("x", 1).grades()
    assert len(grades) == 10
    for own in grades.values():
        assert own["d0"] >= own.get("d1", 0) >= 1
        assert set(own) <= {"d0", "d1"}


def test_a_click_far_down_weighs_more_and_never_more_than_the_clip():
    found = from_clicks(log())
    deep = [one.weight for one in found.clicked if one.document == "d0"]
    assert 1.5 < np.mean(deep) <= CLIP
    assert {one.document for one in found.pairs()} == {"d0", "d1"}


def test_where_ranks_never_move_people_are_taken_to_look_as_1_over_place():
    found = from_clicks(log(people=60, shuffled=False))
    assert found.examined == pytest.approx([1 / place for place in range(1, 7)])


def test_one_person_who_clicks_a_thousand_times_is_one():
    row = {"query": "q", "user": "x", "shown": ("a", "b"), "clicked": ("b",)}
    found = from_clicks([Searched(id=str(at), at_us=at, **row) for at in range(1000)])
    assert found.clicked == () and found.searches == 1000


def test_without_user_or_session_a_search_is_a_person():
    row = {"query": "Q  q", "shown": ("a",), "clicked": ("a",)}
    (found,) = from_clicks([Searched(id=str(at), at_us=at, **row) for at in range(5)]).clicked
    assert (found.query, found.people, found.at_us) == ("q q", 5, 4)


@pytest.mark.parametrize("said", [{"accepted": False}, {"error": "store_error"}, {"shown": ()}, {"query": " "}])
def test_refused_failed_and_empty_searches_tell_nothing(said):
    row = {"query": "q", "shown": ("a",), "clicked": ("a",)} | said
    assert from_clicks([Searched(id=str(at), at_us=at, **row) for at in range(9)]).clicked == ()


def test_a_click_on_what_was_not_shown_counts_for_nothing():
    row = {"query": "q", "shown": ("a", "a"), "clicked": ("z",)}
    assert from_clicks([Searched(id=str(at), at_us=at, **row) for at in range(9)]).clicked == ()


def test_no_log_no_judgments():
    assert from_clicks([]).judgments("x", 1).judgments == ()
