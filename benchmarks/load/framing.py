"""Where an HTTP/1.1 answer ends, and how many stream events it held: the least a load client must know.

Refuses to decode: content-length, chunked (by its terminator) and end of connection are told apart, no more.
"""

from __future__ import annotations

_LAST_CHUNK = b"0\r\n\r\n"
_EVENT = b"data: {"


class Framing:
    """Follows one answer after another on a connection; `begin` before each."""

    __slots__ = ("_chunked", "_head", "_left", "_tail", "done", "events", "pieces", "status")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Expect a new answer."""
        self.status = 0
        self.done = False
        self.events = 0
        """Events of a stream: `data:` lines that hold an object."""
        self.pieces = 0
        """Reads that brought bytes."""
        self._head = b""
        self._left = -1
        self._chunked = False
        self._tail = b""

    def feed(self, data: bytes) -> bool:
        """Take bytes; true when the answer is whole."""
        self.pieces += 1
        if self.status == 0:
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._head = data
                return False
            self._read_head(data[:end].lower())
            data = data[end + 4 :]
        if self._left >= 0:
            self._left -= len(data)
            self.done = self._left <= 0
        elif self._chunked:
            # The event mark and the terminator may be cut by a read: six bytes of the one before tell.
            joined = self._tail + data
            self.events += joined.count(_EVENT)
            self.done = joined.endswith(_LAST_CHUNK)
            self._tail = joined[-6:]
        return self.done

    def closed(self) -> bool:
        """The connection ended; true when that was the answer's proper end."""
        self.done = self.status != 0 and self._left < 0 and not self._chunked
        return self.done

    def _read_head(self, head: bytes) -> None:
        self.status = int(head[9:12])
        at = head.find(b"content-length:")
        if at >= 0:
            stop = head.find(b"\r", at)
            self._left = int(head[at + 15 : stop if stop > 0 else None])
        else:
            self._chunked = b"chunked" in head
