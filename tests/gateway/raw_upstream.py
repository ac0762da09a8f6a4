"""An upstream that writes whatever bytes it is given, right or wrong, as no decent server would."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any

Step = bytes | float | Callable[[], object] | None
"""Bytes to write, seconds to be silent, something to do or to wait for, or None: close."""
Answer = Iterable[Step] | Callable[[bytes, bytes], Iterable[Step]]
"""What is done for each request; a function is given the request's head and body."""

GOOD: dict[str, Any] = {
    "id": "c1",
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}


class RawUpstream:
    """Serve OpenAI's paths at `base_url_openai`."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.requests: list[tuple[bytes, bytes]] = []

    def __enter__(self) -> RawUpstream:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url_openai = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            file = connection.makefile("rb")
            while head := _head(file):
                size = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
                )
                body = file.read(size)
                self.requests.append((head, body))
                for step in self._answer(head, body) if callable(self._answer) else self._answer:
                    if step is None:
                        connection.shutdown(socket.SHUT_RDWR)
                        return
                    if isinstance(step, bytes):
                        connection.sendall(step)
                    elif callable(step):
                        step()
                    else:
                        time.sleep(step)


def _head(file: Any) -> bytes:
    lines: list[bytes] = []
    while (line := file.readline()) not in (b"\r\n", b""):
        lines.append(line)
    return b"".join(lines)


def whole(body: Any, status: str = "200 OK", kind: str = "application/json", more: str = "") -> list[Step]:
    """Give an answer with its length."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{more}content-length: {len(raw)}\r\n\r\n"
    return [head.encode() + raw]


def stream(*pieces: Step, ended: bool = True) -> list[Step]:
    """Give a stream whose end is the connection's."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    return [head, *pieces, *([None] if ended else [])]


def said(text: str, finish: str | None = None) -> bytes:
    """Write one chat event."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c1", "choices": [choice]}).encode() + b"\n\n"
