"""Which arm of a trial a search is in: by the same salted hash as calls, read off the same rows; in none while the kill switch is on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from meliora.clock import Clock
from meliora.errors import StoreError
from meliora.gateway.assignment import Split
from meliora.gateway.state import TrialState
from meliora.knowledge.serving import Arm, Who
from meliora.store.loop.trials import Trials

log = structlog.get_logger(__name__)

SURFACE = "search"
FRESH_SECONDS = 0.5
"""How old the word on trials may be."""


@dataclass(slots=True)
class _Seen:
    trial: TrialState | None
    split: Split | None
    halted: bool
    at: float
    """When the store said so."""
    tried: float
    """When it was last asked."""


class SearchArms:
    """Implements `knowledge.serving.ArmsOfSearch`. With the store away it keeps to what it saw until that is a lease old."""

    def __init__(
        self, trials: Trials, clock: Clock, lease_seconds: float, halted: Callable[[], bool] = lambda: False
    ) -> None:
        """`halted` tells of a kill switch that needs no store."""
        self._trials, self._clock, self._lease, self._halted = trials, clock, lease_seconds, halted
        self._seen: dict[str, _Seen] = {}
        self._told = False
        self._lock = threading.Lock()

    def obey(self, halted: bool) -> None:
        """Take a turn of the kill switch: from now on all is halted, or what was seen while it was is looked at anew."""
        with self._lock:
            self._told = halted
            self._seen.clear()

    def __call__(self, who: Who, collection: str, /) -> Arm | None:
        """Give the arm; None for a search that no trial counts."""
        seen = self._look(who.tenant)
        trial, split = seen.trial, seen.split
        if trial is None or split is None or trial.phase == "shadow":
            return None
        search = trial.overlay.search
        if search is None or search.collection != collection:
            return None
        overlaid, unit = split.of(who.user, who.session, who.key)
        stopped = self._told or seen.halted or self._halted() or self._clock.monotonic() - seen.at > self._lease
        if stopped:
            # The baseline serves everybody: in a trial it is what serves anyway, in a watch it is what the overlay has.
            number = search.snapshot if trial.phase == "watch" else None
            return Arm(
                trial=trial.change,
                phase=trial.phase,
                stage=trial.stage,
                name="baseline",
                unit=unit,
                snapshot=number,
                counts=False,
            )
        with_overlay, other = trial.arms
        return Arm(
            trial=trial.change,
            phase=trial.phase,
            stage=trial.stage,
            name=with_overlay if overlaid else other,
            unit=unit,
            snapshot=search.snapshot if overlaid else None,
        )

    def _look(self, tenant: str) -> _Seen:
        now = self._clock.monotonic()
        seen = self._seen.get(tenant)
        if seen is not None and 0 <= now - seen.tried < FRESH_SECONDS:
            return seen
        try:
            trial = next((one for one in self._trials.live(tenant) if one.surface == SURFACE), None)
            halted = self._trials.halting().halted
        except StoreError as error:
            log.warning("the store is away: trials of searches stand as they were", why=str(error))
            found = _Seen(None, None, False, now, now) if seen is None else replace(seen, tried=now)
        else:
            split = None if trial is None else Split(trial.salt, trial.unit, trial.share)
            found = _Seen(trial, split, halted, now, now)
        with self._lock:
            self._seen[tenant] = found
        return found
