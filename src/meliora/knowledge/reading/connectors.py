"""Exports of other memories as documents: Letta's archive, Qdrant's collections, folders, sessions, learnings."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from meliora.errors import InvalidRequest
from meliora.knowledge.documents import Document
from meliora.knowledge.reading.base import Limits, Read, Refused, metadata_of
from meliora.knowledge.reading.decoding import decode
from meliora.knowledge.reading.files import read_path
from meliora.knowledge.reading.structured import entry

_DATED = re.compile(r"(?:[-*+][ \t]+)?(?:\*\*|\[|\()?(\d{4}-\d{2}-\d{2})\b")
_BULLET = re.compile(r"[-*+][ \t]+\S")
_HEADING = re.compile(r"#{1,6}[ \t]+(\S.{0,500})")
_LISTS = ("messages", "turns", "history")
"""Where a session keeps its turns."""


def read_source(kind: str, path: str | os.PathLike[str], limits: Limits | None = None) -> Iterator[Read]:
    """Read an export by its kind, one of `KINDS`. Raises `InvalidRequest` for another kind."""
    if kind not in KINDS:
        raise InvalidRequest(f"There is no source of the kind {kind!r}.", hint=f"There are: {', '.join(KINDS)}.")
    return KINDS[kind](path, limits or Limits())


def letta_archival(path: str | os.PathLike[str], limits: Limits) -> Iterator[Read]:
    """Read an export of Letta's archival memory: a list of passages with `id`, `text`, `tags`, `created_at`, `metadata`."""
    value = _json(path, limits)
    yield from [value] if isinstance(value, Refused) else passages_of(value, str(path))


def passages_of(value: Any, place: str) -> Iterator[Read]:
    """Read passages of Letta: a list of them, or an object that has it."""
    listed = value if isinstance(value, list) else value.get("passages") if isinstance(value, Mapping) else None
    if not isinstance(listed, list):
        yield Refused(place, "it is no list of passages")
        return
    for number, one in enumerate(listed, 1):
        passage = one.get("passage", one) if isinstance(one, Mapping) else None
        if not isinstance(passage, Mapping):
            yield Refused(f"{place}#{number}", "it is no passage")
        elif not passage.get("is_deleted"):
            # Vectors of another model say nothing here.
            yield entry(
                {k: v for k, v in passage.items() if k not in ("embedding", "embedding_config")}, "letta", number
            )


def qdrant_vector(path: str | os.PathLike[str], limits: Limits) -> Iterator[Read]:
    """Read a kept answer of Qdrant's scroll: `{"result": {"points": [{"id", "payload"}]}}`."""
    value = _json(path, limits)
    yield from [value] if isinstance(value, Refused) else points_of(value, str(path), "qdrant")


def knowledge_files(path: str | os.PathLike[str], limits: Limits) -> Iterator[Read]:
    """Read a folder of files."""
    return read_path(path, limits)


def session_memory(path: str | os.PathLike[str], limits: Limits) -> Iterator[Read]:
    """Read turns of conversations: `role`, `content` (text or parts of it, also within `message`), session and time.

    They stand one a line, or as one JSON value: a list of turns, or sessions with their turns in `messages`.
    """
    text = _text(path, limits)
    yield from [text] if isinstance(text, Refused) else turns_of(text, str(path))


def turns_of(text: str, place: str) -> Iterator[Read]:
    """Read turns; what tools say is left out, and a text without any turn is told."""
    stem = os.path.splitext(os.path.basename(place))[0]
    any_read = False
    for number, found in enumerate(_turns_in(text, place), 1):
        read = found if isinstance(found, Refused) else _turn(found, stem, number)
        if read is not None:
            any_read = True
            yield read
    if not any_read and text.strip():
        yield Refused(place, "it has no turn with words", "A turn has `role` and `content`.")


def _turns_in(text: str, place: str) -> Iterator[dict[str, Any] | Refused]:
    """Give the turns of one JSON value; of one a line else, each with its place where it is none."""
    try:
        whole = [msgspec.json.decode(text.encode("utf-8", "replace"))]
    except (msgspec.DecodeError, RecursionError):
        whole = []
    if whole:
        yield from _unfolded(whole[0], place)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            yield {}
            continue
        try:
            value = msgspec.json.decode(line.encode("utf-8", "replace"))
        except (msgspec.DecodeError, RecursionError) as error:
            yield Refused(f"{place}:{number}", f"the line is no JSON: {error}")
            continue
        yield from (
            _unfolded(value, f"{place}:{number}")
            if isinstance(value, dict)
            else [Refused(f"{place}:{number}", "the line is no turn")]
        )


def _unfolded(value: Any, place: str) -> Iterator[dict[str, Any] | Refused]:
    """Give the turns that a value is or holds: those of a session carry what it says of them all."""
    if isinstance(value, list):
        for number, one in enumerate(value, 1):
            yield from _unfolded(one, f"{place}#{number}")
        return
    if not isinstance(value, dict):
        yield Refused(place, "it is no turn")
        return
    listed = next((value[name] for name in _LISTS if isinstance(value.get(name), list)), None)
    if listed is None:
        yield value
        return
    session = value.get("session_id") or value.get("sessionId") or value.get("session") or value.get("id")
    told = {"session": session, "user": value.get("user") or value.get("user_id")}
    for number, one in enumerate(listed, 1):
        if isinstance(one, dict):
            yield {name: said for name, said in told.items() if said} | one
        else:
            yield Refused(f"{place}#{number}", "it is no turn")


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
    yield from [text] if isinstance(text, Refused) else learnings_of(text, os.path.basename(path))


def learnings_of(text: str, name: str) -> Iterator[Read]:
    """Read learnings; `name` begins the ids of all."""
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


def points_of(value: Any, place: str, source: str) -> Iterator[Read]:
    """Read the points of a kept answer of Qdrant."""
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
