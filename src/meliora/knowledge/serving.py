"""Which snapshot answers a search: what serves, or what an arm of a trial has. With the store away it is what was last known."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec
import structlog

from meliora.clock import Clock
from meliora.errors import NotFound, StoreError
from meliora.knowledge.config import SearchConfig, Snapshot
from meliora.knowledge.index.base import View
from meliora.knowledge.search.parts import Parts
from meliora.knowledge.shelf import SnapshotShelf

log = structlog.get_logger(__name__)

FRESH_SECONDS = 0.5
"""How old the word on what serves may be."""
KEPT = 32
"""Loaded snapshots that are kept."""


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """Who searches."""

    tenant: str
    key: str
    user: str | None = None
    session: str | None = None


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """The arm of a trial that a search counts in."""

    trial: str
    """Id of the change."""
    phase: Literal["shadow", "trial", "watch"]
    stage: int
    name: Literal["candidate", "baseline"]
    unit: str
    snapshot: int | None = None
    """The snapshot that it is served by; None: what serves everybody."""
    counts: bool = True
    """False: it is only served so, as when everything is halted."""


class ArmsOfSearch(Protocol):
    """Says in which arm a search is."""

    def __call__(self, who: Who, collection: str, /) -> Arm | None:
        """Give the arm; None for a search that no trial counts."""
        ...


def no_arms(who: Who, collection: str, /) -> None:
    """Stand where there are no trials."""


class LoadParts(Protocol):
    """Loads what a snapshot takes besides itself."""

    def __call__(self, tenant: str, config: SearchConfig, view: View, /) -> Parts:
        """Give the parts; what cannot be loaded stands in their `missing`."""
        ...


@dataclass(frozen=True, slots=True)
class Served:
    """What a search is answered by."""

    snapshot: Snapshot
    parts: Parts
    arm: Arm | None = None


@dataclass(slots=True)
class _Known:
    snapshot: Snapshot
    asked: float


class Serving:
    """Gives what answers a search."""

    def __init__(self, shelf: SnapshotShelf, load: LoadParts, clock: Clock, arms: ArmsOfSearch = no_arms) -> None:
        self._shelf, self._load, self._clock, self._arms = shelf, load, clock, arms
        self._known: dict[tuple[str, str], _Known] = {}
        self._snapshots: dict[tuple[str, str, int], _Known] = {}
        self._parts: dict[tuple[str, str, str, str, int], Parts] = {}
        self._lock = threading.Lock()

    def of(self, who: Who, collection: str, view: View) -> Served:
        """Give what answers this caller. Raises `StoreError` where nothing was ever known."""
        arm = self._arms(who, collection)
        snapshot = self.serving(who.tenant, collection)
        if arm is not None and arm.snapshot is not None and arm.snapshot != snapshot.number:
            other = self._numbered(who.tenant, collection, arm.snapshot)
            # Where an arm cannot be had, the search counts in none: arms are compared only where both could be.
            snapshot, arm = (snapshot, None) if other is None else (other, arm)
        if arm is not None and not arm.counts:
            arm = None
        return Served(snapshot, self.parts(who.tenant, collection, snapshot, view), arm)

    def serving(self, tenant: str, collection: str) -> Snapshot:
        """Give what serves everybody."""
        now = self._clock.monotonic()
        known = self._known.get((tenant, collection))
        if known is not None and 0 <= now - known.asked < FRESH_SECONDS:
            return known.snapshot
        try:
            snapshot = self._shelf.serving(tenant, collection)
        except StoreError as error:
            if known is None:
                raise
            log.warning("the store is away: searches go on as they were configured", why=str(error))
            snapshot = known.snapshot
        self._known[tenant, collection] = _Known(snapshot, now)
        return snapshot

    def parts(self, tenant: str, collection: str, snapshot: Snapshot, view: View) -> Parts:
        """Give the loaded parts of a snapshot over a view; what the vocabulary tells is made again as the index is, and as it doubles."""
        key = (tenant, collection, snapshot.sha256 or "first", view.generation, view.passages.bit_length())
        found = self._parts.get(key)
        if found is None:
            found = self._load(tenant, snapshot.config, view)
            with self._lock:
                if not found.missing:  # what was not there may come
                    _keep(self._parts, key, found)
        return found

    def _numbered(self, tenant: str, collection: str, number: int) -> Snapshot | None:
        key, now = (tenant, collection, number), self._clock.monotonic()
        known = self._snapshots.get(key)
        # Nothing changes a snapshot but an erasure: then it must not go on as it was.
        if known is not None and 0 <= now - known.asked < FRESH_SECONDS:
            return known.snapshot
        try:
            snapshot = self._shelf.get(tenant, collection, number)
        except (StoreError, NotFound) as error:
            if known is not None and isinstance(error, StoreError):
                return known.snapshot
            log.warning("an arm's snapshot cannot be had", collection=collection, number=number, why=str(error))
            return None
        with self._lock:
            _keep(self._snapshots, key, _Known(snapshot, now))
        return snapshot


def _keep(kept: dict, key: object, value: object, most: int = KEPT) -> None:
    while len(kept) >= most:
        kept.pop(next(iter(kept)))
    kept[key] = value
