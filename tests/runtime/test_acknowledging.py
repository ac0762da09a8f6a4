"""A process acknowledges a turn of the kill switch once it obeys, and says so when it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.errors import StoreError
from meliora.runtime.acknowledging import BEAT_SECONDS, ERASURE_SECONDS, Acknowledging, Heeding, acknowledging
from meliora.settings import Settings
from meliora.settings.models import Server
from meliora.store.store import Store
from meliora.testing import FrozenClock


class Obedient:
    """Notes what it was told, and fails as often as it is to."""

    def __init__(self, fails: int = 0) -> None:
        self.told: list[bool] = []
        self.fails = fails

    def __call__(self, halted: bool) -> None:
        if self.fails:
            self.fails -= 1
            raise StoreError("not yet")
        self.told.append(halted)


def control(store: Store, clock: FrozenClock, folder: Path, name: str, obey: Obedient) -> Acknowledging:
    settings = Settings(server=Server(state_dir=folder))
    return acknowledging(settings, store, clock, name, "control", obey, signals=False)


def test_two_control_processes_acknowledge_each_when_it_obeys(store: Store, clock: FrozenClock, tmp_path: Path) -> None:
    prompt, late = Obedient(), Obedient()
    one, other = (control(store, clock, tmp_path, name, obey) for name, obey in (("one", prompt), ("other", late)))
    one.step()
    other.step()
    store.control.kill("ann", "x")
    late.fails = 1
    clock.advance(0.3)
    one.step()
    with pytest.raises(StoreError):
        other.step()
    said = {ack.id: ack.seconds for ack in store.control.acks().processes}
    assert (said["one"], said["other"]) == (pytest.approx(0.3), None)
    clock.advance(0.2)
    other.step()
    assert store.control.acks().complete and store.control.acks().seconds == pytest.approx(0.5)
    store.control.resume("ann", "y")
    one.step()
    other.step()
    assert prompt.told == late.told == [False, True, False]


def test_between_turns_it_says_now_and_then_that_it_lives(store: Store, clock: FrozenClock, tmp_path: Path) -> None:
    obey = Obedient()
    one = control(store, clock, tmp_path, "one", obey)
    seen = []
    for _ in range(4):
        one.step()
        seen.append(store.control.acks().processes[0].seen_us)
        clock.advance(BEAT_SECONDS / 2)
    assert seen[0] == seen[1] < seen[2] == seen[3] and obey.told == [False]


def test_one_that_ends_in_order_is_not_waited_for(store: Store, clock: FrozenClock, tmp_path: Path) -> None:
    one, other = (control(store, clock, tmp_path, name, Obedient()) for name in ("one", "other"))
    one.step()
    other.step()
    other.leave()
    store.control.kill("ann", "x")
    one.step()
    assert store.control.acks().complete and [ack.id for ack in store.control.acks().processes] == ["one"]


def test_a_kill_file_is_passed_on_by_a_control_process_too(store: Store, clock: FrozenClock, tmp_path: Path) -> None:
    obey = Obedient()
    one = control(store, clock, tmp_path, "one", obey)
    (tmp_path / "kill").write_text("it burns")
    one.step()
    assert store.control.halted() and obey.told == [True]


def test_what_was_written_of_searches_is_let_go_once_for_each_erasure(clock: FrozenClock) -> None:
    erased, let_go = [0], []
    heeds = Heeding(lambda: erased[0], lambda: let_go.append(erased[0]), clock)
    heeds.step()
    assert let_go == []
    for at in (100, 200):
        erased[0] = at
        heeds.step()  # it has just looked
        clock.advance(ERASURE_SECONDS)
        heeds.step()
        clock.advance(ERASURE_SECONDS)
        heeds.step()
    assert let_go == [100, 200]
