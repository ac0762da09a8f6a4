"""What the reranker knows of a candidate: documented numbers, worked out at query time from the words, the index and the fusion.

None of them is learned from judgments. Where a score has no common scale over queries, it is given as standard deviations from the
mean of the query's candidates ("within the query").
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Literal

import msgspec
import numpy as np

from meliora.knowledge.config import LEGS, Leg
from meliora.knowledge.ranking.batch import Array, Rarity, batch
from meliora.knowledge.ranking.collective import collective
from meliora.knowledge.ranking.lexical import lexical
from meliora.knowledge.search.fusion import Candidate
from meliora.knowledge.search.parts import Pool

VERSION = "1"
"""Of how the features are worked out: raise it where a number changes, so that models made before are refused."""
RANKED = 60.0
_EQUAL = 1e-9

Direction = Literal["more", "either"]


class Feature(msgspec.Struct, frozen=True):
    """A number about a candidate."""

    name: str
    meaning: str
    direction: Direction = "more"
    """`more`: with all else equal, more of it never lowers the model's score."""


FEATURES: tuple[Feature, ...] = (
    Feature("fused", "Fused score, within the query."),
    Feature("fused_share", "Fused score over the best one's."),
    Feature("words_rank", "1 / (60 + rank) among the passages found by words; 0: not found by them."),
    Feature("grams_rank", "1 / (60 + rank) by character n-grams; 0: not found by them."),
    Feature("dense_rank", "1 / (60 + rank) by vectors; 0: not found by them."),
    Feature("grams_score", "Score by character n-grams, within the query; the least one's where not found by them."),
    Feature("cosine", "Cosine of the query's and the passage's vector."),
    Feature("cosine_within", "The same, within the query."),
    Feature("bm25", "BM25 of title and text, within the query."),
    Feature("likelihood", "Log likelihood of the query under the passage's language model, within the query."),
    Feature("tfidf_cosine", "Cosine of tf-idf weights of query and passage, within the query."),
    Feature("coverage", "Share of the query's weight (weight times rarity) whose terms the passage has."),
    Feature("missed_idf", "Rarity of the rarest term that the passage has not.", "either"),
    Feature("matched_idf", "Rarity of the rarest term that it has."),
    Feature("title_bm25", "BM25 of the title alone, within the query."),
    Feature("title_coverage", "Share of the query's weight whose terms the title has."),
    Feature("proximity", "How near the query's words stand to each other, weighted by rarity, within the query."),
    Feature("phrases", "Rarity of pairs of words that follow each other as in the query, summed."),
    Feature(
        "first_match", "Where the first of the query's words stands, as a share of the passage; 1: nowhere.", "either"
    ),
    Feature("length", "Log of the passage's words.", "either"),
    Feature("like_top3", "Tf-idf likeness to the first 3 of the fusion, within the query."),
    Feature("like_top10", "Tf-idf likeness to the first 10 of the fusion, within the query."),
    Feature("dense_like_top3", "Likeness to the first 3 of the fusion by vectors."),
    Feature("dense_like_top3_within", "The same, within the query."),
    Feature("feedback", "BM25 of the words that the first 5 of the fusion have in common, within the query."),
    Feature("neighbours", "BM25 and cosine of the 5 candidates most like it, within the query."),
    Feature("query_length", "Terms of the query.", "either"),
    Feature("query_idf", "Mean rarity of the query's terms.", "either"),
    Feature("agreement", "Share of the first 10 by words that are among the first 10 by vectors.", "either"),
)
NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
_WITHIN = ("bm25", "likelihood", "tfidf_cosine", "title_bm25", "proximity", "like_top3", "like_top10", "feedback")


def schema() -> str:
    """Give the SHA-256 of all that a model takes for granted of its features: version, names, meanings, order."""
    said = [VERSION, *([one.name, one.meaning, one.direction] for one in FEATURES)]
    return sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()


def features(pool: Pool, rarity: Rarity) -> Array:
    """Give [candidates, features], columns as in `NAMES`. All numbers are finite.

    The pool's candidates stand as the fusion gave them, best first, and the terms that are asked for in the order of the query.
    """
    if not pool.candidates:
        return np.zeros((0, len(NAMES)))
    view, candidates = pool.view, pool.candidates
    it = batch(pool, rarity)
    fused = np.array([one.score for one in candidates], dtype=float)
    cosine = np.array(view.similarity(pool.asked.terms, it.passages), dtype=float)
    found = lexical(it, view.average_length, view.passages)
    found |= _of_legs(candidates, fused, cosine) | _of_query(candidates, it.idf, len(it.weights))
    fit = within(found["bm25"]) + found["cosine_within"]
    found |= collective(it, fused, fit, view)
    found["dense_like_top3_within"] = within(found["dense_like_top3"])
    found |= {name: within(found[name]) for name in _WITHIN}
    table = np.empty((len(candidates), len(NAMES)))
    for at, name in enumerate(NAMES):
        table[:, at] = found[name]
    return np.nan_to_num(table, nan=0.0, posinf=0.0, neginf=0.0)


def within(scores: Array) -> Array:
    """Give standard deviations from the mean; zeros where all are equal."""
    spread = float(scores.std())
    return (scores - scores.mean()) / spread if spread > _EQUAL else np.zeros(len(scores))


def _of_legs(candidates: Sequence[Candidate], fused: Array, cosine: Array) -> dict[str, Array]:
    found = {f"{leg}_rank": _by_rank(candidates, leg) for leg in LEGS}
    best = float(fused.max())
    return found | {
        "fused": within(fused),
        "fused_share": fused / best if best > 0 else np.zeros(len(fused)),
        "grams_score": within(_scores(candidates, "grams")),
        "cosine": cosine,
        "cosine_within": within(cosine),
    }


def _by_rank(candidates: Sequence[Candidate], leg: Leg) -> Array:
    ranks = (next((place.rank for place in one.places if place.leg == leg), None) for one in candidates)
    return np.array([0.0 if rank is None else 1 / (RANKED + rank) for rank in ranks])


def _scores(candidates: Sequence[Candidate], leg: Leg) -> Array:
    scores = [next((place.score for place in one.places if place.leg == leg), None) for one in candidates]
    least = min((score for score in scores if score is not None), default=0.0)
    return np.array([least if score is None else score for score in scores], dtype=float)


def _of_query(candidates: Sequence[Candidate], idf: Array, terms: int) -> dict[str, Array]:
    words, dense = (
        {one.passage for one in candidates for place in one.places if place.leg == leg and place.rank <= 10}
        for leg in ("words", "dense")
    )
    count = len(candidates)
    return {
        "query_length": np.full(count, float(terms)),
        "query_idf": np.full(count, float(idf[:terms].mean()) if terms else 0.0),
        "agreement": np.full(count, len(words & dense) / 10),
    }
