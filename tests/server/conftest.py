from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.house import House, control_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """An app over an empty store."""
    with control_house(tmp_path) as made:
        yield made
