"""Eyes on the calls in flight: who has left, who has stopped reading, who needs a sign of life.

A short call never pays for this: its client is only watched from the first tick after `PATIENCE`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from meliora.gateway.call import Call
from meliora.gateway.inbound import Receive
from meliora.gateway.relay import Stream
from meliora.gateway.upstream import Headers

PATIENCE = 0.2
"""Seconds after which a call's client is watched."""


@dataclass(slots=True)
class _Watched:
    call: Call
    receive: Receive
    task: asyncio.Task[object]
    since: float
    stream: Stream | None = None
    headers: Headers | None = None
    listener: asyncio.Task[None] | None = None
    pulse: asyncio.Task[None] | None = None
    stuck_since: float = 0.0


class Watch:
    """Cancel the calls whose client is gone; keep the others' streams alive."""

    def __init__(self, keepalive: float, client_stall: float) -> None:
        self.keepalive = keepalive
        self.client_stall = client_stall
        self._calls: dict[Call, _Watched] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def enter(self, call: Call, receive: Receive) -> None:
        """Watch a call of the current task."""
        task = asyncio.current_task()
        assert task is not None
        self._calls[call] = _Watched(call, receive, task, asyncio.get_running_loop().time())

    def stream(self, call: Call, stream: Stream, headers: Headers) -> None:
        """Keep this call's stream alive; `headers` go out if a keep-alive has to commit the head."""
        watched = self._calls.get(call)
        if watched is not None:
            watched.stream = stream
            watched.headers = headers

    def leave(self, call: Call) -> None:
        """Watch it no longer."""
        watched = self._calls.pop(call, None)
        if watched is not None:
            for task in (watched.listener, watched.pulse):
                if task is not None:
                    task.cancel()

    def tick(self, now: float) -> None:
        """Look at every call; called by the gateway's ticker."""
        for watched in tuple(self._calls.values()):
            if watched.listener is None:
                if now - watched.since >= PATIENCE:
                    watched.listener = asyncio.get_running_loop().create_task(self._listen(watched))
                else:
                    continue
            stream = watched.stream
            if stream is not None:
                self._look(watched, stream, now)

    def _look(self, watched: _Watched, stream: Stream, now: float) -> None:
        if stream.sending:
            watched.stuck_since = watched.stuck_since or now
            if self.client_stall and now - watched.stuck_since > self.client_stall:
                self._cancel(watched, "stalled")
            return
        watched.stuck_since = 0.0
        if self.keepalive and now - stream.last >= self.keepalive:
            stream.last = now
            watched.pulse = asyncio.get_running_loop().create_task(stream.keep_alive(watched.headers or []))

    async def _listen(self, watched: _Watched) -> None:
        while (await watched.receive())["type"] != "http.disconnect":
            pass
        self._cancel(watched, "left")

    def _cancel(self, watched: _Watched, why: str) -> None:
        if watched.call in self._calls and not watched.call.gone:
            watched.call.gone = why
            watched.task.cancel()
