"""Frozen queries are measured every hour, and the first baselines of the gates on searches are frozen once there is enough."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meliora.knowledge.documents import Document
from meliora.knowledge.front import Plane
from meliora.knowledge.shelf import Judgment
from meliora.runtime.gates import gate_board
from meliora.runtime.knowledge.plane import plane_of
from meliora.runtime.knowledge.quality import Quality
from meliora.settings import Settings
from meliora.settings.models import Server
from meliora.store import Store
from meliora.testing import FrozenClock
from meliora.testing.store import temporary_store

DAY_US = 86_400_000_000
WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "jetty")


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def store(clock: FrozenClock) -> Iterator[Store]:
    with temporary_store(clock) as store:
        yield store


def made(tmp_path: Path, store: Store, clock: FrozenClock) -> tuple[Quality, Plane]:
    settings = Settings(server=Server(state_dir=tmp_path))
    plane = plane_of(settings, store, clock)
    pairs = [(one, other) for one in WORDS for other in WORDS if one < other][:35]
    plane.library.put("t", "c", (Document(id=f"d{at}", text=" ".join(pair)) for at, pair in enumerate(pairs)))
    rows = [Judgment(f"q{at}", " ".join(pair), f"d{at}", 1.0) for at, pair in enumerate(pairs)]
    store.judgments.put("t", "c", "frozen", rows, "test")
    plane.indexes.build("t", "c", "1")
    plane.indexes.of("t", "c").switch("1")
    return Quality(store, plane.indexes, gate_board(settings, store), clock), plane


def test_each_frozen_query_is_measured_once_an_hour_and_labelled_with_its_collection(
    tmp_path: Path, store: Store, clock: FrozenClock
) -> None:
    quality, plane = made(tmp_path, store, clock)
    for _ in range(3):
        quality.step()
    clock.advance(3600)
    quality.step()
    for name in ("ndcg@10", "recall@20"):
        seen = store.gate_figures.observations("t", name, clock.now_us() - DAY_US, clock.now_us() + 1)
        assert len(seen) == 70
        assert {one.query for one in seen} == {f"c/q{at}" for at in range(35)}
    plane.close()


def test_a_first_baseline_is_frozen_and_never_replaced(tmp_path: Path, store: Store, clock: FrozenClock) -> None:
    quality, plane = made(tmp_path, store, clock)
    board = gate_board(Settings(server=Server(state_dir=tmp_path)), store)

    def frozen() -> dict[str, str]:
        return {row.name: row.baseline.id for row in board.status("t") if row.baseline is not None}

    quality.step()
    first = frozen()
    assert set(first) == {"ndcg_drop", "recall_drop"}, "nobody has searched yet"
    clock.advance(7200)
    quality.step()
    assert frozen() == first
    told = [one for one in store.audit.list("t").items if one.action == "gate.frozen"]
    assert {one.subject.removeprefix("gate:"): one.body["baseline"] for one in told} == first
    assert {(one.actor, one.body["instead_of"]) for one in told} == {("system:quality", None)}
    plane.close()


def test_without_judgments_nothing_is_measured_and_no_baseline_frozen(
    tmp_path: Path, store: Store, clock: FrozenClock
) -> None:
    settings = Settings(server=Server(state_dir=tmp_path))
    plane = plane_of(settings, store, clock)
    plane.library.put("t", "c", [Document(id="d", text="amber birch")])
    Quality(store, plane.indexes, gate_board(settings, store), clock).step()
    assert store.metrics.names("t") == ()
    plane.close()
