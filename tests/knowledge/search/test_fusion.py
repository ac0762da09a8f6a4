"""Orders are fused by reciprocal ranks; vectors fitted to the documents count as far as words agree with them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from meliora.knowledge.config import Fusion
from meliora.knowledge.index.base import Hit
from meliora.knowledge.search.fusion import LEAST, fuse, weights_of

RULES = Fusion()


def hits(names: Sequence[str]) -> list[Hit]:
    return [Hit(name, 1.0 / at) for at, name in enumerate(names, 1)]


def test_a_score_is_the_sum_of_weights_over_k_and_rank() -> None:
    found = fuse({"words": hits("ab"), "grams": hits("ba")}, RULES)
    assert [one.passage for one in found] == ["a", "b"]
    assert found[0].score == pytest.approx(1 / 61 + 0.5 / 62)
    assert found[1].score == pytest.approx(1 / 62 + 0.5 / 61)


@pytest.mark.parametrize(
    ("common", "share"), [(10, 1.0), (5, 1.0), (4, 0.64), (3, 0.36), (2, LEAST), (1, LEAST), (0, LEAST)]
)
def test_fitted_vectors_count_by_the_square_of_how_far_words_agree(common: int, share: float) -> None:
    words = [f"w{at}" for at in range(30)]
    dense = [*words[:common], *(f"d{at}" for at in range(30))]
    weights = weights_of(RULES, {"words": hits(words), "dense": hits(dense)}, fitted=True)
    assert weights == {"words": 1.0, "dense": pytest.approx(RULES.dense * share)}


def test_only_the_first_results_are_held_against_each_other() -> None:
    words = [f"w{at}" for at in range(40)]
    dense = [f"d{at}" for at in range(10)] + words
    assert weights_of(RULES, {"words": hits(words), "dense": hits(dense)}, fitted=True)["dense"] == RULES.dense * LEAST
    assert weights_of(RULES, {"words": hits("ab"), "dense": hits("bxy")}, fitted=True)["dense"] == RULES.dense


def test_a_models_vectors_are_believed() -> None:
    found = {"words": hits("abc"), "dense": hits("xyz")}
    assert weights_of(RULES, found, fitted=False)["dense"] == RULES.dense
    assert fuse(found, RULES, fitted=False)[0].score == pytest.approx(1 / 61)


@pytest.mark.parametrize("found", [{"dense": hits("ab")}, {"words": [], "dense": hits("ab")}])
def test_where_words_find_nothing_the_vectors_count_in_full(found: dict) -> None:
    assert weights_of(RULES, found, fitted=True)["dense"] == RULES.dense
