"""What a reranker gains on queries that it did not see, with intervals: cross-validation by family, both orders on the same queries."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from meliora.knowledge.ranking.model import CHOSEN, Boosting
from meliora.knowledge.ranking.train import Example, cross_validate
from meliora.stats.ranking import MeanFigure, difference, mean

FOLDS = 5
K = 10


class HeldOut(msgspec.Struct, frozen=True, kw_only=True):
    """NDCG@`k` of queries that were held out, each ranked by a model that saw nothing of its family."""

    k: int
    folds: int
    queries: int
    before: MeanFigure
    """In the order of the fusion."""
    after: MeanFigure
    difference: float | None
    """Mean of after minus before, with its 95% interval (Student); None below 10 queries."""
    low: float | None
    high: float | None
    p_better: float | None
    """Of a sign-flip permutation test against "not better"."""

    @property
    def better(self) -> bool:
        """Whether the mean is higher; whether that is more than chance, the interval tells."""
        return self.before.value is not None and self.after.value is not None and self.after.value > self.before.value

    def figures(self) -> dict[str, float]:
        """Give what is kept in the model's file."""
        said = {
            f"ndcg{self.k}_before": self.before.value,
            f"ndcg{self.k}_after": self.after.value,
            "difference_low": self.low,
            "difference_high": self.high,
        }
        return {name: round(value, 5) for name, value in said.items() if value is not None}


def held_out(examples: Sequence[Example], boosting: Boosting = CHOSEN, *, seed: int, folds: int = FOLDS) -> HeldOut:
    """Measure it. Raises `InvalidRequest` where the queries outside a fold are too few to train on, `MissingExtra`."""
    folded = cross_validate(examples, boosting, seed=seed, folds=folds, k=K)
    found = difference(folded.before, folded.after, seed=seed)
    return HeldOut(
        k=K,
        folds=folds,
        queries=len(folded.after),
        before=mean(list(folded.before.values())),
        after=mean(list(folded.after.values())),
        difference=found.difference,
        low=found.low,
        high=found.high,
        p_better=found.p_better,
    )
