"""What the loop looks into at times, whatever the gates say: policies each week, searches each night, and their index even then."""

from __future__ import annotations

from collections.abc import Collection

from meliora.loop.gates.signals import GRACE_US, Schedule
from meliora.settings.loop import Loop as LoopSettings
from meliora.store.store import Store

SEARCHES = "searches"
SEARCH_REPAIRS = ("query_repair", "reindex", "fusion_weights", "reranker")
"""Kinds that a look at searches tries, those first that the finding names."""
MENDING = "reindex"


def schedules_of(chosen: LoopSettings, store: Store, kinds: Collection[str]) -> tuple[Schedule, ...]:
    """Give the schedules, of the kinds that there are."""

    def known(*names: str) -> tuple[str, ...]:
        return tuple(name for name in names if name in kinds)

    return (
        Schedule("retrain", chosen.retrain, known("routing_policy")),
        Schedule(
            SEARCHES,
            chosen.searches,
            known(*SEARCH_REPAIRS),
            lambda tenant: bool(store.knowledge_documents.collections(tenant)),
        ),
        Schedule("index", chosen.searches, known(MENDING), Occupied(store)),
    )


class Occupied:
    """Whether what an earlier look at searches brought up is still on its way, so that none comes now: its trial may last for days.

    Not where that is a new index itself.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(self, tenant: str) -> bool:
        """Tell."""
        now = self._store.changes.now_us()
        earlier = [one for one in self._store.cycles.within(tenant, now, now - GRACE_US) if one.subject == SEARCHES]
        last = [self._store.changes.of_cycle(tenant, one.id)[-1:] for one in earlier]
        return any(change.kind != MENDING for changes in last for change in changes)
