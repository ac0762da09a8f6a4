"""Carries a plan out and takes it back, entry by entry; and a file of what was archived, from which it can be restored anywhere.

What changed since it was planned is left alone and named. Both ways may be repeated: what is there already stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from meliora.errors import InvalidRequest
from meliora.knowledge.documents import Document, Kept
from meliora.knowledge.upkeep.plan import Entry, Pruning

VERSION = 1


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """A document in the archive, with why it came there."""

    kept: Kept
    entry: Entry
    plan: str
    """SHA-256 of the plan."""
    at_us: int


class Archive(Protocol):
    """Where archived documents lie. The store implements it; each method is one transaction and raises `StoreError`."""

    def archive(self, tenant: str, collection: str, plan: str, entries: Sequence[Entry], at_us: int) -> Sequence[str]:
        """Archive the live documents whose hash is the entry's still and whose `kept_instead`, where one is named, is live.

        Gives the ids of those that now lie there by this plan.
        """
        ...

    def restore(self, tenant: str, collection: str, ids: Sequence[str]) -> Sequence[str]:
        """Let archived documents live again; give the ids of those that do."""
        ...

    def archived(self, tenant: str, collection: str, plan: str = "", limit: int = 1000) -> Sequence[Archived]:
        """Give what lies there, by id; with `plan`, what came by it."""
        ...


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a plan."""

    archived: tuple[str, ...]
    left: tuple[str, ...]
    """Changed, gone, or alone since it was planned."""


def apply(archive: Archive, tenant: str, pruning: Pruning, at_us: int) -> Applied:
    """Archive what a plan names; after a crash, again: it comes to the same."""
    done = set(archive.archive(tenant, pruning.collection, pruning.sha256, pruning.entries, at_us))
    names = [entry.id for entry in pruning.entries]
    return Applied(
        archived=tuple(one for one in names if one in done), left=tuple(one for one in names if one not in done)
    )


def undo(archive: Archive, tenant: str, pruning: Pruning) -> tuple[str, ...]:
    """Restore what a plan archived, and nothing that another one did."""
    plan = pruning.sha256
    mine = [
        one.kept.document.id
        for one in archive.archived(tenant, pruning.collection, plan, max(1, len(pruning.entries)))
        if one.plan == plan
    ]
    return tuple(archive.restore(tenant, pruning.collection, mine)) if mine else ()


class ArchiveFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What such a file holds."""

    version: int
    collection: str
    made_us: int
    entries: tuple[Archived, ...]


def file_name(at_us: int) -> str:
    """Give `archive_YYYYMMDD.json`, by the day in UTC."""
    return f"archive_{datetime.fromtimestamp(at_us / 1e6, UTC):%Y%m%d}.json"


def export(collection: str, entries: Iterable[Archived], at_us: int) -> bytes:
    """Give the file of archived documents, by id: the same ones, the same bytes."""
    ordered = tuple(sorted(entries, key=lambda one: one.kept.document.id))
    file = ArchiveFile(version=VERSION, collection=collection, made_us=at_us, entries=ordered)
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def documents(body: bytes) -> tuple[str, tuple[Document, ...]]:
    """Give the collection and the documents of such a file, to be kept again. Raises `InvalidRequest`."""
    try:
        file = msgspec.json.decode(body, type=ArchiveFile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"This is no archive file: {error}"[:300], hint="Give one that was exported.") from error
    if file.version != VERSION:
        raise InvalidRequest(f"The archive file has version {file.version}; {VERSION} is read.")
    ids = [one.kept.document.id for one in file.entries]
    if len(set(ids)) != len(ids):
        raise InvalidRequest("The archive file has a document twice.", hint="Give one that was exported.")
    return file.collection, tuple(one.kept.document for one in file.entries)
