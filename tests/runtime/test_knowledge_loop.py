"""The loop over searches from end to end, on a moved clock: a broken index is found and built again, and quiet is left alone."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from benchmarks.search.loop import ground, life
from benchmarks.search.made import synthetic
from benchmarks.search.shifts import Query
from benchmarks.search.town import NAME, TENANT, founded, opened
from benchmarks.search.users import Asking
from meliora.knowledge.config import Fusion, SearchConfig
from meliora.loop.policy.request import Actor


def test_an_index_that_lost_documents_is_built_again_by_itself() -> None:
    with ground(synthetic(3)) as small:
        lived = life(small, "index", 3)
    assert lived.promoted == ("reindex",)
    assert lived.right
    assert lived.hours is not None and lived.hours <= 24
    assert lived.lost > 0 and lived.back == pytest.approx(lived.lost)


def test_where_nothing_changes_nothing_is_proposed(tmp_path: Path) -> None:
    judged = synthetic(4)
    founded(judged, tmp_path, sorted(judged.queries)[::2])
    shutil.copytree(tmp_path, tmp_path / "life")
    queries = [Query(one, judged.queries[one], judged.grades[one]) for one in sorted(judged.queries)]
    with opened(tmp_path / "life", queries, random.Random(4), a_day=400, people=600) as town:
        town.live(Asking(), 2.2 * 86_400)
        frozen = [row.name for row in town.loop.board.status("t") if row.baseline is not None]
        assert {"search_success", "ndcg_drop", "recall_drop"} == set(frozen)
        # The nightly look names no cause, so every kind has nothing to offer.
        assert all(one.candidate is None for one in town.changes())


def test_what_a_person_delivers_without_a_trial_is_watched(tmp_path: Path) -> None:
    """Nothing is known of how its searches varied; the watch begins all the same."""
    judged = synthetic(5)
    founded(judged, tmp_path, sorted(judged.queries)[::2])
    queries = [Query(one, judged.queries[one], judged.grades[one]) for one in sorted(judged.queries)]
    with opened(tmp_path, queries, random.Random(5), a_day=0, people=1) as town:
        config = SearchConfig(fusion=Fusion(words=1.1))
        kept = town.store.knowledge_snapshots.add(TENANT, NAME, config, "dana")
        asked = {"collection": NAME, "snapshot": kept.number, "forced": True}
        dana = Actor(kind="person", key="dana", role="admin", scopes=("admin",), tenant=TENANT)
        change = town.loop.asked(TENANT, dana, "fusion_weights", f"search:{NAME}", asked)
        for _ in range(20):
            town.loop.engine.step()
        found = town.store.changes.get(TENANT, change.id)
        assert found.state == "watching", found.reason
        assert town.store.knowledge_snapshots.serving(TENANT, NAME).number == kept.number
