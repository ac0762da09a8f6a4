"""How much is repeated, and how long a repetition waits. Refuses to judge whether a fault is worth one."""

from __future__ import annotations

from meliora.settings import models

_SECONDS = 10


class RetryBudget:
    """Allow retries as a share of the calls of the last ten seconds, and a few a second whatever the share.

    So that a struggling upstream is not given a multiple of its load. `now` is monotonic seconds.
    """

    __slots__ = ("_calls", "_retries", "_second", "settings")

    def __init__(self, settings: models.Retry) -> None:
        self.settings = settings
        self._calls = [0] * _SECONDS
        self._retries = [0] * _SECONDS
        self._second: int | None = None

    def call(self, now: float) -> None:
        """Count a call (not its retries)."""
        self._calls[self._turn(now)] += 1

    def allow(self, now: float) -> bool:
        """Allow one retry, and count it; False where the budget is used up."""
        index = self._turn(now)
        if sum(self._retries) >= self.limit(now):
            return False
        self._retries[index] += 1
        return True

    def limit(self, now: float) -> float:
        """Give the number of retries allowed in any ten seconds at the present load."""
        self._turn(now)
        return self.settings.budget_ratio * sum(self._calls) + self.settings.budget_floor * _SECONDS

    def _turn(self, now: float) -> int:
        second = int(now)
        before = self._second
        if before is None or second > before:
            for gone in range(max(before + 1, second - _SECONDS + 1) if before is not None else second, second + 1):
                self._calls[gone % _SECONDS] = 0
                self._retries[gone % _SECONDS] = 0
            self._second = before = second
        return before % _SECONDS


def backoff(attempt: int, retry_after: float | None, random: float, settings: models.Retry) -> float:
    """Give the seconds to wait before repetition number `attempt` (1, 2, ...) at the same endpoint.

    Half of the doubled `backoff` is certain, half is jitter (`random` uniform in [0, 1)), so that clients that failed together
    do not come back together. A known `retry_after` is never undercut; the caller decides whether it is too long to wait for.
    """
    full = min(settings.backoff * 2.0 ** max(0, min(attempt - 1, 30)), settings.backoff_max)
    wait = full * (0.5 + 0.5 * random)
    if retry_after is None:
        return wait
    return max(wait, retry_after + 0.1 * full * random)
