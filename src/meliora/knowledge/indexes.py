"""The indexes of this machine: opened once, kept up to date with their documents, built again beside the one that serves.

One directory a collection.
"""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec
import structlog

from meliora.knowledge.documents import Changed
from meliora.knowledge.index.base import Index, IndexHeld, Outdated, View
from meliora.knowledge.shelf import DocumentShelf, GenerationShelf

log = structlog.get_logger(__name__)

BATCH = 1000
"""Changes that one step takes up."""


class Shelf(DocumentShelf, GenerationShelf, Protocol):
    """Documents, and which generation of their index is to serve."""


ERASED = "-erased"
"""End of the name of a generation that was built since somebody was erased: nothing older is kept."""
DROPPED = "-drop"
"""In the name of the first generation of a collection whose name another one had before."""


@runtime_checkable
class Drops(Protocol):
    """An index that is kept elsewhere than in its directory."""

    def drop(self) -> None:
        """Remove all of it."""
        ...


@runtime_checkable
class Retires(Protocol):
    """An index that keeps generations which serve no more."""

    def retire(self) -> None:
        """Remove them."""
        ...


@runtime_checkable
class Sweeps(Protocol):
    """An index that keeps what was replaced for as long as somebody may still read it."""

    def sweep(self) -> None:
        """Remove what nobody reads any more."""
        ...


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """An index held against its documents, as far as it says that it has come."""

    documents: int
    """Live ones in the store."""
    indexed: int
    missing: tuple[str, ...]
    """Ids of documents that the index should have and has not."""
    stale: tuple[str, ...]
    """Ids of documents that it has in another version."""
    extra: tuple[str, ...]
    """Ids that it should not have."""
    behind: int
    """Changes that it has not taken up yet: those are no fault."""

    @property
    def faults(self) -> int:
        """Count what is wrong."""
        return len(self.missing) + len(self.stale) + len(self.extra)


Open = Callable[[str, str, Path], Index]
"""Gives the index of a tenant's collection, which may be new; the directory is its own, if it wants one."""


class Indexes:
    """Opens, follows, builds and audits. Safe to share between threads."""

    def __init__(
        self,
        directory: Path,
        shelf: Shelf,
        open_index: Open,
        elsewhere: Callable[[], Iterable[tuple[str, str]]] = tuple,
    ) -> None:
        """`elsewhere` gives, by tenant and name, the collections of the indexes that are not kept in the directory."""
        self._directory, self._shelf, self._open, self._elsewhere = directory, shelf, open_index, elsewhere
        self._retired: set[tuple[str, str, str]] = set()
        self._opened: dict[tuple[str, str], Index] = {}
        self._lock = threading.Lock()

    def of(self, tenant: str, collection: str) -> Index:
        """Give the index of a collection."""
        with self._lock:
            index = self._opened.get((tenant, collection))
            if index is None:
                folder = self._directory / folder_of(tenant, collection)
                index = self._opened[tenant, collection] = self._open(tenant, collection, folder)
            return index

    def forget(self, tenant: str, collection: str) -> None:
        """Remove the index of a collection, from this machine or from where it is kept for all."""
        index = self.of(tenant, collection)
        if isinstance(index, Drops):
            index.drop()
        with self._lock:
            self._opened.pop((tenant, collection), None)
            shutil.rmtree(self._directory / folder_of(tenant, collection), ignore_errors=True)

    def keep_only(self, collections: Iterable[tuple[str, str]]) -> int:
        """Remove the indexes of all collections but these, by tenant and name; give how many."""
        elsewhere = tuple(self._elsewhere())  # before the collections: one that is made meanwhile keeps its index
        known = set(collections)
        dropped = sum(self._dropped(*one) for one in elsewhere if one not in known)
        return dropped + self._keep_folders({folder_of(tenant, collection) for tenant, collection in known})

    def sweep(self, tenant: str, collection: str) -> None:
        """Remove what was replaced and nobody reads any more. Raises `IndexHeld` where another process is at it."""
        index = self.of(tenant, collection)
        if isinstance(index, Sweeps):
            index.sweep()

    def _dropped(self, tenant: str, collection: str) -> bool:
        try:
            self.forget(tenant, collection)
        except IndexHeld:
            return False  # it is tried again with the next look
        return True

    def _keep_folders(self, kept: Collection[str]) -> int:
        try:
            found = [one for one in self._directory.iterdir() if one.is_dir() and _FOLDER.fullmatch(one.name)]
        except FileNotFoundError:
            return 0
        gone = [one for one in found if one.name not in kept]
        for one in gone:
            shutil.rmtree(one, ignore_errors=True)
        with self._lock:
            self._opened = {key: index for key, index in self._opened.items() if folder_of(*key) in kept}
        return len(gone)

    def view(self, tenant: str, collection: str) -> View:
        """Give what serves on this machine."""
        return self.of(tenant, collection).view()

    def follow(self, tenant: str, collection: str) -> bool:
        """Take up what has changed, a step at a time; say whether there may be more.

        A new generation is built first, and has all that the one before it has when it begins to serve. Raises
        `IndexHeld` where another process is at it, `OSError` for a full disk: what serves goes on to serve.
        """
        index = self.of(tenant, collection)
        wanted = self._shelf.generation(tenant, collection)
        view = index.view()
        at = view.watermark
        try:
            if view.generation == wanted:
                if wanted.endswith(ERASED):
                    # Who switched to it may have been killed before this.
                    self._retire(index, tenant, collection, wanted)
                changes = self._shelf.changes(tenant, collection, at, BATCH)
                if not changes:
                    return False
                index.apply(changes)
                return changes[-1].seq < self._shelf.latest(tenant, collection)
            self._build(index, tenant, collection, wanted)
            # It may have been built long ago: what came after that is not to be missing again, nor to come back.
            at = index.built(wanted).watermark
            while at < view.watermark and (changes := self._shelf.changes(tenant, collection, at, BATCH)):
                at = index.apply(changes, wanted)
        except Outdated as error:
            log.warning("an index cannot go on from where it stands and is built again", why=str(error))
            made = next_generation(wanted, f"after-{at}")
            self._shelf.exchange_generation(tenant, collection, made, instead_of=wanted)
            return True
        index.switch(wanted)
        if wanted.endswith(ERASED) or DROPPED in wanted or _passed_over(view.generation, wanted):
            self._retire(index, tenant, collection, wanted)
        return True

    def _retire(self, index: Index, tenant: str, collection: str, serving: str) -> None:
        """Remove what served before, once: it may hold words of somebody who was erased."""
        if isinstance(index, Retires) and (tenant, collection, serving) not in self._retired:
            index.retire()
            self._retired.add((tenant, collection, serving))

    def build(self, tenant: str, collection: str, generation: str) -> None:
        """Build a generation from the documents as they are now; it serves nothing yet. A whole one of that name is left as it is."""
        self._build(self.of(tenant, collection), tenant, collection, generation)

    def _build(self, index: Index, tenant: str, collection: str, generation: str) -> None:
        last = self._shelf.latest(tenant, collection)
        index.build(self.all(tenant, collection, last), generation, last)

    def all(self, tenant: str, collection: str, last: int | None = None) -> Iterator[Changed]:
        """Give every live document, in the order of its last change, up to `last` at least: the greatest number when it begins."""
        after, last = 0, self._shelf.latest(tenant, collection) if last is None else last
        while after < last:
            changes = self._shelf.changes(tenant, collection, after, BATCH, begun=last)
            if not changes:
                return
            yield from changes
            after = changes[-1].seq

    def audit(self, tenant: str, collection: str, view: View | None = None) -> Audit:
        """Hold an index against the documents that it should have."""
        view = view or self.view(tenant, collection)
        held = dict(view.hashes())
        missing: list[str] = []
        stale: list[str] = []
        live = behind = 0
        for change in self.all(tenant, collection):
            if change.seq > view.watermark:
                behind += 1
                held.pop(change.id, None)
                live += change.kept is not None
                continue
            if change.kept is None:
                continue
            live += 1
            found = held.pop(change.id, None)
            if found is None:
                missing.append(change.id)
            elif found != change.kept.hash:
                stale.append(change.id)
        return Audit(
            documents=live,
            indexed=view.documents,
            missing=tuple(missing),
            stale=tuple(stale),
            extra=tuple(held),
            behind=behind,
        )


_FOLDER = re.compile("[0-9a-f]{32}")


def folder_of(tenant: str, collection: str) -> str:
    """Name the directory of an index: a name from outside is no path."""
    return sha256(f"{tenant}\0{collection}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _passed_over(served: str, serving: str) -> bool:
    """Tell whether generations were wanted in between that never served here: one of them may have been for an erasure."""
    before, after = served.partition("-")[0], serving.partition("-")[0]
    return before.isdigit() and after.isdigit() and int(after) > int(before) + 1


def next_generation(serving: str, maker: str) -> str:
    """Name the generation after one, by its number and who makes it: what another maker left half or whole is never taken for it."""
    number = serving.partition("-")[0]
    return f"{int(number) + 1 if number.isdigit() else 1}-{maker}"
