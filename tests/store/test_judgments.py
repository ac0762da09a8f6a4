"""A judgment set is frozen: the same content in a row is one version, another content the next, and what contradicts itself is none."""

from __future__ import annotations

import pytest

from meliora.errors import InvalidRequest, NotFound
from meliora.knowledge.quality.report import held_to
from meliora.knowledge.shelf import Judgment
from tests.store.test_knowledge_documents import document

ROWS = [Judgment("q2", "two", "b", 1.0), Judgment("q1", "one", "a", 2.0), Judgment("q1", "one", "b", 0.0)]


@pytest.fixture
def judgments(store):
    store.knowledge_documents.put("t", "c", [document("a")])
    return store.judgments


def test_a_set_comes_back_in_its_one_order(judgments) -> None:
    info = judgments.put("t", "c", "held", ROWS, "cli")
    assert (info.version, info.queries, info.judgments, info.made_by) == (1, 2, 3, "cli")
    assert judgments.get("t", "c", "held", 1) == (info, (ROWS[1], ROWS[2], ROWS[0]))
    assert judgments.newest("t", "c", "held")[0] == info


def test_the_same_content_is_one_version_and_another_content_the_next(judgments) -> None:
    first = judgments.put("t", "c", "held", ROWS, "cli")
    assert judgments.put("t", "c", "held", ROWS[::-1], "somebody") == first
    second = judgments.put("t", "c", "held", ROWS[:2], "cli")
    assert (second.version, second.sha256 != first.sha256) == (2, True)
    assert judgments.put("t", "c", "other", ROWS, "cli").version == 1
    assert judgments.newest("t", "c", "held")[0] == second
    assert len(judgments.get("t", "c", "held", 1)[1]) == 3
    assert [(one.name, one.version) for one in judgments.list("t", "c")] == [("other", 1), ("held", 2), ("held", 1)]


def test_what_was_imported_last_counts_also_where_it_says_what_an_older_version_said(judgments) -> None:
    """Who goes back to earlier judgments is proved by those, not silently by what they replaced."""
    first = judgments.put("t", "c", "held", ROWS, "cli")
    judgments.put("t", "c", "held", ROWS[:2], "cli")
    again = judgments.put("t", "c", "held", ROWS, "cli")
    assert (again.version, again.sha256) == (3, first.sha256)
    assert judgments.newest("t", "c", "held")[0] == again


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [Judgment("", "one", "a", 1)],
        [Judgment("q", "one", "", 1)],
        [Judgment("q", " \t", "a", 1)],
        [Judgment("q" * 201, "one", "a", 1)],
        [Judgment("q", "one", "a", -1)],
        [Judgment("q", "one", "a", float("nan"))],
        [Judgment("q", "one", "a", 1), Judgment("q", "one", "a", 1)],
        [Judgment("q", "one", "a", 1), Judgment("q", "two", "b", 1)],
    ],
)
def test_a_set_that_says_nothing_or_contradicts_itself_is_refused(judgments, rows) -> None:
    with pytest.raises(InvalidRequest):
        judgments.put("t", "c", "held", rows, "cli")
    assert judgments.list("t", "c") == ()


def test_what_is_not_there_is_not_found(judgments) -> None:
    with pytest.raises(NotFound):
        judgments.put("t", "unknown", "held", ROWS, "cli")
    judgments.put("t", "c", "held", ROWS, "cli")
    for act in (
        lambda: judgments.get("t", "c", "held", 2),
        lambda: judgments.newest("t", "c", "nothing"),
        lambda: judgments.get("other", "c", "held", 1),
    ):
        with pytest.raises(NotFound):
            act()


def test_sets_go_with_their_collection(judgments, store) -> None:
    judgments.put("t", "c", "held", ROWS, "cli")
    store.knowledge_documents.drop("t", "c")
    with pytest.raises(NotFound):
        judgments.newest("t", "c", "held")


def test_proofs_are_held_to_the_frozen_set_however_many_others_were_made_since(judgments) -> None:
    assert held_to(judgments, "t", "c") is None
    judgments.put("t", "c", "frozen", ROWS, "cli")
    for grade in range(1, 102):
        judgments.put("t", "c", "nightly", [Judgment("q", "one", "a", grade)], "cli")
    found = held_to(judgments, "t", "c")
    assert found is not None and (found[0].name, found[0].version) == ("frozen", 1)


def test_without_a_frozen_set_proofs_are_held_to_the_newest(judgments) -> None:
    judgments.put("t", "c", "held", ROWS, "cli")
    judgments.put("t", "c", "other", ROWS[:2], "cli")
    found = held_to(judgments, "t", "c")
    assert found is not None and found[0].name == "other"
