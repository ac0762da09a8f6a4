"""Idempotency keys: a repeated request gets the first one's answer, or waits for it. Refuses a key that is reused for another body."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from enum import Enum

from meliora.errors import Conflict, InvalidRequest
from meliora.gateway.cache import StoredAnswer

MAX_KEY = 255
"""Longest `idempotency-key`, in characters."""
_OVERHEAD = 600
_ASK_AGAIN = 5.0
"""Seconds after which one that waited in vain may come again."""


class Verdict(Enum):
    """What became of a call that another one waits for."""

    FAILED = "failed"
    """It came to nothing that can be given again; whoever waits begins anew."""


class _Entry:
    __slots__ = ("answer", "body_hash", "size", "until", "waiting")

    def __init__(self, body_hash: bytes) -> None:
        self.body_hash = body_hash
        self.answer: StoredAnswer | None = None
        self.until = 0.0
        self.size = 0
        self.waiting: list[asyncio.Future[StoredAnswer | Verdict]] = []


class Claim:
    """The right and duty to make the call: end it with `finish` or `fail`, in any case."""

    __slots__ = ("_entry", "_keeper", "name")

    def __init__(self, keeper: Idempotency, name: tuple[str, str], entry: _Entry) -> None:
        self._keeper = keeper
        self._entry = entry
        self.name = name

    def finish(self, answer: StoredAnswer, now: float) -> None:
        """Keep the answer and give it to all who wait."""
        self._keeper._finish(self.name, self._entry, answer, now)

    def fail(self) -> None:
        """Forget the call; those who wait begin anew. Does nothing after `finish`, so that it fits a `finally`."""
        self._keeper._fail(self.name, self._entry)


class Idempotency:
    """Remember calls by (key id, idempotency key) for `ttl` seconds, within `max_bytes`. `now` is monotonic seconds.

    A repetition waits for the running call at most `wait` seconds.
    Finished answers leave oldest first when memory is short; a call that still runs never leaves.
    """

    def __init__(self, ttl: float, wait: float = 120.0, max_bytes: int = 32 * 1024 * 1024) -> None:
        self.ttl = ttl
        self.wait = wait
        self._max_bytes = max_bytes
        self._running: dict[tuple[str, str], _Entry] = {}
        self._kept: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._bytes = 0

    async def begin(self, name: tuple[str, str], body_hash: bytes, now: float) -> Claim | StoredAnswer:
        """Give the kept answer, wait for the running call's, or give the claim to make the call.

        Raises `Conflict` where the key was used for another body, or where the first call still runs when patience ends;
        `InvalidRequest` where the key is too long.
        """
        if len(name[1]) > MAX_KEY:
            raise InvalidRequest(f"The idempotency-key is longer than {MAX_KEY} characters.", field="idempotency-key")
        try:
            async with asyncio.timeout(self.wait):
                return await self._begin(name, body_hash, now)
        except TimeoutError:
            raise Conflict(
                f"The first call under this idempotency-key still runs after {self.wait:g} s of waiting.",
                hint="Come again later under the same key.",
                field="idempotency-key",
                retry_after=_ASK_AGAIN,
            ) from None

    async def _begin(self, name: tuple[str, str], body_hash: bytes, now: float) -> Claim | StoredAnswer:
        while True:
            self._forget(now)
            entry = self._running.get(name) or self._kept.get(name)
            if entry is None:
                entry = self._running[name] = _Entry(body_hash)
                return Claim(self, name, entry)
            if entry.body_hash != body_hash:
                raise Conflict(
                    "This idempotency-key was used for another request.",
                    hint="Use a new key for each request, and the same key only for its repetitions.",
                    field="idempotency-key",
                )
            if entry.answer is not None:
                return entry.answer
            future: asyncio.Future[StoredAnswer | Verdict] = asyncio.get_running_loop().create_future()
            entry.waiting.append(future)
            try:
                outcome = await future
            finally:
                if future in entry.waiting:
                    entry.waiting.remove(future)
            if isinstance(outcome, StoredAnswer):
                return outcome

    def __len__(self) -> int:
        return len(self._running) + len(self._kept)

    def _finish(self, name: tuple[str, str], entry: _Entry, answer: StoredAnswer, now: float) -> None:
        if self._running.get(name) is not entry:
            return
        del self._running[name]
        entry.answer = answer
        entry.until = now + self.ttl
        entry.size = len(answer.body) + _OVERHEAD
        self._kept[name] = entry
        self._bytes += entry.size
        self._wake(entry, answer)
        self._forget(now)

    def _fail(self, name: tuple[str, str], entry: _Entry) -> None:
        if self._running.get(name) is not entry:
            return
        del self._running[name]
        self._wake(entry, Verdict.FAILED)

    def _wake(self, entry: _Entry, outcome: StoredAnswer | Verdict) -> None:
        waiting, entry.waiting = entry.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(outcome)

    def _forget(self, now: float) -> None:
        while self._kept:
            oldest = next(iter(self._kept.values()))
            if now < oldest.until and self._bytes <= self._max_bytes:
                return
            self._bytes -= oldest.size
            self._kept.popitem(last=False)
