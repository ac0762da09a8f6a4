"""A new query is an older one but for its unknown words, or it is none."""

from __future__ import annotations

from meliora.knowledge.quality.evidence import JudgedQuery
from meliora.knowledge.quality.likeness import linked

KNOWN = frozenset(["heat", "flow", "wing", "plate", "shock", "tube"])


def old(text: str, *good: str) -> JudgedQuery:
    return JudgedQuery(id=text, text=text, grades=dict.fromkeys(good or ("d1",), 1.0), origin="judged")


def found(text: str, *older: JudgedQuery) -> str | None:
    links = linked({text: text.split()}, older, str.split, KNOWN.__contains__)
    return links[text].text if text in links else None


def test_a_slip_stands_in_the_place_of_the_word_that_is_missing() -> None:
    assert found("heat flwo wing", old("heat flow wing"), old("heat shock tube")) == "heat flow wing"


def test_a_query_of_known_words_is_itself_and_no_other() -> None:
    assert found("heat flow", old("heat flow wing")) is None


def test_one_common_word_is_too_little() -> None:
    assert found("heat zork", old("heat flow")) is None


def test_more_missing_words_than_unknown_ones_are_another_query() -> None:
    assert found("heat flow zork", old("heat flow wing plate")) is None


def test_two_older_queries_that_would_do_and_differ_tell_nothing() -> None:
    assert found("heat flow zork", old("heat flow wing", "a"), old("heat flow plate", "b")) is None


def test_the_new_query_itself_asked_before_does_not_stand_in_the_way() -> None:
    assert found("heat flow zork", old("heat flow zork", "a"), old("heat flow wing", "a")) == "heat flow wing"


def test_a_query_without_a_known_answer_is_no_help() -> None:
    unanswered = JudgedQuery(id="q", text="heat flow wing", grades={"a": 0.0}, origin="judged")
    assert linked({"heat flow zork": ("heat", "flow", "zork")}, [unanswered], str.split, KNOWN.__contains__) == {}
