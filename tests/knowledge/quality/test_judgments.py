"""A judgment set is frozen, named by its content, and made of nothing that contradicts itself."""

import pytest

from meliora.errors import InvalidRequest
from meliora.knowledge.quality.evidence import Pair
from meliora.knowledge.quality.judgments import Judgment, from_jsonl, from_pairs, from_qrels, frozen

QUERIES = '{"_id": "1", "text": "red fox"}\n\n{"id": 2, "text": "blue sea"}\n'


def test_the_content_names_a_set_whatever_order_and_version_it_has():
    rows = [Judgment("1", "a", 1), Judgment("1", "b", 0)]
    one, other = frozen("x", 1, {"1": "q", "2": "r"}, rows), frozen("y", 2, {"2": "r", "1": "q"}, rows[::-1])
    assert one.sha256 == other.sha256
    assert frozen("x", 1, {"1": "q", "2": "r"}, [Judgment("1", "a", 2), rows[1]]).sha256 != one.sha256
    assert frozen("x", 1, {"1": "Q", "2": "r"}, rows).sha256 != one.sha256


@pytest.mark.parametrize(
    "qrels",
    ["query-id\tcorpus-id\tscore\n1\ta\t2\n2\tb\t-1\n", "1 0 a 2\n2 0 b -1", "1\t0\ta\t2\r\n\r\n2\t0\tb\t-1\r\n"],
)
def test_qrels_of_three_and_of_four_columns_are_read(qrels):
    found = from_qrels("x", 1, QUERIES, qrels)
    assert found.grades() == {"1": {"a": 2}, "2": {"b": -1}}
    assert [one.id for one in found.judged()] == ["1"]


@pytest.mark.parametrize(
    ("qrels", "said"),
    [
        ("1\ta\t1\n1\ta\tmany\n", "Line 2"),
        ("1\ta\n", "Line 1"),
        ("9\ta\t1\n", "'9'"),
        ("1\ta\t1\n1\ta\t2\n", "1 and 2"),
        ("1\ta\tnan\n", "nan"),
        ("1\ta\tinf\n", "inf"),
        ("1\t\t1\n", "no document"),
    ],
)
def test_what_contradicts_itself_or_cannot_be_read_is_refused_with_its_place(qrels, said):
    with pytest.raises(InvalidRequest, match=said):
        from_qrels("x", 1, QUERIES, qrels)


@pytest.mark.parametrize(
    "queries", ["{", "[1]", '{"id": "1"}', '{"text": "x"}', '{"id": "1", "text": " "}', "[" * 9999]
)
def test_queries_that_are_none_are_refused(queries):
    with pytest.raises(InvalidRequest):
        from_qrels("x", 1, queries, "")


def test_json_lines_name_queries_by_their_text_or_by_an_id():
    found = from_jsonl(
        "x", 1, '{"query": "red", "document": "a", "grade": 2}\n{"query": "sea", "query_id": 7, "document": "b"}'
    )
    assert found.grades() == {"7": {"b": 1}, "red": {"a": 2}}
    for bad in (
        '{"query": "red", "grade": 2}',
        '{"query": "r", "document": "a", "grade": true}',
        '{"query": 1, "document": "a"}',
    ):
        with pytest.raises(InvalidRequest, match="Line 1"):
            from_jsonl("x", 1, bad)
    with pytest.raises(InvalidRequest, match="another text"):
        from_jsonl(
            "x", 1, '{"query": "a", "query_id": 1, "document": "a"}\n{"query": "b", "query_id": 1, "document": "a"}'
        )


def test_feedback_on_a_query_and_a_document_adds_up_to_1_at_most():
    pairs = [Pair(query="red  fox", document="a", weight=0.4), Pair(query="red fox", document="a", weight=0.9)]
    found = from_pairs(
        "x", 1, [*pairs, Pair(query="red fox", document="b", weight=0.5), Pair(query=" ", document="b", weight=1)]
    )
    assert found.grades() == {"red fox": {"a": 1.0, "b": 0.5}}
    assert {one.origin for one in found.judged()} == {"used"}
