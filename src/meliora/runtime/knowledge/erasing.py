"""Erasure of a person, through to what was derived: the store at once, this machine's indexes after it, memory's caches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

from meliora.errors import MelioraError
from meliora.knowledge.indexes import next_generation

if TYPE_CHECKING:
    from meliora.knowledge.front import Plane
    from meliora.store.housekeeping import Erasure
    from meliora.store.store import Store

log = structlog.get_logger(__name__)


class Erasing:
    """Implements `server.context.Erase`."""

    def __init__(self, store: Store, plane: Plane | None) -> None:
        self._store, self._plane = store, plane

    def __call__(self, tenant: str, user: str) -> Mapping[str, int]:
        """Erase what is kept of a user, and count it by kind."""
        return self.erase(tenant, user).counts()

    def erase(self, tenant: str, user: str) -> Erasure:
        """Erase what is kept of a user. An index that cannot follow now is brought up by the worker."""
        shelf = self._store.knowledge_documents
        before = {one.name: one.latest for one in shelf.collections(tenant)}
        done = self._store.housekeeping.erase(tenant, user)
        if self._plane is not None and self._plane.memory is not None:
            self._plane.memory.erase(tenant, user)  # what it keeps in this process
        for one in shelf.collections(tenant):
            if one.latest != before.get(one.name):
                self._forget(tenant, one.name)
        return done

    def _forget(self, tenant: str, collection: str) -> None:
        """Let no search find what is gone, then have the index built anew: a file of an index may hold what it no longer gives."""
        try:
            if self._plane is not None:
                self._plane.follow(tenant, collection)
        except (MelioraError, OSError) as error:
            log.warning("an index follows an erasure later", collection=collection, why=str(error))
        shelf = self._store.knowledge_documents
        serving = shelf.generation(tenant, collection)
        shelf.exchange_generation(tenant, collection, next_generation(serving, "erased"), instead_of=serving)
