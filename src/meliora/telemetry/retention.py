"""What goes, and when: old content, old calls, people who wish it. In small batches, so that nobody waits for long."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

DAY_US = 86_400_000_000
BATCH = 500
"""Rows that one transaction deletes."""


class Housekeeping(Protocol):
    """What the store deletes. All methods raise `StoreUnavailable` where it is away."""

    def drop_contents(self, before_us: int, limit: int) -> int:
        """Delete the content of calls that began earlier; give how many."""
        ...

    def drop_calls(self, before_us: int, limit: int) -> int:
        """Delete calls that began earlier and are rolled up; give how many."""
        ...

    def forget_segments(self, before_us: int) -> int:
        """Forget spool segments that were done earlier; give how many."""
        ...


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one step deleted; `more` where a batch was full."""

    contents: int = 0
    calls: int = 0
    files: int = 0
    more: bool = False


class Pruner:
    """Hold the store to the days that content and calls are kept. Roll-ups and daily sums stay."""

    def __init__(
        self,
        housekeeping: Housekeeping,
        clock_us: Callable[[], int],
        *,
        content_days: float,
        call_days: float,
        quarantine: Path | None = None,
    ) -> None:
        self._housekeeping = housekeeping
        self._clock_us = clock_us
        self._content_days = min(content_days, call_days)
        self._call_days = call_days
        self._quarantine = quarantine

    def step(self) -> Pruned:
        """Delete one batch of each kind."""
        now = self._clock_us()
        kept_content = now - int(self._content_days * DAY_US)
        contents = self._housekeeping.drop_contents(kept_content, BATCH)
        calls = self._housekeeping.drop_calls(now - int(self._call_days * DAY_US), BATCH)
        files = 0
        if contents < BATCH and calls < BATCH:
            self._housekeeping.forget_segments(now - 7 * DAY_US)
            files = self._drop_files(kept_content)
        return Pruned(contents, calls, files, more=contents >= BATCH or calls >= BATCH)

    def run(self, *, most: int = 1000, pause: Callable[[], None] = lambda: time.sleep(0.02)) -> Pruned:
        """Step until there is nothing more to delete, or `most` times, with a pause in between in which others get their turn."""
        contents = calls = files = 0
        for _ in range(most):
            one = self.step()
            contents, calls, files = contents + one.contents, calls + one.calls, files + one.files
            if not one.more:
                return Pruned(contents, calls, files)
            pause()
        return Pruned(contents, calls, files, more=True)

    def _drop_files(self, before_us: int) -> int:
        """Delete what was put aside as malformed: it may hold content too."""
        if self._quarantine is None or not self._quarantine.is_dir():
            return 0
        old = [path for path in self._quarantine.iterdir() if path.stat().st_mtime_ns // 1000 < before_us]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)
