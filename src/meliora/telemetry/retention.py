"""What goes, and when: old content, old calls, people who wish it. In small batches, so that nobody waits for long."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

DAY_US = 86_400_000_000
DELETIONS_DAYS = 90
"""Days for which an index may sleep and still hear which documents were deleted."""
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

    def drop_search_contents(self, before_us: int, limit: int) -> int:
        """Delete what was asked in searches that began earlier; give how many."""
        ...

    def drop_searches(self, before_us: int, limit: int) -> int:
        """Delete searches that began earlier, with what was said of them; give how many."""
        ...

    def drop_conversations(self, before_us: int, limit: int) -> int:
        """Delete remembered conversations whose last turn came earlier; give how many."""
        ...

    def forget_deletions(self, before_us: int, limit: int) -> int:
        """Forget that documents were deleted earlier; give how many."""
        ...

    def forget_segments(self, before_us: int) -> int:
        """Forget spool segments that were done earlier; give how many."""
        ...


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one step deleted, `contents` of calls and of searches; `more` where a batch was full."""

    contents: int = 0
    calls: int = 0
    files: int = 0
    searches: int = 0
    conversations: int = 0
    more: bool = False

    def plus(self, later: Pruned) -> Pruned:
        """Give what both deleted; whether there is more, the later one says."""
        return Pruned(
            self.contents + later.contents,
            self.calls + later.calls,
            self.files + later.files,
            self.searches + later.searches,
            self.conversations + later.conversations,
            more=later.more,
        )


class Pruner:
    """Hold the store to the days that content, calls and searches are kept. Roll-ups and daily sums stay."""

    def __init__(
        self,
        housekeeping: Housekeeping,
        clock_us: Callable[[], int],
        *,
        content_days: float,
        call_days: float,
        conversation_days: float = 0,
        quarantine: Path | None = None,
    ) -> None:
        """`conversation_days` is how long a remembered conversation is kept in which nothing more is said; 0: for ever."""
        self._housekeeping = housekeeping
        self._clock_us = clock_us
        self._content_days = min(content_days, call_days)
        self._call_days = call_days
        self._conversation_days = conversation_days
        self._quarantine = quarantine

    def step(self) -> Pruned:
        """Delete one batch of each kind."""
        now, keep = self._clock_us(), self._housekeeping
        kept_content, kept_calls = now - int(self._content_days * DAY_US), now - int(self._call_days * DAY_US)
        contents = keep.drop_contents(kept_content, BATCH)
        calls = keep.drop_calls(kept_calls, BATCH)
        asked = keep.drop_search_contents(kept_content, BATCH)
        searches = keep.drop_searches(kept_calls, BATCH)
        conversations = 0
        if self._conversation_days:
            conversations = keep.drop_conversations(now - int(self._conversation_days * DAY_US), BATCH)
        forgotten = keep.forget_deletions(now - DELETIONS_DAYS * DAY_US, BATCH)
        more = max(contents, calls, asked, searches, conversations, forgotten) >= BATCH
        files = 0
        if not more:
            keep.forget_segments(now - 7 * DAY_US)
            files = self._drop_files(kept_content)
        return Pruned(contents + asked, calls, files, searches, conversations, more=more)

    def run(self, *, most: int = 1000, pause: Callable[[], None] = lambda: time.sleep(0.02)) -> Pruned:
        """Step until there is nothing more to delete, or `most` times, with a pause in between in which others get their turn."""
        sums = Pruned()
        for _ in range(most):
            sums = sums.plus(self.step())
            if not sums.more:
                break
            pause()
        return sums

    def _drop_files(self, before_us: int) -> int:
        """Delete what was put aside as malformed: it may hold content too."""
        if self._quarantine is None or not self._quarantine.is_dir():
            return 0
        old = [path for path in self._quarantine.iterdir() if path.stat().st_mtime_ns // 1000 < before_us]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)
