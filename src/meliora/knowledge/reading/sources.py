"""Whatever somebody names: a file, a folder, JSON lines, an address, or a list of addresses (`urls.txt`), as documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from meliora.errors import NotFound
from meliora.knowledge.reading.addresses import read_urls
from meliora.knowledge.reading.base import Limits, Read
from meliora.knowledge.reading.fetching import HttpFetch
from meliora.knowledge.reading.files import read_path

LIST = "urls.txt"
"""Name of a file that lists addresses, one a line."""


def read_any(source: str, limits: Limits | None = None, *, private: bool = False) -> Iterator[Read]:
    """Read it. What is wrong with one entry stops no other. Raises `NotFound` where there is nothing of that name.

    `private` goes to addresses of one's own network, too.
    """
    path, fetch = Path(source), HttpFetch(private=private)
    if source.startswith(("http://", "https://")):
        yield from read_urls([source], fetch, limits)
    elif not path.exists():
        raise NotFound(f"There is no file or folder {source!r}.", hint="Name one that is there, or an address.")
    elif path.is_file() and path.name.lower() == LIST:
        yield from read_urls(path, fetch, limits)
    else:
        yield from read_path(path, limits)
