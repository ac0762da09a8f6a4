"""A store on a clock that stands until it is moved."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from meliora.store.store import Store
from meliora.testing import FrozenClock
from meliora.testing.store import temporary_store


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def store(clock: FrozenClock) -> Iterator[Store]:
    with temporary_store(clock) as opened:
        yield opened
