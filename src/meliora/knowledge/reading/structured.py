"""JSON, JSON lines and CSV: a document an entry, where entries have a text; else the file as it stands."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from meliora.knowledge.documents import Document
from meliora.knowledge.reading.base import Read, Refused, metadata_of

_TEXT = ("text", "content", "body", "page_content", "document", "passage", "description")
_TEXT_NAMES = frozenset(_TEXT)
_ID = ("id", "_id", "doc_id", "uuid")
_OWN = ("title", "source", "category", "language", "user")
_LONGEST_CELL = 10_000_000


def entry(fields: Mapping[str, Any], source: str, number: int) -> Read:
    """Read one entry: `id` or `_id`, `title`, `text`, `metadata`, `source`, `category`, `language`, `user`; other fields are metadata.

    Without an id it is known by its file and place.
    """
    place = f"{source}#{number}"
    text_field = next((name for name in _TEXT if isinstance(fields.get(name), str)), "")
    if not _has_text(fields):
        return Refused(place, "it has no text", f"Give it one of the fields {', '.join(_TEXT)}.")
    id_field = next((name for name in _ID if isinstance(fields.get(name), (str, int)) and fields[name] != ""), "")
    own = {name: fields[name] for name in _OWN if isinstance(fields.get(name), str)}
    inner = fields.get("metadata")
    taken = {text_field, id_field, *own, *(("metadata",) if isinstance(inner, Mapping) else ())}
    metadata = metadata_of({name: value for name, value in fields.items() if name not in taken})
    if isinstance(inner, Mapping):
        metadata |= metadata_of(dict(inner))
    given = {"source": source, **own, "text": fields.get(text_field, ""), "metadata": metadata}
    return Document(id=str(fields[id_field]) if id_field else place, **given)


def _has_text(fields: Mapping[str, Any]) -> bool:
    title = fields.get("title")
    return any(isinstance(fields.get(name), str) for name in _TEXT) or (isinstance(title, str) and bool(title.strip()))


def read_json(text: str, source: str) -> Iterator[Read]:
    """Read a list of entries, an object with one in it, or one entry; another value is a document as it stands.

    A list of which no entry has a text is one, too.
    """
    try:
        value = msgspec.json.decode(text.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        yield Refused(source, f"it is no JSON: {error}")
        return
    listed = value if isinstance(value, list) else _list_in(value)
    if listed and all(isinstance(one, dict) for one in listed) and any(map(_has_text, listed)):
        for number, one in enumerate(listed, 1):
            yield entry(one, source, number)
    elif isinstance(value, dict) and any(isinstance(value.get(name), str) for name in _TEXT):
        yield entry({"id": source, **value}, source, 1)
    else:
        yield Document(id=source, text=text, source=source)


def read_lines(text: str, source: str) -> Iterator[Read]:
    """Read JSON lines; a broken line is refused by its number."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield read_line(line, source, number)


def read_line(line: str, source: str, number: int) -> Read:
    """Read a line of JSON lines."""
    try:
        value = msgspec.json.decode(line.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        return Refused(f"{source}:{number}", f"the line is no JSON: {error}")
    if isinstance(value, dict):
        return entry(value, source, number)
    return Refused(f"{source}:{number}", "the line is no JSON object")


def read_csv(text: str, source: str, separator: str = ",") -> Iterator[Read]:
    """Read a table with a head that names a column of text; a table without one is a document as it stands.

    Where the head has none with this separator, one of the others that spreadsheets write is taken.
    """
    head = text[:20_000].partition("\n")[0].lower()
    found = next(
        (one for one in (separator, ",", ";", "\t", "|") if not _TEXT_NAMES.isdisjoint(_columns(head, one))), ""
    )
    if not found:
        yield Document(id=source, text=text, source=source)
        return
    csv.field_size_limit(_LONGEST_CELL)
    rows = csv.DictReader(io.StringIO(text.replace("\0", "")), delimiter=found, restkey="more")
    number = 0
    try:
        for row in rows:
            number += 1
            cells = {(name or "").strip(): value for name, value in row.items() if isinstance(value, str)}
            yield entry(
                {name.lower() if name.lower() in (*_TEXT, *_ID, *_OWN) else name: v for name, v in cells.items()},
                source,
                number,
            )
    except csv.Error as error:
        yield Refused(f"{source}#{number + 1}", f"the row cannot be read, nor what follows it: {error}")


def _columns(head: str, separator: str) -> set[str]:
    return {name.strip().strip("\"'").strip() for name in head.split(separator)}


def _list_in(value: Any) -> list[Any] | None:
    """Give the one list of objects that an object holds under a usual name."""
    if not isinstance(value, dict):
        return None
    for name in ("documents", "passages", "items", "data", "results", "records", "entries", "memories"):
        found = value.get(name)
        if isinstance(found, list) and found and all(isinstance(one, dict) for one in found):
            return found
    return None
