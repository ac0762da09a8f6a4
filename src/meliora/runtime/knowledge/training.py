"""Trains a reranker over what serves: implements `changes.reranker.kind.Train` over store and index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from meliora.changes.reranker.kind import Trained
from meliora.errors import InvalidRequest
from meliora.knowledge.config import SearchConfig
from meliora.knowledge.quality.evidence import JudgedQuery
from meliora.runtime.knowledge.evidence import StoredEvidence
from meliora.runtime.knowledge.parts import Loading
from meliora.store.store import Store
from meliora.telemetry.ids import subject_of


class RerankerTraining:
    """Makes examples of queries with a known answer, and trains on them."""

    def __init__(self, store: Store, evidence: StoredEvidence) -> None:
        self._load = Loading(store.knowledge_snapshots)
        self._evidence, self._secret = evidence, store.secret

    def __call__(
        self,
        tenant: str,
        collection: str,
        config: SearchConfig,
        fitted: Sequence[JudgedQuery],
        held: Sequence[str],
        tokens: Sequence[str],
        seed: int,
    ) -> Trained | None:
        """Train on `fitted`; None where too few of them tell anything, or a model of one part of them orders the rest no better."""
        from meliora.knowledge.ranking.examples import examples
        from meliora.knowledge.ranking.train import cross_validate, train

        view = self._evidence.view(tenant, collection)
        bare = msgspec.structs.replace(config, reranking=None)
        made = list(examples(fitted, view, bare, self._load(tenant, bare, view)))
        drawn = seed % 1_000_003
        try:
            folded = cross_validate(made, seed=drawn)
            before, after = (_mean(scores) for scores in (folded.before, folded.after))
            if after <= before:
                return None
            figures = {"ndcg10_before": round(before, 5), "ndcg10_after": round(after, 5)}
            until = max(one.at_us for one in fitted)
            people, learned = self._subjects(tenant, fitted), [one.text for one in fitted]
            model = train(made, seed=drawn, figures=figures, people=people, until_us=until, learned=learned)
        except InvalidRequest:
            return None
        notes = {"examples": len(made), "held": len(held), "tokens": len(tokens), **figures}
        return Trained(model=model.write(), notes=notes)

    def _subjects(self, tenant: str, queries: Sequence[JudgedQuery]) -> list[str]:
        """Give the people with a name who asked these queries or used what answers them, as keyed hashes."""
        people = {who for one in queries for who in one.people if who.startswith("u:")}
        return [subject_of(self._secret, tenant, who.removeprefix("u:")) for who in people]


def _mean(scores: Mapping[str, float]) -> float:
    return sum(scores.values()) / len(scores) if scores else 0.0
