"""LambdaMART from graded candidates (Burges, MSR-TR-2010-82), held back for few queries: shallow monotone trees upon the fusion.

The model starts from the fused order and corrects it, so that what it has not learned stays as it was. Several such models, each
grown from other queries and features, vote together. The same examples, settings and seed give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from meliora.errors import InvalidRequest
from meliora.knowledge.quality.evidence import fingerprint
from meliora.knowledge.ranking.batch import Array
from meliora.knowledge.ranking.boosting import lightgbm
from meliora.knowledge.ranking.features import FEATURES, NAMES
from meliora.knowledge.ranking.model import CHOSEN, Boosting, Reranker, Training, made
from meliora.stats.ranking import ndcg

LEAST_QUERIES = 30
"""Queries with candidates both relevant and not, below which nothing is trained."""
HIGHEST = 30
"""Greatest grade that counts; a greater one counts as this."""
_STEPS = 4
"""Of a grade: LightGBM takes whole numbers."""


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A query's candidates with what is known of them; rows of `table` stand in the order of the fusion."""

    query: str
    table: NDArray[np.float64]
    """[candidates, features] as `features.features` gives it."""
    documents: tuple[str, ...]
    """The document of each row; a passage has its document's grade."""
    grades: Mapping[str, float]
    """Of all judged documents, found or not; in steps of a quarter in training."""
    weights: Mapping[str, float] = {}
    """How much a document counts in training, 1 where it is not named: inverse propensities of clicks."""
    weight: float = 1.0
    """How much the query counts in training."""
    family: str = ""
    """Queries of one family (a query and what was made of it) are never parted by cross-validation; empty: its own."""

    @property
    def telling(self) -> bool:
        """Whether its candidates differ in grade: otherwise no order of them is better."""
        return len({self.grades.get(document, 0) > 0 for document in self.documents}) == 2


def train(
    examples: Sequence[Example],
    boosting: Boosting = CHOSEN,
    *,
    seed: int,
    judgments: Sequence[str] = (),
    figures: Mapping[str, float] | None = None,
    people: Sequence[str] = (),
    until_us: int = 0,
    learned: Iterable[str] = (),
) -> Reranker:
    """Train a reranker. `judgments` names what it is trained from, `figures` what was measured of it, `people` (hashed) and
    `until_us` whose searches of which time it learned from, `learned` the texts of the queries: all are kept in its file, texts as
    fingerprints.

    Raises `InvalidRequest` for fewer than `LEAST_QUERIES` queries that tell anything or a table of other features, `MissingExtra`.
    """
    telling = sorted((one for one in examples if one.telling), key=lambda one: one.query)
    if len(telling) < LEAST_QUERIES:
        raise InvalidRequest(
            f"{len(telling)} queries have candidates both relevant and not; a reranker is trained from {LEAST_QUERIES} or more.",
            hint="Judge more queries, or wait for more feedback.",
        )
    rows, labels, weights, groups = _stacked(telling)
    library = lightgbm()
    data = {
        "label": labels,
        "weight": weights,
        "group": groups,
        "init_score": boosting.blend * rows[:, NAMES.index("fused")],
    }
    trees: list[str] = []
    for bag in range(boosting.bags):
        held = library.Dataset(rows, params={"verbosity": -1}, feature_name=list(NAMES), **data)
        trees.append(library.train(_parameters(boosting, seed * 1000 + bag), held, boosting.rounds).model_to_string())
    training = Training(
        judgments=tuple(judgments),
        queries=len(telling),
        skipped=len(examples) - len(telling),
        rows=len(rows),
        relevant=int((labels > 0).sum()),
        seed=seed,
        boosting=boosting,
        people=tuple(sorted(set(people))),
        until_us=until_us,
        learned=tuple(sorted(set(map(fingerprint, learned)))),
    )
    return made(trees, training, dict(figures or {}), rows)


class Folded(msgspec.Struct, frozen=True):
    """NDCG@10 by query: in the fusion's order, and reranked by a model that did not see the query's family."""

    before: Mapping[str, float]
    after: Mapping[str, float]


def cross_validate(
    examples: Sequence[Example], boosting: Boosting = CHOSEN, *, seed: int, folds: int = 5, k: int = 10
) -> Folded:
    """Train on all folds but one and rank that one, in turn. Queries with no relevant document are left out.

    `seed` deals the families to the folds and trains. Raises `InvalidRequest` as `train` does.
    """
    before: dict[str, float] = {}
    after: dict[str, float] = {}
    for seen, unseen in _folds(examples, seed, folds):
        model = train(seen, boosting, seed=seed)
        for one in unseen:
            if any(grade > 0 for grade in one.grades.values()):
                before[one.query] = figure(one, None, k)
                after[one.query] = figure(one, model, k)
    return Folded(before, after)


def figure(example: Example, model: Reranker | None, k: int = 10) -> float:
    """Give NDCG@k of an example's documents by their best passage, as a model ranks them; None: as the fusion does."""
    count = len(example.documents)
    order = range(count) if model is None else np.argsort(-model.score(example.table), kind="stable").tolist()
    return ndcg(list(dict.fromkeys(example.documents[at] for at in order)), example.grades, k)


def _folds(examples: Sequence[Example], seed: int, folds: int) -> Iterator[tuple[list[Example], list[Example]]]:
    families = sorted({one.family or one.query for one in examples})
    dealt = np.random.default_rng(seed).permutation(len(families)) % folds
    fold = dict(zip(families, dealt.tolist(), strict=True))
    for number in range(folds):
        held = [fold[one.family or one.query] == number for one in examples]
        yield (
            [one for one, out in zip(examples, held, strict=True) if not out],
            [one for one, out in zip(examples, held, strict=True) if out],
        )


def _stacked(examples: Sequence[Example]) -> tuple[Array, Array, Array, list[int]]:
    for one in examples:
        if one.table.shape != (len(one.documents), len(NAMES)):
            raise InvalidRequest(
                f"The table of the query {one.query!r} is {one.table.shape}, not {(len(one.documents), len(NAMES))}.",
                hint="Work the features out anew with this version.",
            )
    labels = [_label(one.grades.get(document, 0.0)) for one in examples for document in one.documents]
    weights = [one.weight * one.weights.get(document, 1.0) for one in examples for document in one.documents]
    if not all(0 < weight < np.inf for weight in weights):
        raise InvalidRequest("The weight of a query or a document is no positive finite number.", field="weights")
    rows = np.concatenate([one.table for one in examples])
    return rows, np.array(labels, dtype=float), np.array(weights, dtype=float), [len(one.documents) for one in examples]


def _label(grade: float) -> int:
    """Give a grade in steps; one above 0 never becomes 0."""
    return max(round(min(grade, HIGHEST) * _STEPS), 1) if grade > 0 else 0


def _parameters(boosting: Boosting, seed: int) -> dict[str, Any]:
    return {
        "objective": "lambdarank",
        "num_leaves": boosting.leaves,
        "learning_rate": boosting.rate,
        "min_data_in_leaf": boosting.least,
        "feature_fraction": boosting.features,
        "bagging_fraction": boosting.queries,
        "bagging_freq": 1,
        "bagging_by_query": True,
        "lambda_l2": boosting.shrinkage,
        "lambdarank_truncation_level": 20,
        "label_gain": [step / _STEPS for step in range(HIGHEST * _STEPS + 1)],
        "monotone_constraints": [int(one.direction == "more") for one in FEATURES],
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
