"""Figures of a search have an interval and a number of queries, and a query that tells nothing is never a 0."""

import pytest

from meliora.errors import StoreUnavailable
from meliora.knowledge.quality.figures import compare, evaluate
from meliora.knowledge.quality.judgments import Judgment, frozen

TEXTS = {f"q{at:02}": f"text {at}" for at in range(24)}
JUDGED = [*(Judgment(query, "yes", 1) for query in TEXTS), Judgment("bad", "no", 0)]
SET = frozen("x", 1, TEXTS | {"empty": "nothing", "bad": "only bad"}, JUDGED)


def good(query):
    return ["yes", "no"]


def worse(query):
    return ["no", "other", "yes"]


def test_queries_without_a_relevant_document_are_counted_and_left_out():
    found = evaluate(good, SET)
    assert found.ndcg.value == 1 and found.ndcg.n == 24
    assert found.unanswerable == found.ndcg.skipped == 2
    assert "empty" not in found.by_query and found.judgments == SET.sha256


def test_each_figure_is_told_and_so_is_what_nobody_judged():
    found = evaluate(worse, SET, k=3)
    assert found.ndcg.value == pytest.approx(0.5) and found.reciprocal_rank.value == pytest.approx(1 / 3)
    assert found.precision.value == pytest.approx(1 / 3) and found.recall.value == 1
    assert found.average_precision.value == pytest.approx(1 / 3)
    assert found.unjudged == pytest.approx(2 / 3)


def test_a_search_that_finds_nothing_is_0_and_one_that_fails_fails():
    assert evaluate(lambda query: [], SET).ndcg.value == 0 and evaluate(lambda query: [], SET).unjudged is None

    def broken(query):
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        evaluate(broken, SET)
    with pytest.raises(ValueError, match="k is 0"):
        evaluate(good, SET, k=0)


def test_a_document_given_twice_counts_at_its_first_place():
    assert evaluate(lambda query: ["no", "no", "yes", "yes"], SET).reciprocal_rank.value == pytest.approx(0.5)


def test_an_empty_set_has_no_figures():
    found = evaluate(good, frozen("x", 1, {}, []))
    assert found.ndcg.value is None and found.ndcg.n == 0


def test_searches_are_compared_query_by_query():
    found = compare(worse, good, SET)
    assert found.pairs == 24 and found.p_better is not None and found.p_better < 0.001
    assert compare(good, good, SET).p_different == 1
    few = frozen("x", 1, {"1": "a"}, [Judgment("1", "yes", 1)])
    assert compare(worse, good, few).p_better is None and compare(worse, good, few).pairs == 1
