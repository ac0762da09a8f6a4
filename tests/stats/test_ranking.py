"""Figures of a ranking are those of trec_eval, and a query that tells nothing is counted apart."""

import math

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.stats.ranking import (
    answerable,
    average_precision,
    difference,
    mean,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)

CUTS = (1, 3, 10, 30)
_IDS = [f"d{number}" for number in range(25)]
_grades = st.dictionaries(st.sampled_from(_IDS), st.integers(-1, 4), min_size=1)
# Of a query whose grades are all below 0, trec_eval reads past its own memory.
_known = _grades.filter(lambda grades: max(grades.values()) >= 0)
_ranked = st.lists(st.sampled_from(_IDS), unique=True, min_size=1)


@settings(max_examples=200, deadline=None)
@given(_known, _ranked)
def test_each_figure_is_trec_evals(grades, ranked):
    """Ties in grades, unjudged documents, negative grades, nothing relevant, lists shorter than k."""
    cuts = ",".join(map(str, CUTS))
    asked = {f"ndcg_cut.{cuts}", f"recall.{cuts}", f"P.{cuts}", f"map_cut.{cuts}", "ndcg", "recip_rank", "map"}
    run = {"q": {document: float(len(ranked) - at) for at, document in enumerate(ranked)}}
    theirs = pytrec_eval.RelevanceEvaluator({"q": grades}, asked).evaluate(run)["q"]
    ours = {
        "ndcg": ndcg(ranked, grades),
        "recip_rank": reciprocal_rank(ranked, grades),
        "map": average_precision(ranked, grades),
    }
    for k in CUTS:
        ours[f"ndcg_cut_{k}"] = ndcg(ranked, grades, k)
        ours[f"recall_{k}"] = recall(ranked, grades, k)
        ours[f"P_{k}"] = precision(ranked, grades, k)
        ours[f"map_cut_{k}"] = average_precision(ranked, grades, k)
    assert ours == pytest.approx(theirs, abs=1e-6)


@given(_grades, _ranked, st.integers(1, 30))
def test_each_figure_lies_between_0_and_1_and_the_best_order_has_an_ndcg_of_1(grades, ranked, k):
    best = sorted(grades, key=lambda document: -grades[document])
    assert ndcg(best, grades, k) == pytest.approx(1.0 if answerable(grades) else 0.0)
    for one in (ndcg, recall, precision, reciprocal_rank, average_precision):
        assert 0 <= one(ranked, grades, k) <= 1 + 1e-12


def test_nothing_found_is_0_and_not_an_error():
    assert [one([], {"a": 1}, 10) for one in (ndcg, recall, precision, reciprocal_rank, average_precision)] == [0] * 5
    assert [one(["a"], {"a": -1}, 10) for one in (ndcg, recall, precision, reciprocal_rank, average_precision)] == [
        0
    ] * 5
    assert not answerable({"a": 0, "b": -1}) and not answerable({})


def test_a_document_ranked_twice_or_a_k_of_0_is_refused():
    with pytest.raises(ValueError, match="twice"):
        ndcg(["a", "a"], {"a": 1})
    with pytest.raises(ValueError, match="k is 0"):
        precision(["a"], {"a": 1}, 0)


def test_a_mean_says_how_many_queries_it_has_and_how_many_told_nothing():
    found = mean([0.2, 0.4, 0.6, 0.8], skipped=3)
    assert (found.value, found.n, found.skipped) == (pytest.approx(0.5), 4, 3)
    # Student's 97.5% point with 3 degrees of freedom is 3.182.
    assert found.low == pytest.approx(0.5 - 3.182446 * np.std([0.2, 0.4, 0.6, 0.8], ddof=1) / 2, abs=1e-5)


def test_of_one_query_there_is_no_interval_and_of_none_no_figure():
    assert (mean([0.5]).low, mean([0.5]).high) == (None, None)
    assert mean([], skipped=2).value is None and mean([], skipped=2).skipped == 2
    with pytest.raises(ValueError, match="finite"):
        mean([0.1, math.nan])


def test_an_interval_holds_the_true_mean_nineteen_times_of_twenty():
    rng = np.random.default_rng(5)
    found = [mean(rng.beta(1, 2, 50).tolist()) for _ in range(1000)]
    inside = np.mean([one.low is not None and one.high is not None and one.low <= 1 / 3 <= one.high for one in found])
    assert 0.93 < inside < 0.97


def test_systems_are_compared_over_the_queries_that_both_have():
    rng = np.random.default_rng(2)
    before = {f"q{at}": score for at, score in enumerate(rng.random(60).tolist())}
    after = {query: score + 0.05 for query, score in before.items()} | {"other": 0.0}
    found = difference(before | {"alone": 1.0}, after)
    assert found.pairs == 60 and found.difference == pytest.approx(0.05)
    assert found.p_different is not None and found.p_different < 0.001
