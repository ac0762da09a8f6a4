"""An OpenAI-compatible upstream that answers from memory: `python -m benchmarks.load.upstream --core 1`.

Prints its port and serves until it is killed. The model's name says what is answered (see `canned`). Refuses to be
more: no validation, no pipelining, no TLS.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import resource
import sys
from collections.abc import Sequence
from functools import partial
from typing import cast

import uvloop

from benchmarks.load import canned

_HEAD_END = b"\r\n\r\n"
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_MODELS = (
    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 70\r\n\r\n{"object":"list","data":[{"id":"bench",'
    b'"object":"model","created":0}]} '
)


class Canned:
    """The prepared answers and the pace of the streams, shared by all connections. `delay`, intervals: seconds."""

    def __init__(self, delay: float, interval: float, hold_interval: float) -> None:
        self.delay = delay
        self.interval = interval
        self.hold_interval = hold_interval
        self.before, self.after = canned.answer_parts()
        self._streams = {
            (count, usage): canned.stream_parts(count, usage=usage)
            for count in (canned.STREAM_CHUNKS, canned.LONG_CHUNKS)
            for usage in (False, True)
        }
        self._served = 0
        self._rng = random.Random(0)

    def answer(self) -> bytes:
        """Give the next whole answer; ids never repeat."""
        self._served += 1
        return b"%s%012x%s" % (self.before, self._served, self.after)

    def stream(self, body: bytes) -> tuple[list[bytes], bytes, float]:
        """Give the events, the end and the seconds between events of the stream that `body` asks for."""
        usage = b'"include_usage":true' in body or b'"include_usage": true' in body
        if b"bench-long" in body:
            return (*self._streams[canned.LONG_CHUNKS, usage], 0.0)
        interval = self.hold_interval if b"bench-hold" in body else self.interval
        # No two streams at one pace, or those that begin together would send in step for ever.
        interval *= 0.75 + self._rng.random() / 2
        return (*self._streams[canned.STREAM_CHUNKS, usage], interval)


class Connection(asyncio.Protocol):
    """One keep-alive connection: a request at a time."""

    transport: asyncio.Transport

    def __init__(self, answers: Canned, loop: asyncio.AbstractEventLoop) -> None:
        self._answers = answers
        self._loop = loop
        self._held = b""
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        if self._held:
            data = self._held + data
        end = data.find(_HEAD_END)
        if end < 0 or not _whole(data, end):
            self._held = data
            return
        self._held = b""
        if data.startswith(b"GET"):
            self.transport.write(_MODELS)
            return
        body = data[end + 4 :]
        if b'"stream":true' in body or b'"stream": true' in body:
            self._task = self._loop.create_task(self._stream(*self._answers.stream(body)))
        elif self._answers.delay:
            self._loop.call_later(self._answers.delay, self._write)
        else:
            self.transport.write(self._answers.answer())

    def _write(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self._answers.answer())

    async def _stream(self, events: Sequence[bytes], end: bytes, interval: float) -> None:
        write = self.transport.write
        start = self._loop.time()
        if self._answers.delay:
            await asyncio.sleep(self._answers.delay)
        write(_STREAM_HEAD)
        for sent, event in enumerate(events):
            if interval:
                # Paced from the start, so that lateness does not add up; role and first content come at once.
                await asyncio.sleep(max(0.0, start + (sent - 1) * interval - self._loop.time()))
            elif not self._writable.is_set():
                await self._writable.wait()
            write(event)
        write(end)


def _whole(data: bytes, head_end: int) -> bool:
    head = data[:head_end].lower()
    at = head.find(b"content-length:")
    if at >= 0:
        stop = head.find(b"\r", at)
        length = head[at + 15 : stop if stop > 0 else None]
        return len(data) - head_end - 4 >= int(length)
    return b"chunked" not in head or data.endswith(b"0\r\n\r\n")


async def serve(answers: Canned, port: int) -> None:
    """Serve on 127.0.0.1 until cancelled; prints the port on its first line."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(Connection, answers, loop), "127.0.0.1", port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main(argv: Sequence[str]) -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--core", type=int, default=None, help="CPU core to stay on")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="wait before an answer begins")
    parser.add_argument("--interval-ms", type=float, default=20.0, help="between two chunks of a stream")
    parser.add_argument("--hold-interval-ms", type=float, default=150.0, help="the same, for bench-hold")
    asked = parser.parse_args(argv)
    if asked.core is not None:
        os.sched_setaffinity(0, {asked.core})
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    answers = Canned(asked.delay_ms / 1e3, asked.interval_ms / 1e3, asked.hold_interval_ms / 1e3)
    uvloop.run(serve(answers, asked.port))


if __name__ == "__main__":
    main(sys.argv[1:])
