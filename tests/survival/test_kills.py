"""Processes are killed at random moments under load: what a client was answered is recorded, once, and nothing else is."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from meliora.supervisor.layout import read_pids
from meliora.testing import FakeProvider
from tests.survival.house import House
from tests.survival.load import Load, compare

SOAK = int(os.environ.get("MELIORA_TEST_SOAK") or 0)
"""Rounds of the long run; 0 leaves it out."""


def _rounds(house: House, load: Load, chance: random.Random, rounds: int, victims: Sequence[tuple[str, ...]]) -> None:
    """Kill and start again at once, round after round, at a random moment of each."""
    for number in range(rounds):
        time.sleep(chance.uniform(0.1, 0.9))
        names = victims[number % len(victims)]
        if "gateway" in names:
            known = len(load.answered)
            house.wait(lambda known=known: len(load.answered) > known, 15, "no call is answered")
            time.sleep(chance.uniform(0, 0.2))
        house.kill(*names)
        for name in names:
            house.spawn(name)
    house.wait_ready()


@pytest.mark.parametrize(
    ("victims", "rounds"),
    [
        ([("gateway",)], 6),
        ([("worker",)], 6),
        ([("gateway", "worker"), ("control",), ("control", "gateway"), ("worker", "control", "gateway")], 6),
    ],
    ids=["gateway", "worker", "all of them"],
)
def test_what_was_answered_is_recorded_once_however_processes_die(
    tmp_path: Path, provider: FakeProvider, chance: random.Random, victims: list[tuple[str, ...]], rounds: int
) -> None:
    """Each is started again at once; the worker dies within its transactions too."""
    with House(tmp_path, provider).prepare() as house:
        for name in ("control", "gateway", "worker"):
            house.spawn(name)
        house.wait_ready()
        load = Load(house.port, house.secret)
        with load.running():
            _rounds(house, load, chance, rounds, victims)
        house.settle()
        well = compare(house, load)
    assert well >= rounds, "there was no load to speak of"
    assert not load.refused, load.refused


def test_the_supervisor_brings_back_what_was_killed_and_nothing_is_lost(
    tmp_path: Path, provider: FakeProvider, chance: random.Random
) -> None:
    """One of each, while calls come; then the supervisor itself: its processes serve on, and the next start takes over."""
    with House(tmp_path, provider) as house:
        assert house.meliora("up", "--detach").returncode == 0, house.logs()
        load = Load(house.port, house.secret, clients=3)
        with load.running():
            for name in chance.sample(["gateway", "worker", "control"], 3):
                time.sleep(chance.uniform(0.2, 0.6))
                pid = read_pids(house.layout).alive(name)
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                house.wait(
                    lambda name=name, pid=pid: (read_pids(house.layout).alive(name) or pid) != pid,
                    15,
                    f"{name} does not come back",
                )
            house.wait_ready()
            before = read_pids(house.layout)
            assert before.supervisor is not None
            os.kill(before.supervisor, signal.SIGKILL)
            known = len(load.answered)
            house.wait(lambda: len(load.answered) > known + 5, 15, "calls stopped with the supervisor")
            again = house.meliora("up", "--detach")
            assert again.returncode == 0, again.stderr
            assert not any(before.alive(name) for name in ("gateway", "control", "worker"))
            known = len(load.answered)
            house.wait(lambda: len(load.answered) > known + 5, 15, "calls do not go on")
        house.settle()
        compare(house, load)
        assert house.meliora("down").returncode == 0


@pytest.mark.skipif(not SOAK, reason="MELIORA_TEST_SOAK is the number of rounds of the long run")
@pytest.mark.timeout(SOAK * 10 + 60)
def test_soak(tmp_path: Path, provider: FakeProvider, chance: random.Random) -> None:
    """The same for as many rounds as asked for."""
    names = ("gateway", "worker", "control")
    chosen = [tuple(chance.sample(names, chance.randint(1, 3))) for _ in range(SOAK)]
    with House(tmp_path, provider).prepare() as house:
        for name in ("control", "gateway", "worker"):
            house.spawn(name)
        house.wait_ready()
        load = Load(house.port, house.secret)
        with load.running():
            _rounds(house, load, chance, SOAK, chosen)
        house.settle(120)
        compare(house, load)
