"""The exact-match response cache: equal requests of one tenant are answered from memory. Refuses to call anything similar equal."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import msgspec

from meliora.settings import models

_IGNORED = ("user", "metadata", "stream_options", "model", "stream")
"""Fields that do not change the answer, or stand in the key in another form."""
_OVERHEAD = 600
"""Bytes that an entry takes besides its body, about."""


class StoredAnswer(msgspec.Struct, frozen=True):
    """An answer as it can be given again. `body` of a stream is all its events."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    extra: Any = None
    """Whatever the caller wants back with it, such as the usage and the model."""


class Directives(msgspec.Struct, frozen=True):
    """What a request's `cache-control` asks for."""

    no_cache: bool = False
    """Do not answer from the cache; the fresh answer may be kept."""
    no_store: bool = False
    """Do not keep the answer."""
    max_age: float | None = None
    """Do not answer with anything older, in seconds."""


_NO_DIRECTIVES = Directives()


def directives(header: bytes | None) -> Directives:
    """Read a `cache-control` header. What is unknown is ignored; a `max-age` that is no number counts as 0, the careful reading."""
    if not header:
        return _NO_DIRECTIVES
    no_cache = no_store = False
    max_age: float | None = None
    for part in header.decode("latin-1").lower().split(","):
        name, _, value = part.strip().partition("=")
        if name == "no-cache":
            no_cache = True
        elif name == "no-store":
            no_store = True
        elif name == "max-age":
            value = value.strip('" ')
            max_age = float(value) if value.isascii() and value.isdigit() else 0.0
    return Directives(no_cache, no_store, max_age)


def key(tenant: str, dialect: str, model: str, body: Mapping[str, Any], also: tuple[Any, ...] = ()) -> bytes:
    """Give the name of a request in the cache: a hash of tenant, dialect, the model that answers and the canonical body.

    The order of fields does not matter; `user`, `metadata` and `stream_options` do not count. A stream and a whole answer to the
    same request are two entries. `also` is what else the answer depends on.
    """
    rest = {name: value for name, value in body.items() if name not in _IGNORED}
    canonical = msgspec.json.encode(
        (tenant, dialect, model, bool(body.get("stream")), rest, also), order="deterministic"
    )
    return hashlib.sha256(canonical).digest()


class _Entry:
    __slots__ = ("answer", "kept", "size", "tenant", "until")

    def __init__(self, answer: StoredAnswer, tenant: str, kept: float, until: float) -> None:
        self.answer = answer
        self.tenant = tenant
        self.kept = kept
        self.until = until
        self.size = len(answer.body) + sum(len(n) + len(v) for n, v in answer.headers) + _OVERHEAD


class CacheStats(msgspec.Struct, frozen=True):
    """Counts since the process began, and what is held now."""

    hits: int
    misses: int
    stored: int
    evicted: int
    entries: int
    bytes: int


class ResponseCache:
    """Keep answers, the least recently used leaving first when `max_bytes` is reached. `now` is monotonic seconds."""

    def __init__(self, settings: models.Cache) -> None:
        self.settings = settings
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._bytes = 0
        self._hits = self._misses = self._stored = self._evicted = 0

    def get(self, name: bytes, now: float, wish: Directives = _NO_DIRECTIVES) -> StoredAnswer | None:
        """Give the answer kept under a name, if it is fresh enough for its lifetime and for the request's directives."""
        entry = self._entries.get(name)
        if entry is not None and now >= entry.until:
            self._drop(name)
            entry = None
        if entry is None or wish.no_cache or (wish.max_age is not None and now - entry.kept > wish.max_age):
            self._misses += 1
            return None
        self._entries.move_to_end(name)
        self._hits += 1
        return entry.answer

    def put(self, name: bytes, tenant: str, answer: StoredAnswer, now: float, *, tier: str | None = None) -> bool:
        """Keep a good answer (status 200) for its tier's lifetime; False where it is not kept: an error, or too large.

        The caller has looked at `no_store`, and offers whole answers only.
        """
        entry = _Entry(answer, tenant, now, now + (self.settings.ttl_code if tier == "code" else self.settings.ttl))
        if (
            answer.status != 200
            or len(answer.body) > self.settings.max_entry_bytes
            or entry.size > self.settings.max_bytes
        ):
            return False
        if name in self._entries:
            self._drop(name)
        self._entries[name] = entry
        self._bytes += entry.size
        self._stored += 1
        while self._bytes > self.settings.max_bytes:
            self._drop(next(iter(self._entries)))
            self._evicted += 1
        return True

    def clear(self, tenant: str | None = None) -> int:
        """Forget a tenant's answers, or everyone's; gives how many."""
        names = [name for name, entry in self._entries.items() if tenant is None or entry.tenant == tenant]
        for name in names:
            self._drop(name)
        return len(names)

    def stats(self) -> CacheStats:
        """Give the counts."""
        return CacheStats(self._hits, self._misses, self._stored, self._evicted, len(self._entries), self._bytes)

    def _drop(self, name: bytes) -> None:
        self._bytes -= self._entries.pop(name).size
