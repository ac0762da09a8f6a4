"""Rate limits of keys: requests and tokens a minute, calls in flight. Refuses to know money; that is `budgets`."""

from __future__ import annotations

from meliora.errors import Overloaded, RateLimited
from meliora.gateway.state import KeyState

_SWEEP_SECONDS = 60.0


class _Buckets:
    """What one key has left. Both are filled continuously up to a minute's worth; tokens may be in debt."""

    __slots__ = ("at", "flying", "most_requests", "most_tokens", "requests", "tokens")

    def __init__(self, now: float, requests: float, tokens: float) -> None:
        self.at = now
        self.requests = self.most_requests = requests
        self.tokens = self.most_tokens = tokens
        self.flying = 0

    def fill(self, now: float) -> None:
        """Let flow back what the time since the last look is worth."""
        passed = (now - self.at) / 60.0
        if passed > 0.0:
            self.at = now
            requests = self.requests + passed * self.most_requests
            self.requests = requests if requests < self.most_requests else self.most_requests
            tokens = self.tokens + passed * self.most_tokens
            self.tokens = tokens if tokens < self.most_tokens else self.most_tokens

    def resize(self, requests: float, tokens: float) -> None:
        """Follow a changed limit: what was used stays used."""
        self.requests += requests - self.most_requests
        self.tokens += tokens - self.most_tokens
        self.most_requests, self.most_tokens = requests, tokens


class Admission:
    """A call that was let in: settle it once, however it ended."""

    __slots__ = ("buckets", "estimate", "settled")

    def __init__(self, buckets: _Buckets | None, estimate: int) -> None:
        self.buckets = buckets
        self.estimate = estimate
        self.settled = False


class Limiter:
    """Token buckets and counts of calls in flight, by key and for the whole gateway. `now` is monotonic seconds.

    A minute's worth may be used at once; then it flows back evenly. Tokens are taken by estimate when a call is let in and set
    right when it ends, so a call that used more puts the key in debt, which it waits off. With several gateways each enforces
    its share of a key's rate; a key whose calls all go to one of them gets that share.
    """

    def __init__(self, concurrent_calls: int) -> None:
        self.concurrent = concurrent_calls
        """Calls in flight of the whole gateway."""
        self._flying = 0
        self._keys: dict[str, _Buckets] = {}
        self._sweep_at: float | None = None
        self.gateways = 1
        """Gateways that share the keys' rates; set from the state."""

    @property
    def flying(self) -> int:
        """Calls in flight."""
        return self._flying

    @property
    def keys(self) -> int:
        """Keys that are remembered."""
        return len(self._keys)

    def admit(self, key: KeyState, tokens: int, now: float) -> Admission:
        """Let a call in, or raise.

        `tokens` is the estimate of prompt and answer. One that is larger than a whole minute's worth is let in when the bucket is full.
        Raises `Overloaded` (the gateway is full) or `RateLimited` (the key is over a limit), with `retry_after` in seconds.
        """
        if self._flying >= self.concurrent:
            raise Overloaded(f"{self._flying} calls are in flight, and no more are taken.", retry_after=1.0)
        rpm, tpm = key.requests_per_minute, key.tokens_per_minute
        if rpm is None and tpm is None and key.concurrent is None:
            self._flying += 1
            return Admission(None, 0)
        buckets = self._of(key, now)
        if key.concurrent is not None and buckets.flying >= key.concurrent:
            raise RateLimited(f"This key has {buckets.flying} calls in flight, which is its limit.", retry_after=1.0)
        if rpm is not None and buckets.requests < 1.0:
            raise _over(f"{rpm} requests a minute", 1.0 - buckets.requests, buckets.most_requests)
        if tpm is not None:
            needed = max(1.0, min(float(tokens), buckets.most_tokens))
            if buckets.tokens < needed:
                raise _over(f"{tpm} tokens a minute", needed - buckets.tokens, buckets.most_tokens)
            buckets.tokens -= tokens
        if rpm is not None:
            buckets.requests -= 1.0
        buckets.flying += 1
        self._flying += 1
        return Admission(buckets, tokens)

    def settle(self, admission: Admission, tokens: int | None) -> None:
        """End a call: it is no longer in flight, and its estimate gives way to the tokens really used (None: unknown, it stands)."""
        if admission.settled:
            return
        admission.settled = True
        self._flying -= 1
        buckets = admission.buckets
        if buckets is not None:
            buckets.flying -= 1
            if tokens is not None:
                buckets.tokens += admission.estimate - tokens

    def _of(self, key: KeyState, now: float) -> _Buckets:
        """Give the key's buckets, filled up to now."""
        if self._sweep_at is None or now >= self._sweep_at:
            self._sweep(now)
        requests, tokens = self._most(key.requests_per_minute), self._most(key.tokens_per_minute)
        buckets = self._keys.get(key.id)
        if buckets is None:
            buckets = self._keys[key.id] = _Buckets(now, requests, tokens)
            return buckets
        buckets.fill(now)
        if buckets.most_requests != requests or buckets.most_tokens != tokens:
            buckets.resize(requests, tokens)
        return buckets

    def _most(self, per_minute: int | None) -> float:
        """Give this gateway's share of a minute's worth; at least 1, so that a small limit over many gateways is not zero."""
        return max(1.0, per_minute / self.gateways) if per_minute else 0.0

    def _sweep(self, now: float) -> None:
        """Forget keys whose buckets are full again: one that comes back starts with full buckets anyway."""
        self._sweep_at = now + _SWEEP_SECONDS
        for name, buckets in list(self._keys.items()):
            buckets.fill(now)
            full = buckets.requests >= buckets.most_requests and buckets.tokens >= buckets.most_tokens
            if full and not buckets.flying:
                del self._keys[name]


def _over(limit: str, missing: float, most: float) -> RateLimited:
    """Say which limit was hit and when the bucket holds what is missing; a limit of 0 is asked again in a minute."""
    wait = missing * 60.0 / most if most else 60.0
    return RateLimited(f"This key is limited to {limit}.", retry_after=max(0.001, wait))
