"""For all tests: numpy keeps to one thread, as in the processes of Meliora, since several tests run at once; logs go where they would."""

import os
from collections.abc import Iterator

import pytest
import structlog

from meliora.supervisor.child import THREADS

for threads in THREADS:
    os.environ.setdefault(threads, "1")


@pytest.fixture(autouse=True)
def logs_as_ever() -> Iterator[None]:
    """Let no test find the logs as an earlier one left them, quiet or elsewhere."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
