"""Identifiers of calls and searches: time-ordered, unguessable, and provably made by this deployment."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from hmac import compare_digest

PREFIX = "call_"
SEARCH_PREFIX = "srch_"
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_VALUES = {pair: value for value, pair in enumerate(_PAIRS)}
_TIME_CHARS, _REST_CHARS = 10, 20


class CallIds:
    """Make and recognise ids: `call_`, 48 bits of milliseconds, 64 random bits, a 32-bit keyed BLAKE2b tag of both.

    Written in Crockford's base 32, so ids made in later milliseconds sort later. A clock that jumps back makes ids that
    sort earlier, never equal ones.
    """

    def __init__(
        self,
        secret: bytes,
        clock_us: Callable[[], int],
        randbytes: Callable[[int], bytes],
        *,
        prefix: str = PREFIX,
    ) -> None:
        """With another prefix the ids are of another kind, and one of the one kind is never recognised as one of the other."""
        self._prefix = prefix
        self._person = b"" if prefix == PREFIX else prefix.encode()
        self.rekey(secret)
        self._clock_us = clock_us
        self._randbytes = randbytes
        self._last = (-1, b"", "")

    def rekey(self, secret: bytes) -> None:
        """Go on with another secret; ids made with the one before are no longer recognised."""
        self._keyed = blake2b(digest_size=4, key=secret[:64], person=self._person)

    def new(self, now_us: int | None = None) -> str:
        """Give a new id of 35 characters, for a moment that is known, or for this one."""
        time_ms = (self._clock_us() if now_us is None else now_us) // 1000 & 0xFFFFFFFFFFFF
        last, packed, prefix = self._last
        if time_ms != last:
            packed = time_ms.to_bytes(6, "big")
            prefix = self._prefix + _encode(time_ms, _TIME_CHARS)
            self._last = (time_ms, packed, prefix)
        random = self._randbytes(8)
        tag = self._keyed.copy()
        tag.update(packed + random)
        return prefix + _encode(int.from_bytes(random + tag.digest(), "big"), _REST_CHARS)

    def issued(self, call_id: str) -> bool:
        """Say whether this deployment made the id: a forged one passes with a probability of 2**-32."""
        parts = _parts(call_id, self._prefix)
        if parts is None:
            return False
        time_ms, rest = parts
        tag = self._keyed.copy()
        tag.update(time_ms.to_bytes(6, "big") + (rest >> 32).to_bytes(8, "big"))
        return compare_digest(tag.digest(), (rest & 0xFFFFFFFF).to_bytes(4, "big"))


def made_us(call_id: str, prefix: str = PREFIX) -> int | None:
    """Give the time in an id, in microseconds (whole milliseconds); None for what is not shaped like one."""
    parts = _parts(call_id, prefix)
    return parts[0] * 1000 if parts else None


def subject_of(secret: str, tenant: str, user: str) -> str:
    """Give the keyed hash by which a person is known where nothing else of them may be."""
    body = f"{len(tenant)}:{tenant}{user}".encode()
    return blake2b(body, key=bytes.fromhex(secret)[:64], digest_size=16).hexdigest()


def _parts(call_id: str, kind: str) -> tuple[int, int] | None:
    if len(call_id) != len(kind) + _TIME_CHARS + _REST_CHARS or not call_id.startswith(kind):
        return None
    split = len(kind) + _TIME_CHARS
    time_ms, rest = _decode(call_id[len(kind) : split]), _decode(call_id[split:])
    if time_ms is None or rest is None or time_ms >> 48 or rest >> 96:
        return None
    return time_ms, rest


def _encode(value: int, chars: int) -> str:
    pairs = _PAIRS
    if chars == _REST_CHARS:
        # Written out: this is made for each call, and a loop costs as much as all the rest of it.
        return (
            f"{pairs[value >> 90]}{pairs[value >> 80 & 1023]}{pairs[value >> 70 & 1023]}{pairs[value >> 60 & 1023]}"
            f"{pairs[value >> 50 & 1023]}{pairs[value >> 40 & 1023]}{pairs[value >> 30 & 1023]}"
            f"{pairs[value >> 20 & 1023]}{pairs[value >> 10 & 1023]}{pairs[value & 1023]}"
        )
    return "".join([pairs[value >> shift & 1023] for shift in range(chars * 5 - 10, -1, -10)])


def _decode(text: str) -> int | None:
    value = 0
    for at in range(0, len(text), 2):
        pair = _VALUES.get(text[at : at + 2])
        if pair is None:
            return None
        value = value << 10 | pair
    return value
