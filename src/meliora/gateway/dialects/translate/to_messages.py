"""A stream of chat chunks as messages events.

Messages stream one block at a time, chat may interleave tool calls: a later call waits until the one before is whole.
"""

from __future__ import annotations

from typing import Any

from meliora.gateway.dialects.toolcalls import Places, arguments_of
from meliora.gateway.dialects.translate.answers import reasoning_of, renamed, stop_reason
from meliora.gateway.dialects.translate.crossing import Options, dicts, mapping, text
from meliora.gateway.dialects.usage import messages_usage, read_usage
from meliora.telemetry.records import Usage


class _Tool:
    """A tool call on its way: what came and was not yet passed on, and how deep its JSON stands open."""

    __slots__ = ("_depth", "_escaped", "_quoted", "_seen", "id", "name", "pending", "whole")

    def __init__(self, identity: str) -> None:
        self.id = identity
        self.name = ""
        self.pending: list[str] = []
        self.whole = False
        self._depth = 0
        self._quoted = self._escaped = self._seen = False

    def add(self, piece: str) -> None:
        """Take a piece of the arguments, and see whether their JSON object has closed."""
        self.pending.append(piece)
        for mark in piece:
            if self._quoted:
                if self._escaped:
                    self._escaped = False
                elif mark == "\\":
                    self._escaped = True
                elif mark == '"':
                    self._quoted = False
            elif mark == '"':
                self._quoted = True
            elif mark in "{[":
                self._depth += 1
                self._seen = True
            elif mark in "}]":
                self._depth -= 1
        self.whole = self._seen and self._depth <= 0

    def take(self) -> str:
        """Give what waits, and forget it."""
        piece = "".join(self.pending)
        self.pending.clear()
        return piece


class ToMessages:
    """One stream. `thinking`: the client asked to see it."""

    def __init__(self, options: Options, *, thinking: bool) -> None:
        self._options = options
        self._thinking = thinking
        self._started = False
        self._open: str | None = None
        """Type of the block that is open; its index is `_index`."""
        self._index = -1
        self._places = Places()
        self._tools: dict[int, _Tool] = {}
        self._waiting: list[int] = []
        self._live: int | None = None
        self._late: list[str] = []
        """Words that came while a call stood open: they follow it."""
        self._usage: Usage | None = None
        self._finish: str | None = None
        self._refused = False
        self.done = False

    @property
    def finished(self) -> bool:
        """The provider has said why the answer ends."""
        return self._finish is not None

    def feed(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """Give the events for one chunk."""
        if self.done:
            return []
        events: list[dict[str, Any]] = []
        self._usage = read_usage("chat", event.get("usage")) or self._usage
        for choice in dicts(event.get("choices")):
            if choice.get("index", 0) != 0:
                continue
            if not self._started:
                events.append(self._start(event))
            self._delta(mapping(choice.get("delta")), events)
            if isinstance(choice.get("finish_reason"), str):
                self._finish = choice["finish_reason"]
        return events

    def end(self) -> list[dict[str, Any]]:
        """Close what is open, and say why it ends and what it used."""
        if self.done:
            return []
        self.done = True
        events: list[dict[str, Any]] = [] if self._started else [self._start({})]
        while self._waiting:
            self._go_live(events)
        if self._late:
            self._into("text", {"type": "text", "text": ""}, events)
            events.append(self._piece({"type": "text_delta", "text": "".join(self._late)}))
        self._close(events)
        reason = "refusal" if self._refused else stop_reason(self._finish, tools=bool(self._tools))
        usage = messages_usage(self._usage or Usage())
        delta = {"stop_reason": reason, "stop_sequence": None}
        events.append({"type": "message_delta", "delta": delta, "usage": usage})
        events.append({"type": "message_stop"})
        return events

    def _start(self, chunk: dict[str, Any]) -> dict[str, Any]:
        self._started = True
        message = {
            "id": renamed(chunk.get("id"), "msg_", self._options),
            "type": "message",
            "role": "assistant",
            "model": text(chunk.get("model")),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        return {"type": "message_start", "message": message}

    def _delta(self, delta: dict[str, Any], events: list[dict[str, Any]]) -> None:
        busy = self._open == "tool_use" and self._live is not None and not self._tools[self._live].whole
        thought = reasoning_of(delta) if self._thinking and not busy else ""
        if thought:
            self._into("thinking", {"type": "thinking", "thinking": "", "signature": ""}, events)
            events.append(self._piece({"type": "thinking_delta", "thinking": thought}))
        refusal = text(delta.get("refusal"))
        self._refused = self._refused or bool(refusal)
        for words in (text(delta.get("content")), refusal):
            if words and busy:
                self._late.append(words)
            elif words:
                self._into("text", {"type": "text", "text": ""}, events)
                events.append(self._piece({"type": "text_delta", "text": words}))
        for call in dicts(delta.get("tool_calls")):
            self._tool(call, events)

    def _tool(self, call: dict[str, Any], events: list[dict[str, Any]]) -> None:
        index = self._places.of(call)
        function = mapping(call.get("function"))
        tool = self._tools.get(index)
        if tool is None:
            tool = self._tools[index] = _Tool(text(call.get("id")) or self._options.new_id("toolu_"))
            self._waiting.append(index)
        tool.name = tool.name or text(function.get("name"))
        tool.add(arguments_of(call))
        live = self._tools.get(self._live) if self._live is not None else None
        if live is tool:
            self._flush(tool, events)
        while self._waiting and (self._live is None or self._tools[self._live].whole):
            self._go_live(events)

    def _go_live(self, events: list[dict[str, Any]]) -> None:
        self._live = self._waiting.pop(0)
        tool = self._tools[self._live]
        self._close(events)
        self._into("tool_use", {"type": "tool_use", "id": tool.id, "name": tool.name, "input": {}}, events)
        self._flush(tool, events)

    def _flush(self, tool: _Tool, events: list[dict[str, Any]]) -> None:
        piece = tool.take()
        if piece and self._open == "tool_use":
            events.append(self._piece({"type": "input_json_delta", "partial_json": piece}))

    def _into(self, kind: str, block: dict[str, Any], events: list[dict[str, Any]]) -> None:
        if self._open == kind:
            return
        self._close(events)
        self._open = kind
        self._index += 1
        events.append({"type": "content_block_start", "index": self._index, "content_block": block})

    def _piece(self, delta: dict[str, Any]) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def _close(self, events: list[dict[str, Any]]) -> None:
        if self._open is not None:
            events.append({"type": "content_block_stop", "index": self._index})
            self._open = None
