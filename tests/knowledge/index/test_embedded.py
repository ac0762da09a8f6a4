"""The embedded index holds to the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.knowledge.index.embedded import Embedded
from meliora.testing import FrozenClock
from tests.knowledge.index.contract import IndexContract, chunk


class TestEmbedded(IndexContract):
    """The suite, on a directory."""

    @pytest.fixture
    def index(self, tmp_path: Path) -> Embedded:
        """Give an empty index."""
        return Embedded(tmp_path / "index", chunk=chunk, clock=FrozenClock())
