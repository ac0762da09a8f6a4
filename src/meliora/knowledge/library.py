"""Documents in and out: looked at, marked, limited, kept. What cannot be kept is refused by name, and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from meliora.errors import InvalidRequest
from meliora.knowledge.documents import Document, Mark
from meliora.knowledge.shelf import DocumentShelf, ToKeep

MEGABYTE = 1_000_000
MOST_FIELDS = 64
MOST_VALUES = 256
MOST_ID = 512
MOST_NAME = 100
BATCH = 500
"""Documents of one transaction."""
BATCH_CHARACTERS = 30_000_000
"""Of their texts, from which on no other is added."""


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A document that was not kept, and why."""

    id: str
    reason: str
    hint: str = ""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What became of documents that were given."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: tuple[Refused, ...] = ()
    marked: dict[str, int] = {}
    """Documents by what was noticed in them."""
    latest: int = 0
    """Change from which on an index has them all."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may be."""

    document_bytes: int = 20 * MEGABYTE
    title_characters: int = 2_000


class Library:
    """Keeps documents."""

    def __init__(
        self, shelf: DocumentShelf, marks: Callable[[str], Sequence[Mark]], limits: Limits | None = None
    ) -> None:
        """`marks` tells what is to be noticed in a text."""
        self._shelf, self._marks, self._limits = shelf, marks, limits or Limits()

    def put(self, tenant: str, collection: str, documents: Iterable[Document]) -> Taken:
        """Keep documents, some hundred a transaction: after a crash, giving them again comes to the same.

        Raises `InvalidRequest` for a collection's name that is none.
        """
        check_name(collection)
        taken = Taken()
        for batch in _batches(documents, BATCH):
            taken = _added(taken, self._put(tenant, collection, batch))
        return taken

    def _put(self, tenant: str, collection: str, documents: Sequence[Document]) -> Taken:
        kept: dict[str, ToKeep] = {}
        refused: list[Refused] = []
        for document in documents:
            wrong = self._wrong(document)
            if wrong is not None:
                refused.append(wrong)
                continue
            clean = _clean(document)
            kept[clean.id] = ToKeep(document=clean, hash=hash_of(clean), marks=tuple(self._marks(clean.text)))
        marked: dict[str, int] = {}
        for one in kept.values():
            for mark in one.marks:
                marked[mark] = marked.get(mark, 0) + 1
        if not kept:
            return Taken(refused=tuple(refused))
        put = self._shelf.put(tenant, collection, tuple(kept.values()))
        return Taken(
            added=put.added,
            updated=put.updated,
            unchanged=put.unchanged,
            refused=tuple(refused),
            marked=marked,
            latest=put.latest,
        )

    def _wrong(self, document: Document) -> Refused | None:
        name = document.id[:MOST_ID]
        if not document.id or len(document.id) > MOST_ID or not _printable(document.id):
            return Refused(id=name, reason=f"its id is empty, unprintable or longer than {MOST_ID} characters")
        size = len(document.text.encode("utf-8", "surrogatepass"))
        if size > self._limits.document_bytes:
            most = self._limits.document_bytes
            return Refused(
                id=name,
                reason=f"it has {size:,} bytes of text; a document may have {most:,}",
                hint="Split it, or raise knowledge.document_bytes.",
            )
        if not document.text.strip() and not document.title.strip():
            return Refused(id=name, reason="it has no text")
        if len(document.title) > self._limits.title_characters:
            return Refused(id=name, reason=f"its title is longer than {self._limits.title_characters} characters")
        return _wrong_metadata(name, document)


def _wrong_metadata(name: str, document: Document) -> Refused | None:
    if len(document.metadata) > MOST_FIELDS:
        return Refused(id=name, reason=f"it has {len(document.metadata)} fields of metadata; {MOST_FIELDS} are allowed")
    for field, value in document.metadata.items():
        if not field or len(field) > MOST_NAME or not _printable(field):
            return Refused(id=name, reason=f"a field of its metadata has no usable name: {field[:MOST_NAME]!r}")
        values = value if isinstance(value, tuple) else (value,)
        if len(values) > MOST_VALUES:
            return Refused(id=name, reason=f"{field!r} has {len(values)} values; {MOST_VALUES} are allowed")
    return None


def check_name(collection: str) -> None:
    """Raise `InvalidRequest` for a collection's name that is none."""
    allowed = all(letter.isalnum() or letter in "-_." for letter in collection)
    if not collection or len(collection) > MOST_NAME or not allowed or collection.startswith("."):
        raise InvalidRequest(
            f"{collection[:MOST_NAME]!r} is no name of a collection.",
            hint=f"Letters, digits, `-`, `_` and `.`, up to {MOST_NAME}.",
            field="collection",
        )


def hash_of(document: Document) -> str:
    """Give the SHA-256 of all that a document is searched and filtered by."""
    return sha256(msgspec.json.encode(document)).hexdigest()


def _clean(document: Document) -> Document:
    """Give a document that any database and index takes: without NUL and lone surrogates."""
    fixed = {
        field: _text(value)
        for field in ("id", "text", "title", "source", "category", "language", "user")
        if (value := getattr(document, field)) != _text(value)
    }
    metadata = {_text(name): _value(value) for name, value in document.metadata.items()}
    return msgspec.structs.replace(document, metadata=metadata, **fixed)


def _value(value):
    if isinstance(value, (list, tuple)):
        return tuple(_value(one) for one in value)
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    if text.isascii():
        return text.replace("\0", " ")
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")


def _printable(text: str) -> bool:
    return all(letter.isprintable() for letter in text)


def _added(one: Taken, other: Taken) -> Taken:
    marked = {name: one.marked.get(name, 0) + other.marked.get(name, 0) for name in {**one.marked, **other.marked}}
    return Taken(
        added=one.added + other.added,
        updated=one.updated + other.updated,
        unchanged=one.unchanged + other.unchanged,
        refused=one.refused + other.refused,
        marked=marked,
        latest=max(one.latest, other.latest),
    )


def _batches(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    batch: list[Document] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.text)
        if len(batch) == size or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
