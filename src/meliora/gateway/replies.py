"""Answers given before: idempotency keys and the exact-match cache, asked before a call begins, told when it has ended.

Only whole good answers are kept. A claim under an idempotency key is given back in any case, so that nobody waits for ever.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from meliora.clock import Clock
from meliora.gateway.cache import Directives, ResponseCache, StoredAnswer, directives, key
from meliora.gateway.call import Call
from meliora.gateway.idempotency import Claim, Idempotency
from meliora.gateway.upstream import Headers
from meliora.settings.models import Gateway

_CHANGING = (b"anthropic-beta", b"anthropic-version", b"openai-beta")
"""Headers that pass to the upstream and may change its answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to be given again, and where it was kept: `cache` or `idempotency`."""

    answer: StoredAnswer
    source: str


@dataclass(slots=True)
class Keeping:
    """Where a call's answer is to be kept when it is whole."""

    claim: Claim | None = None
    cache_key: bytes | None = None
    tier: str | None = None


class Replies:
    """Find kept answers, and keep new ones."""

    def __init__(self, settings: Gateway, clock: Clock) -> None:
        self._cache = ResponseCache(settings.cache)
        self._idempotency = Idempotency(settings.idempotency_ttl, settings.idempotency_wait)
        self._clock = clock

    @staticmethod
    def concern(call: Call, settings: Gateway) -> bool:
        """Say whether a kept answer could matter to a call at all: seldom."""
        return settings.cache.enabled or b"idempotency-key" in call.inbound.headers

    async def find(self, call: Call, model: str, tier: str | None, settings: Gateway) -> Reply | Keeping | None:
        """Give a kept answer, or where to keep the one that comes; None where neither applies (the usual case).

        Waits while an equal request under the same idempotency key is running. Raises `Conflict` or `InvalidRequest`.
        """
        idempotency_key = call.inbound.text(b"idempotency-key")
        if idempotency_key is None and not settings.cache.enabled:
            return None
        now = self._clock.monotonic()
        keeping = Keeping(tier=tier)
        if idempotency_key is not None:
            body_hash = hashlib.sha256(call.dialect.encode() + b"\0" + call.inbound.body).digest()
            found = await self._idempotency.begin((call.key.id, idempotency_key), body_hash, now)
            if isinstance(found, StoredAnswer):
                return Reply(found, "idempotency")
            keeping.claim = found
        if settings.cache.enabled:
            wish = directives(call.inbound.headers.get(b"cache-control"))
            try:
                cached = self._cached(call, model, wish, keeping, now)
            except BaseException:
                if keeping.claim is not None:
                    keeping.claim.fail()
                raise
            if cached is not None:
                if keeping.claim is not None:
                    keeping.claim.finish(cached, now)
                return Reply(cached, "cache")
        return keeping

    def keep(self, call: Call, keeping: Keeping, status: int, headers: Headers, body: bytes) -> None:
        """Keep a whole good answer."""
        now = self._clock.monotonic()
        answer = StoredAnswer(status, tuple(headers), body)
        if keeping.cache_key is not None:
            self._cache.put(keeping.cache_key, call.key.tenant, answer, now, tier=keeping.tier)
        if keeping.claim is not None:
            keeping.claim.finish(answer, now)

    def adapt(self, settings: Gateway) -> None:
        """Go on by other settings; what is kept keeps the lifetime that it was given."""
        self._cache.settings = settings.cache
        self._idempotency.ttl, self._idempotency.wait = settings.idempotency_ttl, settings.idempotency_wait

    def clear(self, tenants: set[str] | None = None) -> None:
        """Empty the cache of some tenants; `*` or None is all."""
        if tenants is None or "*" in tenants:
            self._cache.clear()
            return
        for tenant in tenants:
            self._cache.clear(tenant)

    def stats(self) -> dict[str, Any]:
        """Give the cache's counts."""
        return msgspec.to_builtins(self._cache.stats())

    def _cached(self, call: Call, model: str, wish: Directives, keeping: Keeping, now: float) -> StoredAnswer | None:
        inbound, by = call.inbound, call.key
        lane = call.basis.lane if call.basis is not None else ""
        also = (*(inbound.headers.get(header) for header in _CHANGING), inbound.query, by.allow_loss, by.regions, lane)
        name = key(by.tenant, call.dialect, model, call.body, also)
        if not wish.no_store:
            keeping.cache_key = name
        return self._cache.get(name, now, wish)
