"""A request's head recognised by its bytes: a client that keeps its connection sends the same one again, but for the body's length.

What is recognised was read by the parser once, and all checks hold for it; nothing but the digits of one `content-length` may
differ. Refuses everything else, which is then read by the parser.
"""

from __future__ import annotations

import re
from typing import Any
from weakref import WeakValueDictionary

HEAD_END = b"\r\n\r\n"
LONGEST_BODY = 64 * 1024
"""Longest body that is taken past the parser, which would have told to wait within a longer one."""
_DIGITS = 6
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,6})\r\n", re.IGNORECASE)
_NEVER = frozenset((b"transfer-encoding", b"expect", b"upgrade", b"trailer"))


class KnownHead:
    """A head that was read, cut where the length of its body stands."""

    __slots__ = ("__weakref__", "_after", "_at", "_before", "_length_at", "_scope", "size")

    def __init__(self, before: bytes, after: bytes, scope: dict[str, Any], length_at: int) -> None:
        self._before = before
        self._after = after
        self._at = len(before)
        self._scope = scope
        self._length_at = length_at
        """Place of `content-length` among the headers."""
        self.size = len(before) + _DIGITS + len(after)
        """Most bytes of such a head."""

    def body_in(self, data: bytes) -> bytes | None:
        """Give the body where `data` is this head and a whole body behind it, nothing less and nothing more; else None."""
        if not data.startswith(self._before):
            return None
        at = self._at
        end = data.find(b"\r", at, at + _DIGITS + 1)
        digits = data[at:end]
        if end < 0 or not digits.isdigit() or not data.startswith(self._after, end):
            return None
        start = end + len(self._after)
        if len(data) - start != int(digits) or len(data) - start > LONGEST_BODY:
            return None
        return data[start:]

    def scope(self, length: int, client: tuple[str, int] | None) -> dict[str, Any]:
        """Give a scope of its own to a request of this client with a body of this length."""
        scope = self._scope.copy()
        scope["client"] = client
        headers = scope["headers"] = self._scope["headers"].copy()
        headers[self._length_at] = (b"content-length", b"%d" % length)
        return scope


def known_head(data: bytes, scope: dict[str, Any]) -> KnownHead | None:
    """Remember the head of a whole request that came by itself as `data`; None for one that cannot be recognised by its bytes.

    `scope` is what the parser made of it, its headers in their order.
    """
    headers = scope["headers"]
    names = [name for name, _ in headers]
    if names.count(b"content-length") != 1 or not _NEVER.isdisjoint(names) or scope["http_version"] != "1.1":
        return None
    place = names.index(b"content-length")
    end = data.find(HEAD_END) + len(HEAD_END)
    lines = list(_LENGTH.finditer(data, 0, end))
    # What the parser read must be what stands there, and nothing else behind the head: else its end lies elsewhere.
    if len(lines) != 1 or lines[0][1] != headers[place][1] or int(lines[0][1]) != len(data) - end:
        return None
    before, after = data[: lines[0].start(1)], data[lines[0].end(1) : end]
    found = _shared.get((before, after))
    if found is None:
        kept = {name: value for name, value in scope.items() if not name.startswith("meliora.")}
        found = _shared[before, after] = KnownHead(before, after, kept, place)
    return found


_shared: WeakValueDictionary[tuple[bytes, bytes], KnownHead] = WeakValueDictionary()
"""Heads that some connection knows: the connections of one client share theirs."""
