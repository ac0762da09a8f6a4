"""A store that is gone when the test is over: SQLite in a temporary directory, its schema applied. Needs no server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from meliora.clock import Clock
from meliora.store import Store
from meliora.store.engine import connect, database_url
from meliora.store.migrate import upgrade
from meliora.testing.clock import FrozenClock


@contextmanager
def temporary_store(clock: Clock | None = None) -> Iterator[Store]:
    """Give an empty store whose time is the clock's (a `FrozenClock` where none is given), and delete it afterwards."""
    clock = clock or FrozenClock()
    with TemporaryDirectory(prefix="meliora-", ignore_cleanup_errors=True) as directory:
        engine = connect(database_url("", Path(directory)))
        upgrade(engine)
        with Store(engine, clock_us=clock.now_us) as store:
            yield store
