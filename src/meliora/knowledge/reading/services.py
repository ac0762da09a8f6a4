"""Memories of other systems by HTTP: a running Qdrant or Letta page by page, and exports that lie at an address."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

from meliora.errors import InvalidRequest, MelioraError
from meliora.knowledge.reading.addresses import Fetch, read_urls
from meliora.knowledge.reading.base import Limits, Read, Refused
from meliora.knowledge.reading.connectors import KINDS, learnings_of, passages_of, points_of, turns_of
from meliora.knowledge.reading.decoding import decode

_MOST_PAGES = 100_000
_COLLECTION = re.compile(r"(?P<base>.+)/collections/(?P<name>[^/]+)(?:/points(?:/scroll)?)?")
_AGENT = re.compile(r".+/v1/agents/[^/]+")

KEY_HEADERS: dict[str, tuple[str, str]] = {
    "qdrant_vector": ("api-key", ""),
    "letta_archival": ("authorization", "Bearer "),
}
"""By kind, the header that carries the service's key, and what stands before the key."""


def read_service(kind: str, url: str, fetch: Fetch, limits: Limits | None = None) -> Iterator[Read]:
    """Read what an address gives, by its kind. Raises `InvalidRequest` for another kind, or an address that names no such thing.

    `qdrant_vector` takes `http://HOST:6333/collections/NAME`, `letta_archival` `http://HOST:8283/v1/agents/AGENT/archival-memory`;
    the others take the address of an export.
    """
    limits = limits or Limits()
    if kind not in KINDS:
        raise InvalidRequest(f"There is no source of the kind {kind!r}.", hint=f"There are: {', '.join(KINDS)}.")
    place = url.partition("?")[0].partition("#")[0].rstrip("/")
    if kind == "qdrant_vector":
        found = _COLLECTION.fullmatch(place)
        if found is None:
            raise InvalidRequest(f"{url!r} names no collection.", hint="Write http://HOST:6333/collections/NAME.")
        return read_qdrant(found["base"], unquote(found["name"]), fetch, limits)
    if kind == "letta_archival":
        agent = place.removesuffix("/archival-memory")
        if not _AGENT.fullmatch(agent):
            raise InvalidRequest(
                f"{url!r} names no agent.", hint="Write http://HOST:8283/v1/agents/AGENT/archival-memory."
            )
        return read_letta(agent, fetch, limits)
    if kind == "knowledge_files":
        return read_urls([url], fetch, limits)
    return _read_export(url, fetch, limits, turns_of if kind == "session_memory" else learnings_of)


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
        value = _page(url, fetch, limits, msgspec.json.encode(asked))
        if isinstance(value, Refused):
            yield value
            return
        yield from points_of(value, url, source)
        result = value.get("result") if isinstance(value, Mapping) else None
        following = result.get("next_page_offset") if isinstance(result, Mapping) else None
        if following is None:
            return
        if following == offset:
            yield _again(url)
            return
        offset = following


def read_letta(agent: str, fetch: Fetch, limits: Limits | None = None, page: int = 100) -> Iterator[Read]:
    """Read the archive of an agent of a running Letta, page by page (GET /v1/agents/{agent_id}/archival-memory), the oldest first."""
    limits, url, after = limits or Limits(), f"{agent}/archival-memory", ""
    for _ in range(_MOST_PAGES):
        asked = f"{url}?limit={page}&ascending=true" + (f"&after={quote(after, safe='')}" if after else "")
        value = _page(asked, fetch, limits)
        if isinstance(value, Refused):
            yield value
            return
        yield from passages_of(value, url)
        if not isinstance(value, list) or len(value) < page:
            return
        last = value[-1].get("id") if isinstance(value[-1], Mapping) else None
        if not isinstance(last, str) or last == after:
            yield _again(url)
            return
        after = last


def _read_export(
    url: str, fetch: Fetch, limits: Limits, reading: Callable[[str, str], Iterator[Read]]
) -> Iterator[Read]:
    try:
        text = decode(fetch(url, limits)[0])
    except (MelioraError, OSError) as error:
        yield Refused(url, f"it cannot be had: {error}")
        return
    name = os.path.basename(unquote(urlsplit(url).path)) or "export"
    yield from [Refused(url, "it is no text")] if text is None else reading(text, name)


def _page(url: str, fetch: Fetch, limits: Limits, body: bytes | None = None) -> Any:
    try:
        return msgspec.json.decode(fetch(url, limits, body)[0])
    except (MelioraError, msgspec.DecodeError, OSError, RecursionError) as error:
        return Refused(url, f"it cannot be had: {error}", "What came before it was read.")


def _again(url: str) -> Refused:
    return Refused(url, "it gives the same page again and again")
