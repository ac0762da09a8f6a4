"""Edges of changes at work in threads of their own: one that takes hours holds up no watch, and none holds up the worker."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from meliora.errors import MelioraError
from meliora.loop.engine import Engine
from meliora.loop.shelf import Due

THREADS = 4


class Edges:
    """Hand what is due to whoever is free."""

    def __init__(self, engine: Engine, threads: int = THREADS) -> None:
        self._engine = engine
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="edge")
        self._running: dict[str, Future[bool]] = {}

    def step(self) -> bool:
        """Hand out what is due; tell whether there may be more at once. Raises what the last attempts raised."""
        failed = self._ended()
        free = self._threads - len(self._running)
        found = self._engine.due(self._threads * 2) if free > 0 else ()
        waiting = [due for due in found if due.change not in self._running][:free]
        for due in waiting:
            self._running[due.change] = self._pool.submit(self._take, due)
        if failed is not None:
            raise failed
        return bool(waiting)

    def close(self) -> None:
        """Take nothing new up; what runs ends or loses its lease."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _take(self, due: Due) -> bool:
        return self._engine.take(due)

    def _ended(self) -> MelioraError | OSError | None:
        error: MelioraError | OSError | None = None
        for change, future in list(self._running.items()):
            if not future.done():
                continue
            del self._running[change]
            found = future.exception()
            if isinstance(found, MelioraError | OSError):
                error = found
            elif found is not None:
                raise found
        return error
