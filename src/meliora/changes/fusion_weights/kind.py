"""Weighs the legs of a search anew: a few weightings are tried on half of the queries, and the best of them proves itself on the other."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from meliora.changes.comparing import DEPTH, LEAST, held_against, proof
from meliora.changes.searching import Made, SnapshotChange, Wanted, known_queries, recommended
from meliora.knowledge.config import Fusion, SearchConfig, Snapshot
from meliora.knowledge.quality.evidence import JudgedQuery, half
from meliora.loop.change import Change
from meliora.loop.kind import Later, Proof
from meliora.loop.work import Work
from meliora.stats.ranking import ndcg

SHARES = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Weights of n-grams and vectors that are tried, words being 1."""
LEAST_GAIN = 0.005
"""NDCG@10 on the half that is learned from, below which no weighting is worth a change."""


class FusionWeights(SnapshotChange):
    """Chooses weights."""

    name = "fusion_weights"

    def make(self, change: Change, work: Work, collection: str, serving: Snapshot) -> Made | Later | None:
        """Give the weighting that is best on the first half of the queries; None where none is better than what serves."""
        if recommended(work.finding, self.name) is None:
            return None
        fitted = [one for one in self._queries(change, collection) if half(one.text, change.id) == "fitted"]
        if len(fitted) < LEAST:
            return None
        best, gain = serving.config.fusion, 0.0
        now = self._mean(change, collection, serving.config, fitted)
        tried = weightings(serving.config.fusion)
        for at, fusion in enumerate(tried):
            work.progress(at / len(tried), f"weighting {at + 1} of {len(tried)} is tried")
            config = msgspec.structs.replace(serving.config, fusion=fusion)
            found = self._mean(change, collection, config, fitted) - now
            if found > gain:
                best, gain = fusion, found
        if gain < LEAST_GAIN:
            return None
        summary = f"words {best.words:g}, n-grams {best.grams:g}, vectors {best.dense:g} in {collection}"
        notes = {"fitted_queries": len(fitted), "tried": len(tried), "gain_fitted": round(gain, 5)}
        return Made(msgspec.structs.replace(serving.config, fusion=best), summary, notes)

    def compare(self, change: Change, work: Work, wanted: Wanted, configs: tuple[SearchConfig, SearchConfig]) -> Proof:
        """Hold both against the queries that were not learned from: those are for whom it is, and who must not suffer."""
        queries = [one for one in self._queries(change, wanted.collection) if half(one.text, change.id) == "held"]
        before, after = (self._plane.evidence.answering(change.tenant, wanted.collection, config) for config in configs)
        found = held_against(before, after, queries, work.seed)
        data = {"collection": wanted.collection, "queries": len(queries), "half": "held"}
        return proof(
            found,
            found,
            baseline=change.baseline,
            method="the same queries by both weightings",
            data=data,
            seed=work.seed,
        )

    def _queries(self, change: Change, collection: str) -> Sequence[JudgedQuery]:
        until = change.updated_us or change.created_us
        plane = self._plane
        return known_queries(plane.evidence, change.tenant, collection, until_us=until, days=plane.days)

    def _mean(self, change: Change, collection: str, config: SearchConfig, queries: Sequence[JudgedQuery]) -> float:
        answering = self._plane.evidence.answering(change.tenant, collection, config)
        return sum(ndcg(list(answering(one.text))[:DEPTH], one.grades, DEPTH) for one in queries) / len(queries)


def weightings(now: Fusion) -> list[Fusion]:
    """Give the weightings that are tried, but for the present one."""
    made = [msgspec.structs.replace(now, words=1.0, grams=grams, dense=dense) for grams in SHARES for dense in SHARES]
    return [one for one in made if one != now]
