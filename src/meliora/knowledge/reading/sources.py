"""Whatever somebody names: a file, a folder, JSON lines, an address, or a list of addresses (`urls.txt`), as documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from meliora.errors import InvalidRequest, NotFound
from meliora.knowledge.reading.addresses import read_urls
from meliora.knowledge.reading.base import Limits, Read
from meliora.knowledge.reading.connectors import read_source
from meliora.knowledge.reading.fetching import HttpFetch
from meliora.knowledge.reading.files import read_path
from meliora.knowledge.reading.services import KEY_HEADERS, read_service

LIST = "urls.txt"
"""Name of a file that lists addresses, one a line."""


_HTTP = ("http://", "https://")


def read_any(source: str, limits: Limits | None = None, *, private: bool = False) -> Iterator[Read]:
    """Read it. What is wrong with one entry stops no other. Raises `NotFound` where there is nothing of that name.

    `private` goes to addresses of one's own network, too.
    """
    path, fetch = Path(source), HttpFetch(private=private)
    if source.startswith(_HTTP):
        yield from read_urls([source], fetch, limits)
    elif not path.exists():
        raise NotFound(f"There is no file or folder {source!r}.", hint="Name one that is there, or an address.")
    elif path.is_file() and path.name.lower() == LIST:
        yield from read_urls(path, fetch, limits)
    else:
        yield from read_path(path, limits)


def read_export(
    kind: str, source: str, limits: Limits | None = None, *, private: bool = False, key: str = ""
) -> Iterator[Read]:
    """Read another memory by its kind: the file of an export, or an address. `key` opens Qdrant or Letta.

    Raises `InvalidRequest` for another kind, an address that names no such thing, or a key where none is asked for;
    `NotFound` where there is nothing of that name.
    """
    if not source.startswith(_HTTP):
        if not Path(source).exists():
            raise NotFound(f"There is no file or folder {source!r}.", hint="Name one that is there, or an address.")
        return read_source(kind, source, limits)
    header = KEY_HEADERS.get(kind)
    if key and header is None:
        raise InvalidRequest("Only Qdrant and Letta take a key.", hint="Leave --key out.")
    headers = {header[0]: f"{header[1]}{key}"} if key and header is not None else {}
    return read_service(kind, source, HttpFetch(private=private, headers=headers), limits)
