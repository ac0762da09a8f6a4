"""Whoever asks again in other words tells what the first answer should have been."""

from __future__ import annotations

from meliora.knowledge.quality.chains import chains, graded, judged, pairs
from meliora.knowledge.quality.records import Searched

SECOND = 1_000_000


def search(id: str, query: str, at: int, *clicked: str, user: str = "u", **more: object) -> Searched:
    return Searched(
        id=id,
        at_us=at * SECOND,
        query=query,
        terms=tuple(query.split()),
        shown=("a", "b", "c"),
        clicked=clicked,
        user=user,
        **more,  # type: ignore[arg-type]
    )


def texts(*searches: Searched) -> list[list[str]]:
    return [[one.query for one in chain] for chain in chains(searches)]


def test_an_unused_search_soon_before_a_used_one_of_the_same_person_belongs_to_it() -> None:
    assert texts(search("1", "heat flwo", 0), search("2", "heat flow", 30, "a")) == [["heat flwo", "heat flow"]]


def test_what_is_asked_later_by_others_or_of_something_else_is_no_chain() -> None:
    used = search("2", "heat flow", 300, "a")
    assert texts(search("1", "heat flwo", 0), used) == [["heat flow"]]
    assert texts(search("1", "heat flwo", 290, user="other"), used) == [["heat flow"]]
    assert texts(search("1", "zebra", 290), used) == [["heat flow"]]
    assert texts(search("1", "heat flwo", 290, error="error"), used) == [["heat flow"]]


def test_a_search_that_was_used_ends_a_chain() -> None:
    found = texts(search("1", "heat flow plate", 0, "b"), search("2", "heat flow", 30, "a"))
    assert found == [["heat flow plate"], ["heat flow"]]


def test_a_pair_says_the_other_words_and_weighs_by_the_place() -> None:
    first, second = pairs([search("1", "heat flwo", 0), search("2", "heat flow", 30, "c")])
    assert (first.query, first.document, first.weight, first.again) == ("heat flow", "c", 3.0, "")
    assert (second.query, second.document, second.again) == ("heat flwo", "c", "heat flow")


def test_a_query_that_was_asked_again_is_answered_by_what_all_used_for_the_other_words() -> None:
    before = [search(f"o{at}", "heat flow", at, "b", user=f"p{at}") for at in range(3)]
    found = {one.id: one for one in judged([search("1", "heat flwo", 900), search("2", "heat flow", 930, "b")], before)}
    assert found["heat flwo"].again and found["heat flwo"].grades == {"b": 1.0}
    assert not found["heat flow"].again


def test_a_query_knows_who_asked_it_and_who_used_what_answers_it() -> None:
    before = [search("o1", "heat flow", 0, "b", user="bob")]
    asked = [search("1", "heat flwo", 900, user="ann"), search("2", "heat flow", 930, "b", user="ann")]
    found = {one.id: one.people for one in judged([*asked, search("3", "plate", 990, "c", user="cyd")], before)}
    assert found == {
        "heat flwo": {"u:ann", "u:bob"},
        "heat flow": {"u:ann", "u:bob"},
        "plate": {"u:cyd"},
    }


def test_one_slip_of_a_finger_among_many_is_no_answer() -> None:
    assert graded({"good": 20, "slip": 1, "also": 4}) == {"good": 1.0, "also": 1.0}
    assert graded({"only": 1}) == {"only": 1.0}
    assert graded({}) == {}


def test_an_answer_that_was_refused_is_not_used() -> None:
    assert texts(search("1", "heat flow", 0, "a", accepted=False)) == []
