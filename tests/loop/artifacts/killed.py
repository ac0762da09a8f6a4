"""Make the artifacts of a cycle and die at the n-th time that something is put on the disk: `killed.py DATABASE ROOT CYCLE N`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from meliora.store import Store
from meliora.store.engine import connect
from tests.loop.artifacts.test_archive import archive


def main(database: str, root: str, cycle: str, most: int) -> None:
    """Die like a process that was killed."""
    real, count = os.fsync, 0

    def fsync(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count > most:
            os.kill(os.getpid(), signal.SIGKILL)
        real(descriptor)

    os.fsync = fsync
    with Store(connect(f"sqlite:///{database}")) as store:
        archive(Path(root), store).make(store.cycles.get("default", cycle))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
