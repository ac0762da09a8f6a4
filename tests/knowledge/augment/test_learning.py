"""What is learned from a data set: nothing that proves, nothing without an answer, nothing of documents that are not there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meliora.errors import InvalidRequest
from meliora.knowledge.augment.learning import Learnable, learnable


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def read(*rows: dict[str, Any], proving: tuple[str, ...] = ()) -> Learnable:
    return learnable(lines(*rows), lambda document: document != "gone", proving)


GOOD = {"query": "how do I reset a password", "document": "d1", "grade": 2}


def test_queries_are_read_with_their_grades_and_a_grade_that_is_not_said_is_1() -> None:
    data = read(
        GOOD, {"query": GOOD["query"], "document": "d2"}, {"query": "opening hours", "document": "d3", "grade": 0.5}
    )
    assert {one.text: dict(one.grades) for one in data.queries} == {
        "how do I reset a password": {"d1": 2.0, "d2": 1.0},
        "opening hours": {"d3": 0.5},
    }
    assert data.name == f"ds_{data.version[:16]}" and not data.left_out


def test_the_same_rows_have_the_same_name_in_whatever_order() -> None:
    other = {"query": "opening hours", "document": "d3"}
    assert read(GOOD, other).version == read(other, GOOD).version
    assert read(GOOD, other).version != read(GOOD, other | {"grade": 2}).version


def test_what_proves_is_not_learned_from_nor_what_was_made_of_it_or_is_nearly_it() -> None:
    data = read(
        GOOD,
        {"query": "When does the harbour open", "document": "d1"},
        {"query": "when doess the harbour open?", "document": "d1"},
        {"query": "port times", "document": "d1", "made_of": "when does the harbour open", "method": "paraphrase"},
        proving=("when does the harbour open",),
    )
    assert [one.text for one in data.queries] == [GOOD["query"]] and data.left_out == {"test_set": 3}


def test_a_query_made_of_a_documents_text_is_learned_from_though_the_text_has_the_words_of_one_that_proves() -> None:
    text = "when does the harbour open: at six, and it closes at nine"
    row = {"query": "closes nine", "document": "d1", "made_of": text, "method": "query_from_document"}
    data = read(row, proving=("when does the harbour open",))
    assert data.family(data.queries[0]) == "closes nine"


def test_what_has_no_answer_and_what_is_not_there_is_left_out_and_counted() -> None:
    data = read(
        GOOD,
        {"query": "nothing good", "document": "d1", "grade": 0},
        {"query": "elsewhere", "document": "gone"},
        {"query": "half there", "document": "gone"},
        {"query": "half there", "document": "d2"},
    )
    assert data.left_out == {"no_answer": 1, "no_document": 1}
    assert {one.text: dict(one.grades) for one in data.queries}["half there"] == {"d2": 1.0}


def test_a_query_and_what_it_was_made_of_are_one_family_and_both_are_told_as_learned() -> None:
    data = read(
        GOOD, {"query": "password reset", "document": "d1", "made_of": "How do I  reset a password", "method": "eda"}
    )
    assert len(set(data.families.values())) == 1
    assert {"password reset", "how do i reset a password"} <= set(data.texts)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "it has no line"),
        ("{", "Line 1 is no JSON"),
        ("[]", "Line 1 is no JSON object"),
        (lines(GOOD, {"query": "x"}), "Line 2 is no judgment"),
        (lines(GOOD, {"query": "x", "document": "d", "grade": "high"}), "Line 2 is no judgment"),
        (lines(GOOD, {"query": "x", "document": "d", "grade": 1e9}), "grade"),
        (lines(GOOD, GOOD | {"grade": 1}), "grades 2 and 1"),
        (lines({"query": "x", "document": "gone"}), "1 no_document"),
    ],
)
def test_bad_input_is_refused_by_what_is_wrong(text: str, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        learnable(text, lambda document: document != "gone", ())
