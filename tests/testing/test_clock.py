"""Clocks: one that runs and one that stands still."""

from __future__ import annotations

import pytest

from meliora.clock import Clock, SystemClock
from meliora.testing import FrozenClock


def test_a_frozen_clock_moves_only_when_it_is_moved() -> None:
    clock: Clock = FrozenClock(5)
    assert (clock.now_us(), clock.monotonic()) == (5, 0.0)
    frozen = FrozenClock(5)
    frozen.advance(1.5)
    assert (frozen.now_us(), frozen.monotonic()) == (1_500_005, 1.5)
    frozen.set(1)
    assert (frozen.now_us(), frozen.monotonic()) == (1, 1.5)
    with pytest.raises(ValueError, match="forwards"):
        frozen.advance(-1)


async def test_sleeping_on_it_takes_no_time() -> None:
    clock = FrozenClock()
    await clock.sleep(3600)
    assert clock.monotonic() == 3600


def test_the_system_clock_runs() -> None:
    clock: Clock = SystemClock()
    assert clock.now_us() > 1_700_000_000_000_000
    assert clock.monotonic() <= clock.monotonic()
