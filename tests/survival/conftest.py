"""A provider for all tests of a module's kind: real, on the loopback, and never the one that fails here."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from meliora.testing import FakeProvider, Play


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider that takes a moment over each event, so that kills meet calls under way."""
    with FakeProvider(play=Play(event_delay=0.004)) as provider:
        yield provider


@pytest.fixture
def chance() -> random.Random:
    """The moments at which things die; `MELIORA_TEST_SEED` repeats a run."""
    seed = int(os.environ.get("MELIORA_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"MELIORA_TEST_SEED={seed}")
    return random.Random(seed)
