"""What the worker does for the knowledge plane. It deletes no document; the index of a collection that is gone, it removes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

import structlog

from meliora.clock import Clock
from meliora.errors import MelioraError, NotFound, StoreError
from meliora.knowledge.index.base import IndexHeld
from meliora.runtime.knowledge.evidence import GOOD
from meliora.runtime.knowledge.plane import indexes_of, keeper_of
from meliora.settings import Settings
from meliora.store.store import Store

log = structlog.get_logger(__name__)

FOLLOW_SECONDS = 0.5
"""How often documents are looked at that have changed."""
SWEEP_SECONDS = 60.0
"""How often indexes are looked for whose collection is gone."""


class Following:
    """Keeps this machine's indexes after their documents, those of all tenants."""

    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._indexes = indexes_of(settings, store, clock)
        self._swept = float("-inf")

    def step(self) -> bool:
        """Take up a step of each collection; say whether there may be more. One that fails stops no other, and is raised at the end."""
        more, failed = False, None
        known = list(collections(self._store))
        for tenant, collection in known:
            try:
                more |= self._indexes.follow(tenant, collection)
            except (IndexHeld, NotFound):
                continue  # another process is at it, or somebody just deleted it
            except (MelioraError, OSError) as error:
                log.error("an index could not follow its documents", collection=collection, error=str(error))
                failed = error
            except (
                Exception
            ) as error:  # a document may be such that our own code fails at it; the worker has other work
                log.exception("an index could not follow its documents", collection=collection)
                failed = StoreError(
                    f"The index of {collection!r} fails at its documents: {type(error).__name__}: {error}"
                )
        if failed is not None:
            raise failed
        if self._clock.monotonic() - self._swept >= SWEEP_SECONDS:
            self._swept = self._clock.monotonic()
            self._sweep(known)
        return more

    def _sweep(self, known: Iterable[tuple[str, str]]) -> None:
        """Remove indexes whose collection is gone, and of the others what was replaced long ago."""
        self._indexes.keep_only(collections(self._store))
        for tenant, collection in known:
            with suppress(IndexHeld):
                self._indexes.sweep(tenant, collection)


def collections(store: Store) -> Iterator[tuple[str, str]]:
    """Give every collection, by tenant and name."""
    for tenant in store.knowledge_documents.tenants():
        for one in store.knowledge_documents.collections(tenant):
            yield tenant, one.name


USES_SECONDS = 60.0
"""How often it is noted which documents were used."""
LATE_US = 86_400_000_000
"""How much later than what is said of it a search may come out of the spool."""


class Using:
    """Notes which documents people used: what nobody uses is stale sooner, and of two copies the used one stays."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._noted_us = 0

    def step(self) -> bool:
        """Note what was said since the last step, or ever."""
        now = self._clock.now_us()
        for tenant, collection in list(collections(self._store)):
            try:
                self._store.knowledge_documents.note_uses(tenant, collection, max(0, self._noted_us - LATE_US), GOOD)
            except NotFound:
                continue  # somebody just deleted it
        self._noted_us = now
        return False


UPKEEP_SECONDS = 60.0
"""How often it is looked which collection's upkeep is due."""


class Upkeeping:
    """Compares the documents of each collection at its interval: one worker for all, what it finds noted for everybody."""

    def __init__(self, settings: Settings, store: Store, clock: Clock, owner: str) -> None:
        """`owner` names this process: another takes over what it does not finish."""
        self._store, self._owner = store, owner
        self._keeper = keeper_of(settings, store, clock)
        self._every_us = round(settings.knowledge.upkeep.interval * 1e6)

    def step(self) -> bool:
        """Compare the collections that are due and have changed since. One that fails stops no other, and is raised at the end.

        It is due again at the next step: else a database that was away for a moment would cost it a day.
        """
        failed: MelioraError | None = None
        for tenant, collection in list(collections(self._store)):
            try:
                asked = self._keeper.compare_if_due(tenant, collection, self._owner, self._every_us)
            except NotFound:
                continue  # somebody just deleted it
            except MelioraError as error:
                log.error("a collection could not be looked after", collection=collection, error=str(error))
                failed = error
                continue
            if asked is not None:
                log.info("a collection was looked after", collection=collection, pairs=asked)
        if failed is not None:
            raise failed
        return False
