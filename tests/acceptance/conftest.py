"""`--switch-off` runs each row's test with its feature switched off: every one of them must then fail.

That is what makes a row count: a test that passes without its feature would prove nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from meliora.settings.models import Server, Settings
from meliora.testing.stack import RunningMeliora
from tests.acceptance.switches import SWITCHES

ROW = re.compile(r"test_([a-z]\d\d)_")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--switch-off", action="store_true", help="Switch each row's feature off before its test.")


@pytest.fixture(autouse=True)
def switched(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the feature of this test's row off, if asked to."""
    if request.config.getoption("--switch-off"):
        name = request.node.originalname
        row = ROW.match(name)
        assert row is not None, f"{name} names no row of the checklist"
        SWITCHES[row[1]](monkeypatch)


@pytest.fixture
def meliora(tmp_path: Path, switched: None) -> Iterator[RunningMeliora]:
    """All of Meliora with the simulated provider."""
    with RunningMeliora(Settings(server=Server(state_dir=tmp_path / "state"))) as running:
        yield running
