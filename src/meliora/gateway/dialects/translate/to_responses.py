"""A stream of chat chunks as responses events, with the whole response at the end."""

from __future__ import annotations

from typing import Any

from meliora.gateway.dialects.toolcalls import Places, arguments_of
from meliora.gateway.dialects.translate.answers import reasoning_of, renamed
from meliora.gateway.dialects.translate.crossing import Options, dicts, mapping, text
from meliora.gateway.dialects.translate.response_object import (
    Shell,
    final_status,
    message_item,
    read_logprobs,
    reasoning_item,
    text_part,
)
from meliora.gateway.dialects.usage import read_usage
from meliora.telemetry.records import Usage

Events = list[dict[str, Any]]


class _Item:
    """An output item that is open: its head, and the pieces of what it says."""

    __slots__ = ("head", "index", "kind", "logprobs", "pieces")

    def __init__(self, index: int, kind: str, head: dict[str, Any]) -> None:
        self.index = index
        self.kind = kind
        """`text`, `refusal`, `reasoning`, `call` or `custom`."""
        self.head = head
        self.pieces: list[str] = []
        self.logprobs: list[dict[str, Any]] = []

    @property
    def place(self) -> dict[str, Any]:
        place: dict[str, Any] = {"item_id": self.head["id"], "output_index": self.index}
        if self.kind in ("text", "refusal"):
            place["content_index"] = 0
        elif self.kind == "reasoning":
            place["summary_index"] = 0
        return place


class ToResponses:
    """One stream. Tool calls may stand open side by side; words and reasoning are one item at a time."""

    def __init__(self, request: dict[str, Any], options: Options) -> None:
        self._options = options
        self._shell = Shell(request, options)
        self._head: dict[str, Any] = {}
        self._output: dict[int, dict[str, Any]] = {}
        self._count = 0
        self._speaking: _Item | None = None
        self._places = Places()
        self._calls: dict[int, _Item] = {}
        self._usage: Usage | None = None
        self._finish: str | None = None
        self.sequence = 0
        self.done = False

    @property
    def finished(self) -> bool:
        """The provider has said why the answer ends."""
        return self._finish is not None

    def feed(self, event: dict[str, Any]) -> Events:
        """Give the events for one chunk."""
        if self.done:
            return []
        events: Events = []
        self._usage = read_usage("chat", event.get("usage")) or self._usage
        for choice in dicts(event.get("choices")):
            if choice.get("index", 0) != 0:
                continue
            if not self._head:
                self._start(event, events)
            self._delta(mapping(choice.get("delta")), choice.get("logprobs"), events)
            if isinstance(choice.get("finish_reason"), str):
                self._finish = choice["finish_reason"]
        return self._numbered(events)

    def end(self) -> Events:
        """Close what is open, and give the whole response."""
        if self.done:
            return []
        self.done = True
        events: Events = []
        if not self._head:
            self._start({}, events)
        self._hush(events)
        for item in self._calls.values():
            self._close(item, events)
        status = final_status(self._finish)
        head = {**self._head, "usage": self._usage or Usage(), "finish": self._finish}
        output = [self._output[index] for index in sorted(self._output)]
        events.append({"type": f"response.{status}", "response": self._shell.response(head, output, status)})
        return self._numbered(events)

    def _numbered(self, events: Events) -> Events:
        for event in events:
            event["sequence_number"] = self.sequence
            self.sequence += 1
        return events

    def _start(self, chunk: dict[str, Any], events: Events) -> None:
        self._head = {"id": renamed(chunk.get("id"), "resp_", self._options), "model": text(chunk.get("model"))}
        response = self._shell.response(self._head, [], "in_progress")
        events.append({"type": "response.created", "response": response})
        events.append({"type": "response.in_progress", "response": response})

    def _delta(self, delta: dict[str, Any], logprobs: Any, events: Events) -> None:
        thought = reasoning_of(delta)
        if thought:
            self._say("reasoning", thought, events)
        if isinstance(delta.get("_thinking"), dict):
            self._seal(delta["_thinking"], events)
        words = text(delta.get("content"))
        if words:
            self._say("text", words, events, read_logprobs(mapping(logprobs).get("content")))
        refusal = text(delta.get("refusal"))
        if refusal:
            self._say("refusal", refusal, events)
        for call in dicts(delta.get("tool_calls")):
            self._call(call, events)

    def _say(self, kind: str, piece: str, events: Events, logprobs: Events | None = None) -> None:
        item = self._speaking
        if item is None or item.kind != kind:
            self._hush(events)
            item = self._speaking = self._open(kind, events)
        item.pieces.append(piece)
        if kind == "text":
            item.logprobs.extend(logprobs or [])
            more = {"logprobs": logprobs or []}
            events.append({"type": "response.output_text.delta", **item.place, "delta": piece, **more})
        else:
            name = "refusal" if kind == "refusal" else "reasoning_summary_text"
            events.append({"type": f"response.{name}.delta", **item.place, "delta": piece})

    def _seal(self, signed: dict[str, Any], events: Events) -> None:
        """A thinking block came to its end: its item is closed, and carries the proof where the client asked for it."""
        item = self._speaking
        if item is None or item.kind != "reasoning":
            if not self._shell.sealed:
                return
            self._hush(events)
            item = self._speaking = self._open("reasoning", events)
        self._close(item, events, signed if self._shell.sealed else None)
        self._speaking = None

    def _call(self, call: dict[str, Any], events: Events) -> None:
        index = self._places.of(call)
        custom = isinstance(call.get("custom"), dict)
        item = self._calls.get(index)
        if item is None:
            self._hush(events)
            item = self._calls[index] = self._open("custom" if custom else "call", events, call)
        self._tell(item, arguments_of(call), events)

    def _tell(self, item: _Item, piece: str, events: Events) -> None:
        if piece:
            item.pieces.append(piece)
            name = "custom_tool_call_input" if item.kind == "custom" else "function_call_arguments"
            events.append({"type": f"response.{name}.delta", **item.place, "delta": piece})

    def _open(self, kind: str, events: Events, call: dict[str, Any] | None = None) -> _Item:
        index, self._count = self._count, self._count + 1
        new_id = self._options.new_id
        if kind in ("text", "refusal"):
            head = message_item(new_id("msg_"), [], "in_progress")
        elif kind == "reasoning":
            head = reasoning_item(new_id("rs_"), "", None)
        else:
            head = self._call_head(kind, call or {})
        item = _Item(index, kind, head)
        events.append({"type": "response.output_item.added", "output_index": index, "item": head})
        if kind in ("text", "refusal"):
            part = text_part("") if kind == "text" else {"type": "refusal", "refusal": ""}
            events.append({"type": "response.content_part.added", **item.place, "part": part})
        elif kind == "reasoning":
            part = {"type": "summary_text", "text": ""}
            events.append({"type": "response.reasoning_summary_part.added", **item.place, "part": part})
        return item

    def _call_head(self, kind: str, call: dict[str, Any]) -> dict[str, Any]:
        identity = text(call.get("id")) or self._options.new_id("call_")
        name = text(mapping(call.get("custom" if kind == "custom" else "function")).get("name"))
        if kind == "custom":
            head = {"id": self._options.new_id("ctc_"), "type": "custom_tool_call", "call_id": identity}
            return {**head, "name": name, "input": ""}
        head = {"id": self._options.new_id("fc_"), "type": "function_call", "status": "in_progress"}
        return {**head, "call_id": identity, "name": name, "arguments": ""}

    def _hush(self, events: Events) -> None:
        if self._speaking is not None:
            self._close(self._speaking, events)
            self._speaking = None

    def _close(self, item: _Item, events: Events, signed: dict[str, Any] | None = None) -> None:
        if item.kind == "call" and not item.pieces:
            self._tell(item, "{}", events)  # no arguments are an object too, and clients parse what is said
        said = "".join(item.pieces)
        if item.kind in ("text", "refusal"):
            done = self._close_message(item, said, events)
        elif item.kind == "reasoning":
            part = {"type": "summary_text", "text": said}
            events.append({"type": "response.reasoning_summary_text.done", **item.place, "text": said})
            events.append({"type": "response.reasoning_summary_part.done", **item.place, "part": part})
            done = reasoning_item(item.head["id"], said, signed)
        elif item.kind == "custom":
            events.append({"type": "response.custom_tool_call_input.done", **item.place, "input": said})
            done = {**item.head, "input": said}
        else:
            name = item.head["name"]
            events.append(
                {"type": "response.function_call_arguments.done", **item.place, "name": name, "arguments": said}
            )
            done = {**item.head, "status": "completed", "arguments": said}
        self._output[item.index] = done
        events.append({"type": "response.output_item.done", "output_index": item.index, "item": done})

    def _close_message(self, item: _Item, said: str, events: Events) -> dict[str, Any]:
        if item.kind == "text":
            part = text_part(said)
            part["logprobs"] = item.logprobs
            more = {"text": said, "logprobs": item.logprobs}
            events.append({"type": "response.output_text.done", **item.place, **more})
        else:
            part = {"type": "refusal", "refusal": said}
            events.append({"type": "response.refusal.done", **item.place, "refusal": said})
        events.append({"type": "response.content_part.done", **item.place, "part": part})
        return message_item(item.head["id"], [part], "completed" if self._finish != "length" else "incomplete")
