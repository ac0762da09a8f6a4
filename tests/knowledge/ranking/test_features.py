"""Features are documented, finite, and say what their meaning says."""

import numpy as np
import pytest

from meliora.knowledge.index.base import Asked
from meliora.knowledge.index.local import LocalView
from meliora.knowledge.ranking import features as module
from meliora.knowledge.ranking.batch import Rarity
from meliora.knowledge.ranking.features import FEATURES, NAMES, features, schema, within
from tests.knowledge.ranking.conftest import pool_of, stored

TEXTS = {
    "near": stored("near", "x red fox y y y y y y", "red"),
    "far": stored("far", "red x y y y y y y fox"),
    "half": stored("half", "x red y y y y y y y"),
    "none": stored("none", "x y y y y y y y y"),
    "fox": stored("fox", "fox x x z"),
}
ASKED = {"red": 1.0, "fox": 1.0}


def table(names=tuple(TEXTS), terms=ASKED):
    rows = features(pool_of(LocalView(list(TEXTS.values())), terms, names), Rarity())
    return {name: dict(zip(NAMES, row, strict=True)) for name, row in zip(names, rows.tolist(), strict=True)}


def column(texts, terms, name):
    """Give a feature of passages in the order of the fusion."""
    view = LocalView([stored(id, text) for id, text in texts.items()])
    return features(pool_of(view, terms, tuple(texts)), Rarity())[:, NAMES.index(name)].tolist()


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
    heavy = table(terms={"red": 1.0, "fox": 1.0})["half"]["coverage"]
    light = table(terms={"red": 0.1, "fox": 1.0})["half"]["coverage"]
    assert light < heavy


def test_bm25_is_the_indexs_own():
    """The feature orders as the local index does, which has its own BM25."""
    view = LocalView(list(TEXTS.values()))
    hits = [hit.passage.partition("#")[0] for hit in view.retrieve("words", Asked(terms=ASKED), 10)]
    found = table()
    assert sorted(hits, key=lambda name: -found[name]["bm25"]) == hits


def test_a_candidate_does_not_vouch_for_itself():
    """Among strangers, the first of the fusion is like nobody."""
    strangers = {"a": "red", "b": "x y", "c": "z"}
    for name in ("like_top3", "like_top10", "dense_like_top3"):
        assert column(strangers, ASKED, name) == [0, 0, 0]


def test_a_document_like_the_first_ones_is_told_from_one_that_is_not():
    texts = {"a": "red fox den", "b": "red fox den cub", "c": "red tax law"}
    for name in ("like_top3", "feedback"):
        _, like, unlike = column(texts, {"red": 1.0}, name)
        assert like > unlike


@pytest.mark.parametrize(
    "terms", [{}, {"unknown": 1.0}, {"red": float("nan")}, {"red": -1.0}, {"red": float("inf")}, {"red": 1e300}]
)
def test_a_query_that_says_nothing_gives_finite_features(terms):
    view = LocalView(list(TEXTS.values()))
    assert np.isfinite(features(pool_of(view, terms, tuple(TEXTS)), Rarity())).all()


def test_no_candidate_one_candidate_and_an_empty_one_are_no_trouble():
    view = LocalView([stored("a", ""), stored("b", "red")])
    assert features(pool_of(view, ASKED, ()), Rarity()).shape == (0, len(NAMES))
    for names in (("a",), ("b",), ("a", "b")):
        assert np.isfinite(features(pool_of(view, ASKED, names), Rarity())).all()


def test_features_do_not_depend_on_what_was_asked_before(collection):
    view, _ = collection
    asked = pool_of(view, {"aab": 1.0, "bel": 2.0})
    warm = Rarity()
    features(pool_of(view, {"cor": 1.0}), warm)
    assert (features(asked, warm) == features(asked, Rarity())).all()


def test_rarity_is_asked_anew_once_the_index_has_changed():
    rarity = Rarity()
    small, large = (LocalView([stored(f"{at}", "red") for at in range(count)]) for count in (2, 9))
    assert rarity.of(["red"], small) != rarity.of(["red"], large) == Rarity().of(["red"], large)


def test_equal_scores_are_at_the_mean():
    assert within(np.full(4, 3.3)).tolist() == [0, 0, 0, 0]
    assert within(np.array([1.0, 3.0])).tolist() == [-1, 1]
