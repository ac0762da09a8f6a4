"""Erasure of a person, through to what was derived: the store at once, then artifacts of cycles, this machine's indexes, memory's caches.

Says what may still hold something of the person, and until when: a report that names nothing there means that nothing is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
import structlog

from meliora.errors import MelioraError, NotFound
from meliora.knowledge.indexes import next_generation
from meliora.runtime.shared import spool_dir
from meliora.settings import Settings
from meliora.store.rewriting import AT_ONCE, rewrite, size_of
from meliora.telemetry.processes import workers
from meliora.telemetry.spool import SpoolReader

if TYPE_CHECKING:
    from meliora.knowledge.front import Plane
    from meliora.loop.artifacts.archive import Archive
    from meliora.store.housekeeping import Erasure
    from meliora.store.store import Store

log = structlog.get_logger(__name__)

BACKUPS = (
    "Backups made before: they are not rewritten. A restore erases the person again; delete those that must not stay."
)

OTHERS = (
    "Other machines over this database, where there are any: their spools, each until its processes have heard of this, which they do"
    " within seconds or when they start; and what they keep besides the database, such as artifacts of cycles."
)


class Erasing:
    """Implements `server.context.Erase`."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        plane: Plane | None,
        archive: Archive | None = None,
        at_once: int = AT_ONCE,
    ) -> None:
        """`archive` has the artifacts of cycles; an SQLite database of at most `at_once` bytes is rewritten on the spot."""
        self._settings, self._store, self._plane, self._archive = settings, store, plane, archive
        self._at_once = at_once

    def __call__(self, tenant: str, user: str) -> Erasure:
        """Erase what is kept of a user, and tell what went and what is still held."""
        shelf = self._store.knowledge_documents
        before = {one.name: one.latest for one in shelf.collections(tenant)}
        done = self._store.housekeeping.erase(tenant, user)
        held: list[str] = []
        if self._plane is not None:
            self._plane.pass_on()
            if self._plane.memory is not None:
                self._plane.memory.erase(tenant, user)  # what it keeps in this process
        changed = [one.name for one in shelf.collections(tenant) if one.latest != before.get(one.name)]
        for name in changed:
            self._forget(tenant, name)
        if changed:
            done = msgspec.structs.replace(done, words=done.words + self._forget_words(tenant, held))
            held.append("Files of indexes: each machine builds those of the person's documents anew within seconds.")
        if done.cycles:
            held += self._tell_anew(tenant, done.cycles)
        held += [*self._spooled(done.at_us), *self._in_the_database(), BACKUPS]
        return msgspec.structs.replace(done, held=tuple(held))

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

    def _forget_words(self, tenant: str, held: list[str]) -> int:
        """Let no expansion translate to a word of the person's documents that no other has; give how many words went."""
        try:
            return self._store.housekeeping.forget_words(tenant, self._known(tenant))
        except (MelioraError, OSError) as error:
            log.warning("expansions were not held against the documents that remain", why=str(error))
            held.append(
                f"Expansions may translate to words of the deleted documents: {error} Erase again to have them go."
            )
            return 0

    def _known(self, tenant: str) -> Callable[[str], bool]:
        """Give what tells whether any document of a tenant has a word. Raises `NotFound` where this process has no index."""
        if self._plane is None:
            raise NotFound("This process has no index.", hint="Set knowledge.enabled = true.")
        names = [one.name for one in self._store.knowledge_documents.collections(tenant)]
        views = [self._plane.indexes.view(tenant, name) for name in names]
        return lambda word: any(view.frequency(word) for view in views)

    def _tell_anew(self, tenant: str, cycles: Sequence[str]) -> Iterator[str]:
        """Write the artifacts of cycles anew that told of words which went; tell what could not be."""
        elsewhere: list[str] = []
        for cycle in cycles:
            try:
                if self._archive is None or not self._archive.again(tenant, cycle):
                    elsewhere.append(cycle)
            except (MelioraError, OSError) as error:
                log.error("the artifacts of a cycle could not be written anew", cycle=cycle, error=str(error))
                elsewhere.append(cycle)
        if elsewhere:
            named = ", ".join(elsewhere)
            yield f"Artifacts of {named}: not written anew on this machine. Erase again where they are."
        if self._settings.loop.tracking.mlflow:
            yield "MLflow: it was handed the artifacts of these cycles anew; versions that it keeps itself are its own."

    def _spooled(self, at_us: int) -> Iterator[str]:
        reader = SpoolReader(spool_dir(self._settings))
        waiting = [one for one in reader.segments() if reader.size(one)]
        if waiting:
            live = sum(reader.live(one) for one in waiting)
            yield (
                f"The spool: {len(waiting)} segments, {live} of them still written to. Their writers go on to others within seconds;"
                " records of the person are stripped as they are taken in, and a segment is deleted when all of it is. A call that was"
                " under way may be in a later one, for ten minutes more."
            )
        if self._store.engine.dialect.name == "postgresql":
            own = str(self._settings.server.state_dir.resolve())
            for one in workers(self._store.deployment, at_us):
                if (one.host, one.state_dir) != (os.uname().nodename, own):
                    yield f"The spool of {one.host}, {one.state_dir}: `meliora erase --look` tells when nothing of it is left there."
            yield OTHERS
        quarantine = reader.directory / "quarantine"
        if quarantine.is_dir() and any(quarantine.iterdir()):
            yield f"Records that could not be read, in {quarantine}: they go by the retention."

    def _in_the_database(self) -> Iterator[str]:
        size = size_of(self._store.engine)
        if size is None:
            yield "PostgreSQL: dead rows until it vacuums their tables. `meliora db vacuum` does that at once, with locks."
            return
        try:
            if size > self._at_once:
                raise MelioraError(f"It has {size:,} bytes.")
            rewrite(self._store.engine)
        except MelioraError as error:
            yield f"Free space of the database file: {error.message} `meliora db vacuum` rewrites it."
