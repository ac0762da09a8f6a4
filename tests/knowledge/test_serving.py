"""What answers a search: what serves, an arm's snapshot, and what was last known while the store is away."""

from __future__ import annotations

from typing import Any

import pytest

from meliora.errors import NotFound, StoreUnavailable
from meliora.knowledge.config import SearchConfig, Snapshot
from meliora.knowledge.index.base import View
from meliora.knowledge.index.local import LocalView
from meliora.knowledge.search.parts import Parts
from meliora.knowledge.serving import Arm, Serving, Who
from meliora.testing import FrozenClock

WHO = Who(tenant="t", key="k", user="u")
VIEW = LocalView([])


class Shelf:
    """Snapshots 1 and 2, of which one serves; may be away."""

    def __init__(self) -> None:
        self.number = 1
        self.away = False
        self.asked = 0

    def serving(self, tenant: str, collection: str) -> Snapshot:
        self.asked += 1
        if self.away:
            raise StoreUnavailable("gone")
        return self.get(tenant, collection, self.number)

    def get(self, tenant: str, collection: str, number: int) -> Snapshot:
        if number > 2:
            raise NotFound(f"There is no snapshot {number}.")
        return Snapshot(number=number, config=SearchConfig(), sha256=str(number))


def serving(shelf: Any, clock: FrozenClock, arm: Arm | None = None, missing: dict[str, str] | None = None) -> Serving:
    def load(tenant: str, config: SearchConfig, view: View) -> Parts:
        loaded.append(config)
        return Parts(missing=missing or {})

    loaded: list[SearchConfig] = []
    made = Serving(shelf, load, clock, lambda who, collection: arm)
    made.loaded = loaded  # type: ignore[attr-defined]
    return made


def arm(snapshot: int | None, counts: bool = True) -> Arm:
    return Arm(trial="c", phase="trial", stage=0, name="candidate", unit="u1", snapshot=snapshot, counts=counts)


def test_a_switch_shows_within_a_second() -> None:
    shelf, clock = Shelf(), FrozenClock()
    made = serving(shelf, clock)
    assert made.of(WHO, "c", VIEW).snapshot.number == 1
    shelf.number = 2
    clock.advance(1)
    assert made.of(WHO, "c", VIEW).snapshot.number == 2


def test_a_store_that_is_away_leaves_what_was_last_known() -> None:
    shelf, clock = Shelf(), FrozenClock()
    made = serving(shelf, clock)
    made.of(WHO, "c", VIEW)
    shelf.away = True
    clock.advance(3600)
    assert made.of(WHO, "c", VIEW).snapshot.number == 1
    with pytest.raises(StoreUnavailable):
        made.of(WHO, "never seen", VIEW)


def test_an_arm_is_answered_by_its_snapshot() -> None:
    served = serving(Shelf(), FrozenClock(), arm(2)).of(WHO, "c", VIEW)
    assert served.snapshot.number == 2
    assert served.arm is not None


def test_an_arm_whose_snapshot_cannot_be_had_is_answered_by_what_serves_and_counts_in_none() -> None:
    served = serving(Shelf(), FrozenClock(), arm(9)).of(WHO, "c", VIEW)
    assert (served.snapshot.number, served.arm) == (1, None)


def test_who_does_not_count_has_the_snapshot_and_no_arm() -> None:
    served = serving(Shelf(), FrozenClock(), arm(2, counts=False)).of(WHO, "c", VIEW)
    assert (served.snapshot.number, served.arm) == (2, None)


def test_parts_are_loaded_once_and_again_where_something_was_missing() -> None:
    whole = serving(Shelf(), FrozenClock())
    for _ in range(3):
        whole.of(WHO, "c", VIEW)
    assert len(whole.loaded) == 1  # type: ignore[attr-defined]
    half = serving(Shelf(), FrozenClock(), missing={"reranking": "gone"})
    for _ in range(3):
        half.of(WHO, "c", VIEW)
    assert len(half.loaded) == 3  # type: ignore[attr-defined]


def test_parts_are_made_anew_for_another_index_so_that_both_arms_know_its_words() -> None:
    made = serving(Shelf(), FrozenClock(), arm(2))
    mended = LocalView([])
    mended.generation = "2-mended"
    for view in (VIEW, mended, mended):
        made.of(WHO, "c", view)
        made.parts(WHO.tenant, "c", made.serving(WHO.tenant, "c"), view)
    assert len(made.loaded) == 4  # type: ignore[attr-defined]
