"""The bytes of a translated stream: whole upstream events in, whole client events out."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from meliora.gateway.dialects.errors import Fault, fault_as, fault_of, stream_error_event
from meliora.gateway.dialects.events import decode, error_in
from meliora.gateway.dialects.sse import encode_event, iter_events
from meliora.telemetry.records import Dialect


class Stage(Protocol):
    """Turns events of one dialect into events of another, as decoded objects."""

    done: bool

    @property
    def finished(self) -> bool:
        """The provider has said why the answer ends."""
        ...

    def feed(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """Give the events for one event."""
        ...

    def end(self) -> list[dict[str, Any]]:
        """Give the last events; nothing the second time."""
        ...


class StreamTranslation:
    """One stream on its way. After its end or an error, `feed` and `finish` give nothing more."""

    def __init__(self, client: Dialect, upstream: Dialect, stages: list[Stage]) -> None:
        self._client: Dialect = client
        self._upstream: Dialect = upstream
        self._stages = stages
        self.fault: Fault | None = None
        """What went wrong in the stream, where something did: the client was told."""
        self.complete = False
        """The answer came to its end."""

    def feed(self, events: bytes) -> bytes:
        """Translate complete events. An error in the stream, or an event that is no JSON, ends it with an error."""
        out: list[bytes] = []
        for event in iter_events(events):
            if self.complete or self.fault is not None:
                break
            if event.data == b"[DONE]":
                out.append(self._end())
                continue
            body = decode(event.data)
            if body is None:
                if event.data.strip() and event.event != "ping":
                    out.append(self._fail(_broken("The provider sent an event that is no JSON object.")))
                continue
            error = error_in(self._upstream, body)
            if error is not None:
                out.append(self._fail(fault_of(error)))
                continue
            out.append(self._pass(body))
        return b"".join(out)

    def finish(self) -> bytes:
        """Close the stream when the upstream has ended it: properly where the provider had come to an end, with an
        error where it was cut."""
        if self.complete or self.fault is not None:
            return b""
        if self._stages[0].finished:
            return self._end()
        return self._fail(_broken("The provider's answer was cut before its end."))

    def _pass(self, body: dict[str, Any]) -> bytes:
        first = self._stages[0]
        made = first.feed(body)
        for stage in self._stages[1:]:
            made = [event for one in made for event in stage.feed(one)]
        if not first.done:
            return self._encode(made)
        for stage in self._stages[1:]:
            made += stage.end()
        return self._encode(made) + self._close()

    def _end(self) -> bytes:
        made = self._stages[0].end()
        for stage in self._stages[1:]:
            made = [event for one in made for event in stage.feed(one)] + stage.end()
        return self._encode(made) + self._close()

    def _close(self) -> bytes:
        self.complete = True
        return b"data: [DONE]\n\n" if self._client == "chat" else b""

    def _encode(self, made: list[dict[str, Any]]) -> bytes:
        if self._client == "chat":
            return b"".join([encode_event(msgspec.json.encode(event)) for event in made])
        return b"".join([encode_event(msgspec.json.encode(event), event["type"]) for event in made])

    def _fail(self, fault: Fault) -> bytes:
        self.fault = fault
        _, error = fault_as(self._client, fault)
        return stream_error_event(self._client, error, getattr(self._stages[-1], "sequence", 0))


def _broken(message: str) -> Fault:
    return Fault(502, "server_error", "upstream_broken", message, retryable=True)
