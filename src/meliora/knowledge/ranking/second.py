"""A ranker, and after it a second look at its first results. Where that cannot be had the ranker's order stays, and the search says so."""

from __future__ import annotations

from dataclasses import replace

from meliora.knowledge.ranking.cross_encoder import FIRST, SecondLook
from meliora.knowledge.search.parts import Pool, Ranked, Ranker


class Seconded:
    """Puts candidates in order by a ranker (None: by the fusion), then has the first of them looked at again."""

    def __init__(self, ranker: Ranker | None, look: SecondLook) -> None:
        self._ranker, self._look = ranker, look

    def __call__(self, pool: Pool, /, *, explain: bool = False) -> Ranked:
        """Score each candidate. The second look moves only the first `FIRST`, above all others."""
        fused = Ranked([one.score for one in pool.candidates])
        ranked = fused if self._ranker is None else self._ranker(pool, explain=explain)
        first = sorted(range(len(ranked.scores)), key=lambda at: (-ranked.scores[at], at))[:FIRST]
        looked = self._look(pool.asked.text, [f"{pool.stored[at].title}\n{pool.stored[at].text}" for at in first])
        if not looked.scores:
            return replace(ranked, skipped={"second_look": looked.skipped} if looked.skipped else {})
        scores = list(ranked.scores)
        places = [scores[at] for at in first]  # their scores stay; who has which changes
        for score, place in zip(places, looked.order, strict=False):
            scores[first[place]] = score
        return replace(ranked, scores=scores)
