"""Memories of other systems as documents: Letta's archive, Qdrant's collections, folders, sessions, learnings."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from meliora.errors import InvalidRequest, MelioraError
from meliora.knowledge.documents import Document
from meliora.knowledge.reading.addresses import Fetch
from meliora.knowledge.reading.base import Limits, Read, Refused, metadata_of
from meliora.knowledge.reading.decoding import decode
from meliora.knowledge.reading.files import read_path
from meliora.knowledge.reading.structured import entry

_DATED = re.compile(r"(?:[-*+][ \t]+)?(?:\*\*|\[|\()?(\d{4}-\d{2}-\d{2})\b")
_BULLET = re.compile(r"[-*+][ \t]+\S")
_HEADING = re.compile(r"#{1,6}[ \t]+(\S.{0,500})")
_MOST_PAGES = 100_000


def read_source(kind: str, path: str | os.PathLike[str], limits: Limits | None = None) -> Iterator[Read]:
    """Read an export by its kind, one of `KINDS`. Raises `InvalidRequest` for another kind."""
    if kind not in KINDS:
        raise InvalidRequest(f"There is no source of the kind {kind!r}.", hint=f"There are: {', '.join(KINDS)}.")
    return KINDS[kind](path, limits or Limits())


def letta_archival(path: str | os.PathLike[str], limits: Limits) -> Iterator[Read]:
    """Read an export of Letta's archival memory: a list of passages with `id`, `text`, `tags`, `created_at`, `metadata`."""
    value = _json(path, limits)
    if isinstance(value, Refused):
        yield value
        return
    listed = value if isinstance(value, list) else value.get("passages") if isinstance(value, Mapping) else None
    if not isinstance(listed, list):
        yield Refused(str(path), "it is no list of passages")
        return
    for number, one in enumerate(listed, 1):
        passage = one.get("passage", one) if isinstance(one, Mapping) else None
        if not isinstance(passage, Mapping):
            yield Refused(f"{path}#{number}", "it is no passage")
        elif not passage.get("is_deleted"):
            # Vectors of another model say nothing here.
            yield entry(
                {k: v for k, v in passage.items() if k not in ("embedding", "embedding_config")}, "letta", number
            )


def qdrant_vector(path: str | os.PathLike[str], limits: Limits) -> Iterator[Read]:
    """Read a kept answer of Qdrant's scroll: `{"result": {"points": [{"id", "payload"}]}}`."""
    value = _json(path, limits)
    yield from [value] if isinstance(value, Refused) else _points(value, str(path), "qdrant")


def read_qdrant(
    base: str, collection: str, fetch: Fetch, limits: Limits | None = None, page: int = 256
) -> Iterator[Read]:
    """Read a collection of a running Qdrant, page by page (POST /collections/{name}/points/scroll), without its vectors."""
    limits, source = limits or Limits(), f"qdrant/{collection}"
    url = f"{base.rstrip('/')}/collections/{quote(collection, safe='')}/points/scroll"
    offset: Any = None
    for _ in range(_MOST_PAGES):
        asked = {"limit": page, "with_payload": True, "with_vector": False} | (
            {} if offset is None else {"offset": offset}
        )
        try:
            value = msgspec.json.decode(fetch(url, limits, msgspec.json.encode(asked))[0])
        except (MelioraError, msgspec.DecodeError, OSError) as error:
            yield Refused(url, f"it cannot be had: {error}", "What came before it was read.")
            return
        yield from _points(value, url, source)
        result = value.get("result") if isinstance(value, Mapping) else None
        following = result.get("next_page_offset") if isinstance(result, Mapping) else None
        if following is None:
            return
        if following == offset:
            yield Refused(url, "it gives the same page again and again")
            return
        offset = following


def knowledge_files(path: str | os.PathLike[str], limits: Limits) -> Iterator[Read]:
    """Read a folder of files."""
    return read_path(path, limits)


def session_memory(path: str | os.PathLike[str], limits: Limits) -> Iterator[Read]:
    """Read turns of conversations, one a line: `role`, `content` (text or parts of it, also within `message`), session and time."""
    text = _text(path, limits)
    if isinstance(text, Refused):
        yield text
        return
    stem = os.path.splitext(os.path.basename(path))[0]
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            turn = msgspec.json.decode(line.encode("utf-8", "replace"))
        except (msgspec.DecodeError, RecursionError) as error:
            yield Refused(f"{path}:{number}", f"the line is no JSON: {error}")
            continue
        if not isinstance(turn, dict):
            yield Refused(f"{path}:{number}", "the line is no turn")
            continue
        read = _turn(turn, stem, number)
        if read is not None:
            yield read


def _turn(turn: dict[str, Any], stem: str, number: int) -> Document | None:
    inner = turn["message"] if isinstance(turn.get("message"), dict) else turn
    said = _said(inner.get("content", inner.get("text")))
    if not said.strip():
        return None
    session = str(turn.get("session_id") or turn.get("sessionId") or turn.get("session") or stem)
    role = str(inner.get("role") or turn.get("type") or turn.get("speaker") or "")
    at = turn.get("timestamp") or turn.get("created_at") or turn.get("time") or ""
    told = {"session": session, "role": role, "at": at}
    return Document(
        id=str(turn.get("uuid") or turn.get("id") or f"{session}#{number}"),
        text=f"{role}: {said}" if role else said,
        title=f"{session} {at}".strip()[:500],
        source="session",
        user=str(turn.get("user") or turn.get("user_id") or ""),
        metadata=metadata_of({name: value for name, value in told.items() if value != ""}),
    )


def _said(content: Any) -> str:
    """Give the words of a turn; what tools were called with and gave is left out."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [one if isinstance(one, str) else one.get("text") for one in parts if isinstance(one, (str, dict))]
    return "\n".join(text for text in texts if isinstance(text, str))


def learnings_md(path: str | os.PathLike[str], limits: Limits) -> Iterator[Read]:
    """Read a file of learnings: every dated entry, list entry or heading with text below it is a document under its heading."""
    text = _text(path, limits)
    if isinstance(text, Refused):
        yield text
        return
    name = os.path.basename(path)
    times: dict[str, int] = {}
    for heading, date, lines in _entries(text):
        said = "\n".join(lines).strip()
        if said:
            # By its first words, not its place: an entry written above it changes nothing.
            slug = re.sub(r"\W+", "-", f"{date} {heading} {said[:60]}".lower()).strip("-")[:120]
            times[slug] = times.get(slug, 0) + 1
            again = f"-{times[slug]}" if times[slug] > 1 else ""
            dated = {"date": date} if date else {}
            yield Document(id=f"{name}#{slug}{again}", text=said, title=heading, source=name, metadata=dated)


def _entries(text: str) -> Iterator[tuple[str, str, list[str]]]:
    heading, date, dated, lines = "", "", "", list[str]()
    for line in text.split("\n"):
        head = _HEADING.match(line)
        begins = _BULLET.match(line) or _DATED.match(line)
        if head or begins:
            yield heading, date or dated, lines
            lines, date = [], ""
        if head:
            heading = head[1].strip()
            found = re.search(r"\d{4}-\d{2}-\d{2}", heading)
            dated = found[0] if found else ""
            continue
        if begins:
            found = _DATED.match(line)
            date = found[1] if found else ""
        lines.append(line)
    yield heading, date or dated, lines


def _points(value: Any, place: str, source: str) -> Iterator[Read]:
    result = value.get("result", value) if isinstance(value, Mapping) else value
    points = result.get("points") if isinstance(result, Mapping) else result
    if not isinstance(points, list):
        yield Refused(place, "it has no points")
        return
    for number, point in enumerate(points, 1):
        payload = point.get("payload") if isinstance(point, Mapping) else None
        if not isinstance(payload, Mapping):
            yield Refused(f"{place}#{number}", "the point has no payload")
        else:
            yield entry({**payload, "id": point.get("id")}, source, number)


def _json(path: str | os.PathLike[str], limits: Limits) -> Any:
    text = _text(path, limits)
    if isinstance(text, Refused):
        return text
    try:
        return msgspec.json.decode(text.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        return Refused(str(path), f"it is no JSON: {error}")


def _text(path: str | os.PathLike[str], limits: Limits) -> str | Refused:
    try:
        with open(path, "rb") as file:
            data = file.read(limits.file_bytes + 1)
    except OSError as error:
        return Refused(str(path), f"it cannot be read: {error.strerror or error}")
    if len(data) > limits.file_bytes:
        return Refused(
            str(path), f"it has more than {limits.file_bytes:,} bytes", "Split it, or raise knowledge.document_bytes."
        )
    text = decode(data)
    return Refused(str(path), "it is no text") if text is None else text


KINDS: dict[str, Callable[[str | os.PathLike[str], Limits], Iterator[Read]]] = {
    "letta_archival": letta_archival,
    "qdrant_vector": qdrant_vector,
    "knowledge_files": knowledge_files,
    "session_memory": session_memory,
    "learnings_md": learnings_md,
}
"""Sources by their kind."""
