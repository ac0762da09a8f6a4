"""Random bytes of the system, taken in blocks: a call needs a few, and a system call for each costs more than they are worth."""

from __future__ import annotations

import os

_BLOCK = 4096


class Entropy:
    """Give random bytes, none of them twice. For one process that does not fork."""

    __slots__ = ("_at", "_block")

    def __init__(self) -> None:
        self._block = b""
        self._at = 0

    def __call__(self, size: int) -> bytes:
        """Give `size` bytes, at most a block."""
        end = self._at + size
        if end > len(self._block):
            self._block, self._at, end = os.urandom(_BLOCK), 0, size
        given = self._block[self._at : end]
        self._at = end
        return given
