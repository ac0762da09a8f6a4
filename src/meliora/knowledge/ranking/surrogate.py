"""LIME (Ribeiro, Singh, Guestrin, KDD 2016): a candidate's score as a linear model of it nearby, by the package `lime`.

Only estimates, beside TreeSHAP, which is exact (`model.Reranker.contributions`). What the fusion made of a candidate, and its vector
in the index, stay as they are while words are left out: a word counts here as far as the reranker itself reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from meliora.errors import MissingExtra
from meliora.knowledge.answers import Condition, Nearby, Words
from meliora.knowledge.index.base import Asked, Stored
from meliora.knowledge.ranking.batch import Array, Rarity
from meliora.knowledge.ranking.features import NAMES, features
from meliora.knowledge.ranking.model import Reranker
from meliora.knowledge.search.parts import Pool
from meliora.knowledge.text.analysis import analyse

SAMPLES = 2000
"""Rows that a candidate's features are varied to."""
TEXTS = 300
"""Texts that a query's or a passage's words are varied to; each takes a reranking."""
SHOWN = 10
"""Conditions and words that are told, the weightiest."""
_SEED = 0


class Lime:
    """Explains the candidates of one pool, one at a time, as they are asked for. The same candidate always gets the same answer."""

    def __init__(self, model: Reranker, rarity: Rarity, pool: Pool, table: Array) -> None:
        """`table` is what the features of the pool's candidates came to."""
        self._model, self._rarity, self._pool, self._table = model, rarity, pool, table

    def features(self, at: int) -> Nearby:
        """Tell which features carry a candidate's score, against rows that the model was trained on. Raises `MissingExtra`.

        A model that kept no such rows is explained against the candidates of the pool.
        """
        kept = self._model.background
        rows = kept if len(kept) else self._table
        explainer = _library("lime_tabular").LimeTabularExplainer(
            rows, mode="regression", feature_names=list(NAMES), feature_selection="none", random_state=_SEED
        )
        found = explainer.explain_instance(
            self._table[at], self._model.score, num_features=len(NAMES), num_samples=SAMPLES
        )
        holds = found.domain_mapper.discretized_feature_names
        weights = sorted(found.local_exp[1], key=lambda one: (-abs(one[1]), one[0]))[:SHOWN]
        return Nearby(
            conditions=tuple(Condition(NAMES[one], holds[one], float(weight)) for one, weight in weights),
            fit=float(found.score),
            against="training" if len(kept) else "candidates",
        )

    def words(self, at: int) -> Words:
        """Tell which words of the query and of the candidate carry its score. Raises `MissingExtra`."""
        pool, own = self._pool, self._pool.stored[at]
        asked = list(pool.asked.terms)
        held = list(dict.fromkeys((*own.title_terms, *own.terms)))
        query, fit = _weights(asked, lambda left: self._score(at, replace(pool, asked=_asked(pool.asked, left))))
        passage, passage_fit = _weights(held, lambda left: self._score(at, replace(pool, stored=_left(pool, at, left))))
        written = dict(zip(pool.query.terms, pool.query.written, strict=True))
        spoken = _written(own)
        return Words(
            query={written.get(term, term): weight for term, weight in query},
            document={spoken.get(term, term): weight for term, weight in passage},
            query_fit=fit,
            document_fit=passage_fit,
        )

    def _score(self, at: int, pool: Pool) -> float:
        return float(self._model.score(features(pool, self._rarity)[at : at + 1])[0])


def _weights(
    terms: Sequence[str], score: Callable[[frozenset[str]], float]
) -> tuple[list[tuple[str, float]], float | None]:
    """Give what each term adds to a score, the weightiest first, and how well that fits; None where there is nothing to vary."""
    if not terms:
        return [], None
    known: dict[frozenset[str], float] = {}

    def scores(texts: Sequence[str]) -> Array:
        found = np.empty((len(texts), 1))
        for row, text in enumerate(texts):
            left = frozenset(terms[int(number)] for number in text.split())
            if left not in known:
                known[left] = score(left)
            found[row, 0] = known[left]
        return found

    # Terms are given by their numbers: a term may hold whatever the analysis leaves in it.
    explainer = _library("lime_text").LimeTextExplainer(
        split_expression=str.split, feature_selection="none", class_names=["score"], random_state=_SEED
    )
    text = " ".join(map(str, range(len(terms))))
    found = explainer.explain_instance(text, scores, labels=(0,), num_features=len(terms), num_samples=TEXTS)
    weights = [(terms[int(number)], float(weight)) for number, weight in found.as_list(label=0)]
    return sorted(weights, key=lambda one: (-abs(one[1]), one[0]))[:SHOWN], float(found.score)


def _asked(asked: Asked, left: frozenset[str]) -> Asked:
    terms = {term: weight for term, weight in asked.terms.items() if term in left}
    return msgspec.structs.replace(asked, terms=terms)


def _left(pool: Pool, at: int, left: frozenset[str]) -> list[Stored]:
    """Give the passages of a pool, one of them with the words that are left."""
    stored, own = list(pool.stored), pool.stored[at]
    stored[at] = msgspec.structs.replace(
        own,
        terms=tuple(term for term in own.terms if term in left),
        title_terms=tuple(term for term in own.title_terms if term in left),
    )
    return stored


def _written(own: Stored) -> dict[str, str]:
    read = analyse(f"{own.title} {own.text}")
    return dict(zip(read.terms, read.written, strict=True))


def _library(module: str) -> Any:
    """Give a module of the package. Raises `MissingExtra`."""
    try:
        from lime import lime_tabular, lime_text  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtra("LIME is not installed.", hint="pip install 'meliora[lime]'") from error
    return {"lime_tabular": lime_tabular, "lime_text": lime_text}[module]
