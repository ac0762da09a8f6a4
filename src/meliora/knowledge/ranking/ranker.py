"""A trained reranker as a search uses it: features, scores, and where it was asked why, what each feature contributed."""

from __future__ import annotations

from meliora.knowledge.ranking.batch import Rarity
from meliora.knowledge.ranking.features import NAMES, features
from meliora.knowledge.ranking.model import Reranker
from meliora.knowledge.ranking.surrogate import Lime
from meliora.knowledge.search.parts import Pool, Ranked


class ModelRanker:
    """Puts candidates in the order of a model: a `Ranker`. Safe to use from several threads."""

    def __init__(self, model: Reranker) -> None:
        """Take a loaded model (`model.read`)."""
        self._model, self._rarity = model, Rarity()

    def __call__(self, pool: Pool, /, *, explain: bool = False) -> Ranked:
        """Score each candidate; with `explain`, give its features and their contributions, which sum to the score."""
        table = features(pool, self._rarity)
        scores = self._model.score(table).tolist()
        if not explain:
            return Ranked(scores)
        seen = [dict(zip(NAMES, row, strict=True)) for row in table.tolist()]
        near = Lime(self._model, self._rarity, pool, table)
        return Ranked(scores, seen, self._model.contributions(table), near)
