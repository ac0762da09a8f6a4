"""Raw bytes to a port, and what comes back, taken apart by a strict parser."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httptools

from meliora.testing.gateway import SECRET


@dataclass
class Heard:
    """One answer."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


class Answers:
    """Take a server's bytes apart. Raises `httptools.HttpParserError` for what is no HTTP."""

    def __init__(self, raw: bytes) -> None:
        self.all: list[Heard] = []
        self.unfinished = False
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(raw)

    def on_message_begin(self) -> None:
        self.unfinished = True
        self._now = Heard()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._now.headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        self._now.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._now.body += body

    def on_message_complete(self) -> None:
        self.unfinished = False
        if self._now.status != 100:
            self.all.append(self._now)


def talk(port: int, *pieces: bytes, seconds: float = 20.0, pause: float = 0.02, until: int = 0) -> tuple[bytes, bool]:
    """Send pieces, read until the server closes, or `until` answers are there; give the bytes, and whether it closed."""
    read = b""
    deadline = time.monotonic() + seconds
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(pause)
            try:
                connection.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                break
            if time.monotonic() > deadline:
                return read, False
        while (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            try:
                data = connection.recv(65536)
            except TimeoutError:
                break
            except ConnectionResetError:
                return read, True
            if not data:
                return read, True
            read += data
            if until and len(Answers(read).all) >= until:
                break
    return read, False


def request(
    target: str = "/v1/chat/completions",
    body: bytes | None = None,
    *,
    method: str = "POST",
    headers: Sequence[bytes] = (),
    secret: str | None = SECRET,
    framed: bool = True,
    close: bool = True,
    version: str = "HTTP/1.1",
) -> bytes:
    """Write a request; `framed` with a content-length, `headers` as whole lines without their ends."""
    body = chat("hello") if body is None else body
    lines = [f"{method} {target} {version}".encode("latin-1"), b"host: meliora", b"content-type: application/json"]
    if secret is not None:
        lines.append(f"authorization: Bearer {secret}".encode())
    if close:
        lines.append(b"connection: close")
    if framed:
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join([*lines, *headers, b"", body])


def chat(text: str, **more: Any) -> bytes:
    """Write a chat body."""
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **more}).encode()


def chunked(body: bytes, trailers: bytes = b"") -> bytes:
    """Frame a body in chunks."""
    return b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailers)
