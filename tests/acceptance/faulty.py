"""A deployment whose index of documents lost some of them: real store, index, gates, diagnosis and kinds of change; no people."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.search.made import synthetic
from benchmarks.search.shifts import Query, index_fault
from benchmarks.search.town import NAME, TENANT, Town, founded, opened
from benchmarks.search.users import Asking
from meliora.knowledge.index.base import Index
from meliora.stats.ranking import ndcg

HOUR = 3600.0
QUIET = Asking()


@contextmanager
def faulty(folder: Path, seed: int = 3) -> Iterator[tuple[Town, int]]:
    """Give a town of which a third of the index was lost just now, and that time; half of its queries are frozen judgments."""
    judged = synthetic(seed)
    founded(judged, folder, sorted(judged.queries)[::2])
    queries = [Query(one, judged.queries[one], judged.grades[one]) for one in sorted(judged.queries)]
    with opened(folder, queries, random.Random(seed), a_day=0, people=1) as town:
        town.live(QUIET, 2 * HOUR)
        lost = index_fault(queries, list(town.documents), seed, missing=0.3, stale=0.0).missing
        indexes, shelf = town.plane.indexes, town.store.knowledge_documents
        index: Index = indexes.of(TENANT, NAME)
        index.build((one for one in indexes.all(TENANT, NAME) if one.id not in lost), "9fault")
        index.switch("9fault")
        assert shelf.exchange_generation(TENANT, NAME, "9fault", instead_of=shelf.generation(TENANT, NAME))
        yield town, town.clock.now_us()


def fresh_ndcg(town: Town) -> float:
    """Give NDCG@10 of the queries that are nobody's judgments, by what serves now."""
    answer = town.answering()
    scores = [ndcg(list(answer(one.text))[:10], one.grades, 10) for one in town.queries[1::2]]
    return sum(scores) / len(scores)
