"""Features are documented, finite, and say what their meaning says."""

import numpy as np
import pytest
from meliora.knowledge.index.local import LocalView

from meliora.knowledge.answers import Place
from meliora.knowledge.index.base import Asked
from meliora.knowledge.ranking import features as module
from meliora.knowledge.ranking.batch import Candidate, Statistics
from meliora.knowledge.ranking.features import FEATURES, NAMES, features, schema, within
from tests.knowledge.ranking.conftest import fused, stored

TEXTS = {
    "near": stored("near", "x red fox y y y y y y", "red"),
    "far": stored("far", "red x y y y y y y fox"),
    "half": stored("half", "x red y y y y y y y"),
    "none": stored("none", "x y y y y y y y y"),
    "fox": stored("fox", "fox x x z"),
}
ASKED = Asked(terms={"red": 1.0, "fox": 1.0})


def table(names=tuple(TEXTS), asked=ASKED):
    view = LocalView(list(TEXTS.values()))
    candidates = [
        Candidate(TEXTS[name], (Place("words", at + 1, 1.0, 0.01),), 1 / (60 + at)) for at, name in enumerate(names)
    ]
    rows = features(asked, candidates, Statistics(view))
    return {name: dict(zip(NAMES, row, strict=True)) for name, row in zip(names, rows.tolist(), strict=True)}


def test_every_feature_is_named_once_and_has_a_meaning():
    assert len(set(NAMES)) == len(NAMES) and 20 <= len(NAMES) <= 30
    assert all(one.meaning.endswith(".") for one in FEATURES)


def test_the_schema_changes_with_a_meaning_and_with_the_version(monkeypatch):
    before = schema()
    monkeypatch.setattr(module, "VERSION", "other")
    assert schema() != before
    monkeypatch.undo()
    monkeypatch.setattr(module, "FEATURES", FEATURES[::-1])
    assert schema() != before


def test_words_that_stand_together_in_the_querys_order_are_a_phrase_and_near():
    found = table()
    assert found["near"]["phrases"] > 0 == found["far"]["phrases"]
    assert found["near"]["proximity"] > found["far"]["proximity"] > found["half"]["proximity"]


def test_coverage_is_the_share_of_the_querys_weight():
    found = table()
    assert found["near"]["coverage"] == pytest.approx(1) and found["none"]["coverage"] == 0
    assert 0 < found["half"]["coverage"] < 1
    assert found["near"]["missed_idf"] == 0 < found["half"]["missed_idf"]


def test_the_title_counts_by_itself():
    found = table()
    assert found["near"]["title_coverage"] == pytest.approx(0.5, abs=0.2) and found["far"]["title_coverage"] == 0


def test_where_the_first_match_stands_is_told():
    found = table()
    assert found["none"]["first_match"] == 1 and found["far"]["first_match"] == 0
    assert found["half"]["first_match"] == pytest.approx(1 / 9)


def test_a_term_of_less_weight_counts_less():
    heavy = table(asked=Asked(terms={"red": 1.0, "fox": 1.0}))["half"]["coverage"]
    light = table(asked=Asked(terms={"red": 0.1, "fox": 1.0}))["half"]["coverage"]
    assert light < heavy


def test_bm25_is_the_indexs_own():
    """The feature orders as the local index does, which has its own BM25."""
    view = LocalView(list(TEXTS.values()))
    hits = [hit.passage.partition("#")[0] for hit in view.retrieve("words", ASKED, 10)]
    found = table()
    assert sorted(hits, key=lambda name: -found[name]["bm25"]) == hits


def test_a_candidate_does_not_vouch_for_itself():
    """Alone with strangers, the first of the fusion is like nobody."""
    view = LocalView([stored("a", "red"), stored("b", "x y"), stored("c", "z")])
    candidates = [Candidate(one, (), 1 - at / 10) for at, one in enumerate(view.stored(["a#0", "b#0", "c#0"])) if one]
    rows = features(ASKED, candidates, Statistics(view))
    assert rows[:, NAMES.index("like_top3")].tolist() == [0, 0, 0]
    assert rows[:, NAMES.index("dense_like_top3")].tolist() == [0, 0, 0]


def test_a_document_like_the_first_ones_is_told_from_one_that_is_not():
    view = LocalView([stored("a", "red fox den"), stored("b", "red fox den cub"), stored("c", "red tax law")])
    candidates = [Candidate(one, (), 1 - at / 10) for at, one in enumerate(view.stored(["a#0", "b#0", "c#0"])) if one]
    rows = features(Asked(terms={"red": 1.0}), candidates, Statistics(view))
    for name in ("like_top3", "feedback"):
        assert rows[1, NAMES.index(name)] > rows[2, NAMES.index(name)]


@pytest.mark.parametrize(
    "terms", [{}, {"unknown": 1.0}, {"red": float("nan")}, {"red": -1.0}, {"red": float("inf")}, {"red": 1e300}]
)
def test_a_query_that_says_nothing_gives_finite_features(terms):
    view = LocalView(list(TEXTS.values()))
    candidates = [Candidate(one, (), 0.0) for one in TEXTS.values()]
    assert np.isfinite(features(Asked(terms=terms), candidates, Statistics(view))).all()


def test_no_candidate_one_candidate_and_an_empty_one_are_no_trouble():
    view = LocalView([stored("a", ""), stored("b", "red")])
    assert features(ASKED, [], Statistics(view)).shape == (0, len(NAMES))
    for name in ("a#0", "b#0"):
        (one,) = view.stored([name])
        assert one is not None
        assert np.isfinite(features(ASKED, [Candidate(one, (), 0.1)], Statistics(view))).all()


def test_features_do_not_depend_on_what_was_asked_before(collection):
    view, _ = collection
    asked = Asked(terms={"aab": 1.0, "bel": 2.0})
    candidates = fused(view, asked)
    warm = Statistics(view)
    features(Asked(terms={"cor": 1.0}), fused(view, Asked(terms={"cor": 1.0})), warm)
    assert (features(asked, candidates, warm) == features(asked, candidates, Statistics(view))).all()


def test_equal_scores_are_at_the_mean():
    assert within(np.full(4, 3.3)).tolist() == [0, 0, 0, 0]
    assert within(np.array([1.0, 3.0])).tolist() == [-1, 1]
