"""The circuit breaker of one endpoint: opens on a share of failures, lets one call probe, and comes back.

Refuses to decide what a failure is; the caller says so. Holds no clock: `now` is monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from meliora.settings import models

BreakerState = Literal["closed", "open", "half_open"]

_SLOTS = 10
"""Parts of the window that are forgotten one by one."""
_MOST_DOUBLINGS = 3
"""Eight times the first open time."""


@dataclass(frozen=True, slots=True)
class BreakerView:
    """A breaker as the API and the metrics show it."""

    state: BreakerState
    calls: int
    """Calls that ended within the window."""
    failures: int
    opened: int
    """How often it opened since the process began."""
    retry_after: float
    """Seconds until a call may probe; 0 where calls are let through."""


class Breaker:
    """Count the outcomes of an endpoint over a sliding window, and take it out when too many fail.

    `closed`: calls pass. At `min_calls` in the window, of which `failure_ratio` failed, it is `open` for `open_seconds`: none passes.
    Then `half_open`: one call may probe. Its success closes the breaker and forgets the window; its failure opens it for twice as
    long, up to eight times. A probe that never reports frees its place after the time the breaker was last open.
    """

    __slots__ = (
        "_calls",
        "_clean",
        "_doublings",
        "_failures",
        "_opened",
        "_probe_until",
        "_probing",
        "_settings",
        "_slot",
        "_until",
    )

    def __init__(self, settings: models.Breaker) -> None:
        self._settings = settings
        self._calls = [0] * _SLOTS
        self._failures = [0] * _SLOTS
        self._clean = True
        """No failure was reported since the window was last forgotten."""
        self._slot: int | None = None
        """Number of the part of time that the newest outcome fell into."""
        self._until: float | None = None
        """End of the open time; None while closed."""
        self._doublings = 0
        self._probing = False
        self._probe_until = 0.0
        self._opened = 0

    def adapt(self, settings: models.Breaker) -> None:
        """Go on by other settings; a window of another length is counted from its beginning."""
        if settings.window != self._settings.window:
            self._forget()
        self._settings = settings

    def available(self, now: float) -> bool:
        """Say whether a call may pass now, without taking the place of the probe."""
        if self._until is None:
            return True
        return now >= self._until and (not self._probing or now >= self._probe_until)

    def admit(self, now: float) -> bool:
        """Let a call pass or not. While half open this takes the place of the probe: report how it ended."""
        if self._until is None:
            return True
        if not self.available(now):
            return False
        self._probing = True
        self._probe_until = now + self._open_time()
        return True

    def success(self, now: float) -> None:
        """Report a call that the endpoint answered, be it with a refusal that was the client's fault."""
        if self._until is not None:
            if self._probing:
                self._close()
            return
        self._calls[self._turn(now)] += 1

    def failure(self, now: float) -> None:
        """Report a fault of the endpoint. Reports of calls that began before it opened change nothing."""
        if self._until is not None:
            if self._probing:
                self._doublings = min(self._doublings + 1, _MOST_DOUBLINGS)
                self._open(now)
            return
        slot = self._turn(now)
        self._clean = False
        self._calls[slot] += 1
        self._failures[slot] += 1
        calls = sum(self._calls)
        if calls >= self._settings.min_calls and sum(self._failures) >= self._settings.failure_ratio * calls:
            self._open(now)

    def cancelled(self, now: float) -> None:
        """Report a call that says nothing about the endpoint; a probe frees its place."""
        self._probing = False

    def state(self, now: float) -> BreakerState:
        """Name the state."""
        if self._until is None:
            return "closed"
        return "half_open" if now >= self._until else "open"

    def retry_after(self, now: float) -> float:
        """Give the seconds until a call may pass; 0 where it may now."""
        if self._until is None:
            return 0.0
        return max(0.0, self._until - now, self._probe_until - now if self._probing else 0.0)

    def health(self, now: float) -> float:
        """Give a number for comparing endpoints: the share of successes, at least 0.05; 0.5 for one that may probe; 0 when out."""
        if self._until is not None:
            return 0.5 if self.available(now) else 0.0
        if self._clean:
            return 1.0
        self._turn(now)
        failures = sum(self._failures)
        return 1.0 if not failures else max(0.05, 1.0 - failures / sum(self._calls))

    def view(self, now: float) -> BreakerView:
        """Give a picture of it."""
        if self._until is None:
            self._turn(now)
        return BreakerView(self.state(now), sum(self._calls), sum(self._failures), self._opened, self.retry_after(now))

    def _open_time(self) -> float:
        return self._settings.open_seconds * 2**self._doublings

    def _open(self, now: float) -> None:
        self._until = now + self._open_time()
        self._probing = False
        self._opened += 1

    def _close(self) -> None:
        self._until = None
        self._probing = False
        self._doublings = 0
        self._forget()

    def _forget(self) -> None:
        self._clean = True
        self._slot = None
        self._calls = [0] * _SLOTS
        self._failures = [0] * _SLOTS

    def _turn(self, now: float) -> int:
        """Forget what has left the window and give the index of the current part."""
        slot = int(now * _SLOTS / self._settings.window) if self._settings.window else 0
        before = self._slot
        if before is None or slot > before:
            for gone in range(max(before + 1, slot - _SLOTS + 1) if before is not None else slot, slot + 1):
                self._calls[gone % _SLOTS] = 0
                self._failures[gone % _SLOTS] = 0
            self._slot = slot
        else:
            slot = before
        return slot % _SLOTS
