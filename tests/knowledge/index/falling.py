"""A process that writes an index and is killed at a step, or finds its disk full there. Prints what it saw before it fell."""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path

from meliora.knowledge.index.embedded import Embedded
from meliora.testing import FrozenClock
from tests.knowledge.index.contract import chunk, gone, many, put

STEPS = ("begin", "words", "rows", "parts", "vectors", "manifest", "rename", "renamed", "point", "pointed")
CHANGES = [put(200, "d1", "changed text"), gone(201, "d2"), *many(30, first=300)]


def opened(directory: Path, step=lambda name: None) -> Embedded:
    """Open the index."""
    return Embedded(directory, chunk=chunk, clock=FrozenClock(), step=step)


def killed_at(wanted: str):
    """Give a step that ends the process as a kill does."""

    def step(name: str) -> None:
        if name == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    return step


def full_at(wanted: str):
    """Give a step that finds no space."""

    def step(name: str) -> None:
        if name == wanted:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return step


def main() -> None:
    """Do `what` in a directory, and fall at a step."""
    directory, what, wanted = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    index = opened(directory, killed_at(wanted))
    if what == "apply":
        index.apply(CHANGES)
    elif what == "build":
        index.build([*many(80), *CHANGES], "2")
        index.switch("2")
    elif what == "midway":
        index.build(_dying(), "2")


def _dying():
    yield from many(80)
    os.kill(os.getpid(), signal.SIGKILL)
    yield from CHANGES


if __name__ == "__main__":
    main()
