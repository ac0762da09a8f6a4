"""Eyes on the calls in flight: who has left, who has stopped reading, who needs a sign of life."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Literal

from meliora.gateway.call import Call
from meliora.gateway.relay import Stream
from meliora.gateway.upstream import Headers


@dataclass(slots=True)
class _Watched:
    stream: Stream
    headers: Headers
    """Go out if a keep-alive has to commit the head."""
    task: asyncio.Task[object]
    pulse: asyncio.Task[None] | None = None
    stuck_since: float = 0.0


class Watch:
    """Cancel the calls whose client is gone; keep the others' streams alive."""

    def __init__(self, keepalive: float, client_stall: float) -> None:
        self.keepalive = keepalive
        self.client_stall = client_stall
        self._streams: dict[Call, _Watched] = {}

    def enter(self, call: Call) -> None:
        """Cancel the current task when the call's client leaves."""
        line = call.inbound.line
        task = line.task if line is not None else asyncio.current_task()
        assert task is not None
        call.inbound.on_gone(partial(_cancel, call, task, "left"))

    def stream(self, call: Call, stream: Stream, headers: Headers) -> None:
        """Keep this call's stream alive, and cancel it when its client stops reading."""
        task = asyncio.current_task()
        assert task is not None
        self._streams[call] = _Watched(stream, headers, task)

    def leave(self, call: Call) -> None:
        """Watch it no longer."""
        call.inbound.on_gone(None)
        watched = self._streams.pop(call, None)
        if watched is not None and watched.pulse is not None:
            watched.pulse.cancel()

    def tick(self, now: float) -> None:
        """Look at every stream; called by the gateway's ticker."""
        for call, watched in tuple(self._streams.items()):
            stream, pulse = watched.stream, watched.pulse
            if stream.sending or (pulse is not None and not pulse.done()):
                watched.stuck_since = watched.stuck_since or now
                if self.client_stall and now - watched.stuck_since > self.client_stall:
                    _cancel(call, watched.task, "stalled")
                continue
            watched.stuck_since = 0.0
            if stream.active:
                stream.active = False
                stream.last = now
            if self.keepalive and now - stream.last >= self.keepalive:
                stream.last = now
                watched.pulse = asyncio.get_running_loop().create_task(stream.keep_alive(watched.headers))


def _cancel(call: Call, task: asyncio.Task[object], why: Literal["left", "stalled"]) -> None:
    if not call.gone and not call.finished:
        call.gone = why
        task.cancel()
