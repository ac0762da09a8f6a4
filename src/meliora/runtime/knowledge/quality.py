"""What the worker measures of searches: every hour the frozen queries by what serves; and the first baselines of the gates on them.

A baseline is frozen once, after a whole window with enough in it. One that stands is never replaced: that is a person's to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from meliora.clock import Clock
from meliora.errors import Conflict, MelioraError, NotFound
from meliora.knowledge.indexes import Indexes
from meliora.knowledge.quality.evidence import JudgedQuery
from meliora.loop.gates.board import GateBoard
from meliora.runtime.knowledge.evidence import StoredEvidence
from meliora.runtime.knowledge.tasks import collections
from meliora.stats.ranking import ndcg, recall
from meliora.store.store import Store

log = structlog.get_logger(__name__)

QUALITY_SECONDS = 60.0
"""How often it is looked whether an hour is over."""
EVERY_SECONDS = 3600.0
DEPTH = 20
MOST = 500
"""Frozen queries of a collection that are asked; of more, the first by their ids."""
GATES = ("search_success", "ndcg_drop", "recall_drop")
ENOUGH = 300
"""Searches in the window that make a baseline by itself: its own chance must be small beside the drop that fails the gate."""


_Figure = tuple[str, float, dict[str, str]]


class Quality:
    """Measures, and freezes what no baseline is frozen of."""

    def __init__(self, store: Store, indexes: Indexes, board: GateBoard, clock: Clock) -> None:
        self._store, self._board, self._clock = store, board, clock
        self._evidence = StoredEvidence(store, indexes)
        self._measured = float("-inf")
        self._kept: dict[tuple[str, str], tuple[tuple[object, ...], list[_Figure]]] = {}
        """What was measured last, and of what: what has not changed since is not asked again."""

    def step(self) -> bool:
        """Measure where an hour is over. A collection that fails stops no other, and is raised at the end."""
        now = self._clock.monotonic()
        if now - self._measured < EVERY_SECONDS:
            return False
        self._measured = now
        failed: MelioraError | None = None
        for tenant, collection in list(collections(self._store)):
            try:
                self._measure(tenant, collection)
            except NotFound as error:
                log.info("a collection could not be measured", collection=collection, why=str(error))
            except MelioraError as error:
                log.error("a collection could not be measured", collection=collection, error=str(error))
                failed = error
        for tenant in self._store.knowledge_documents.tenants():
            self._freeze(tenant)
        if failed is not None:
            raise failed
        return False

    def _measure(self, tenant: str, collection: str) -> None:
        queries: Sequence[JudgedQuery] = self._evidence.judged(tenant, collection)[:MOST]
        if not queries:
            return
        snapshot = self._store.knowledge_snapshots.serving(tenant, collection)
        view = self._evidence.view(tenant, collection)
        state = (snapshot.number, view.generation, view.watermark, hash(tuple((one.id, one.text) for one in queries)))
        kept = self._kept.get((tenant, collection))
        if kept is None or kept[0] != state:
            answer = self._evidence.answering(tenant, collection, snapshot.config, depth=DEPTH)
            kept = self._kept[tenant, collection] = state, _figures(collection, queries, answer)
        found = kept[1]
        self._store.metrics.record_all(tenant, found)

    def _freeze(self, tenant: str) -> None:
        for row in self._board.status(tenant):
            gate = row.definition
            if row.name not in GATES or row.baseline is not None or gate.change is None:
                continue
            since = self._clock.now_us() - round(gate.window_seconds * 1e6)
            if gate.metric == "search_success" and not self._searched(tenant, since):
                continue
            try:
                baseline = self._board.freeze(tenant, row.name, self._clock.now_us(), "system:quality")
            except Conflict as error:
                log.debug("no baseline yet", gate=row.name, why=str(error))
            else:
                log.info(
                    "a first baseline was frozen", tenant=tenant, gate=row.name, value=baseline.value, n=baseline.n
                )

    def _searched(self, tenant: str, since_us: int) -> bool:
        """Tell whether there were searches before the window, and enough in it."""
        names = [one.name for one in self._store.knowledge_documents.collections(tenant)]
        shelf, now = self._store.searches, self._clock.now_us()
        older = any(shelf.window(tenant, name, 0, since_us, 1) for name in names)
        return older and sum(len(shelf.window(tenant, name, since_us, now, ENOUGH)) for name in names) >= ENOUGH


def _figures(collection: str, queries: Sequence[JudgedQuery], answer: Callable[[str], Sequence[str]]) -> list[_Figure]:
    found: list[_Figure] = []
    for one in queries:
        grades = {document: max(0.0, grade) for document, grade in one.grades.items()}
        if any(grades.values()):
            ranked, context = list(answer(one.text)), {"query": f"{collection}/{one.id}", "collection": collection}
            found.append(("ndcg@10", ndcg(ranked[:10], grades, 10), context))
            found.append(("recall@20", recall(ranked, grades, DEPTH), context))
    return found
