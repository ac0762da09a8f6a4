"""Older queries tell which word stood where a new one stands."""

from __future__ import annotations

import pytest

from meliora.knowledge.repair import contexts
from meliora.knowledge.repair.contexts import Contexts


def known(term: str) -> bool:
    return not term.startswith("new")


def test_the_same_query_with_a_word_in_its_place_says_all() -> None:
    old = Contexts([("wing", "heat", "flow"), ("gas", "tube")], known)
    assert old.instead("new1", [("new1", "heat", "flow")]) == {"wing": pytest.approx(1.0)}


def test_a_query_that_has_half_in_common_says_a_quarter() -> None:
    # Three of equal worth: the new query has one, the older one both but for `wing`.
    old = Contexts([("wing", "heat", "flow")], known)
    assert old.instead("new1", [("new1", "heat")])["wing"] == pytest.approx(0.25)


def test_it_is_the_mean_over_different_queries() -> None:
    old = Contexts([("wing", "heat", "flow")], known)
    asked = [("new1", "heat", "flow"), ("flow", "heat", "new1"), ("new1", "gas")]
    assert old.instead("new1", asked) == {"wing": pytest.approx(0.5)}


def test_a_rare_word_in_common_says_more_than_a_frequent_one() -> None:
    old = Contexts([("wing", "rare"), ("tail", "often"), *[("often", f"w{at}") for at in range(9)]], known)
    found = old.instead("new1", [("new1", "rare", "often")])
    assert found["wing"] > found["tail"] > 0


def test_words_that_no_document_has_and_words_of_the_query_itself_stand_for_nothing() -> None:
    old = Contexts([("new2", "heat", "flow"), ("heat", "flow"), ()], known)
    assert old.instead("new1", [("new1", "heat", "flow")]) == {}
    assert Contexts([], known).instead("new1", [("new1", "heat")]) == {}
    assert old.instead("new1", []) == {}
    assert old.instead("new1", [("new1",)]) == {}


def test_of_very_many_older_queries_those_asked_most_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "MOST_QUERIES", 1)
    old = Contexts([("tail", "heat"), ("wing", "heat"), ("wing", "heat")], known)
    assert set(old.instead("new1", [("new1", "heat")])) == {"wing"}
