"""Web addresses as documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from meliora.errors import MelioraError
from meliora.knowledge.documents import Document
from meliora.knowledge.reading.base import Limits, Read, Refused
from meliora.knowledge.reading.files import read_bytes

MOST = 10_000


class Fetch(Protocol):
    """Gets what an address holds."""

    def __call__(self, url: str, limits: Limits, body: bytes | None = None) -> tuple[bytes, str]:
        """Give bytes and content type; with a body, which is JSON, by POST. Raises `MelioraError` for what cannot be had."""
        ...


def read_urls(urls: str | Path | Iterable[str], fetch: Fetch, limits: Limits | None = None) -> Iterator[Read]:
    """Read addresses: a list, or a file with one a line (`#` begins a remark). The address is the document's id; one that fails is told."""
    limits = limits or Limits()
    listed = _listed(urls, limits)
    if isinstance(listed, Refused):
        yield listed
        return
    for number, url in enumerate(dict.fromkeys(listed)):
        if number >= MOST:
            yield Refused(url, f"more than {MOST:,} addresses")
            return
        try:
            data, kind = fetch(url, limits)
        except (MelioraError, OSError) as error:
            yield Refused(url, f"it cannot be had: {error}")
            continue
        yield from (_placed(one, url) for one in read_bytes(data, url, limits, kind or "text/plain"))


def _listed(urls: str | Path | Iterable[str], limits: Limits) -> list[str] | Refused:
    if not isinstance(urls, (str, Path)):
        return list(urls)
    try:
        with open(urls, "rb") as file:
            lines = file.read(limits.file_bytes).decode("utf-8", "replace").split("\n")
    except OSError as error:
        return Refused(str(urls), f"the list cannot be read: {error.strerror or error}")
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _placed(one: Read, url: str) -> Read:
    if isinstance(one, Document) and one.id == url and one.title == url[:500]:
        return Document(id=url, text=one.text, title="", source=url)
    return one
