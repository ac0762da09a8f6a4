"""A stream of messages events as chat chunks. Unknown events are passed over."""

from __future__ import annotations

from typing import Any

from meliora.gateway.dialects.translate.answers import CHAT_FINISH, refusal_of, renamed
from meliora.gateway.dialects.translate.crossing import Options, mapping, text, write_json
from meliora.gateway.dialects.usage import chat_usage, read_usage
from meliora.telemetry.records import Usage


class _Block:
    """A content block that is open."""

    __slots__ = ("body", "pieces", "tool")

    def __init__(self, body: dict[str, Any], tool: int | None) -> None:
        self.body = body
        self.tool = tool
        self.pieces = False


class FromMessages:
    """One stream. With `inner` it hands on signed thinking, whole, for the responses dialect."""

    def __init__(self, options: Options, *, include_usage: bool, inner: bool = False) -> None:
        self._options = options
        self._include_usage = include_usage
        self._inner = inner
        self._head: dict[str, Any] = {}
        self._blocks: dict[int, _Block] = {}
        self._tools = 0
        self._usage: dict[str, Any] = {}
        self._finish: str | None = None
        self.done = False

    @property
    def finished(self) -> bool:
        """The provider has said why the answer ends."""
        return self._finish is not None

    def feed(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """Give the chunks for one event."""
        kind = event.get("type")
        if kind == "message_start":
            return self._start(mapping(event.get("message")))
        if not self._head or self.done:
            return []
        if kind == "content_block_delta":
            return self._delta(_index(event), mapping(event.get("delta")))
        if kind == "content_block_start":
            return self._open(_index(event), mapping(event.get("content_block")))
        if kind == "content_block_stop":
            return self._close(_index(event))
        if kind == "message_delta":
            return self._end_of_turn(event)
        if kind == "message_stop":
            return self.end()
        return []

    def end(self) -> list[dict[str, Any]]:
        """Give the last chunks."""
        if self.done:
            return []
        self.done = True
        if not self._head:
            return []
        chunks = [] if self._finish is not None else [self._chunk({}, "stop")]
        if self._include_usage:
            usage = chat_usage(read_usage("messages", self._usage) or Usage())
            chunks.append({**self._head, "choices": [], "usage": usage})
        return chunks

    def _start(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        if self._head:
            return []
        self._head = {
            "id": renamed(message.get("id"), "chatcmpl-", self._options),
            "object": "chat.completion.chunk",
            "created": self._options.created,
            "model": text(message.get("model")),
        }
        self._merge(message.get("usage"))
        return [self._chunk({"role": "assistant", "content": ""})]

    def _open(self, index: int, block: dict[str, Any]) -> list[dict[str, Any]]:
        kind = block.get("type")
        tool = None
        if kind == "tool_use":
            tool, self._tools = self._tools, self._tools + 1
        self._blocks[index] = _Block(dict(block), tool)
        if tool is not None:
            function = {"name": text(block.get("name")), "arguments": ""}
            call = {"index": tool, "id": text(block.get("id")), "type": "function", "function": function}
            return [self._chunk({"tool_calls": [call]})]
        if kind == "text" and text(block.get("text")):
            return [self._chunk({"content": block["text"]})]
        if kind == "thinking" and text(block.get("thinking")):
            return [self._chunk({"reasoning_content": block["thinking"]})]
        return []

    def _delta(self, index: int, delta: dict[str, Any]) -> list[dict[str, Any]]:
        kind = delta.get("type")
        block = self._blocks.get(index)
        if kind == "text_delta":
            return [self._chunk({"content": text(delta.get("text"))})]
        if kind == "thinking_delta":
            thought = text(delta.get("thinking"))
            if block is not None and self._inner:
                block.body.setdefault("_pieces", []).append(thought)
            return [self._chunk({"reasoning_content": thought})]
        if kind == "signature_delta" and block is not None:
            block.body["signature"] = text(delta.get("signature"))
        elif kind == "input_json_delta" and block is not None and block.tool is not None:
            piece = text(delta.get("partial_json"))
            if piece:
                block.pieces = True
                return [self._chunk({"tool_calls": [{"index": block.tool, "function": {"arguments": piece}}]})]
        return []

    def _close(self, index: int) -> list[dict[str, Any]]:
        block = self._blocks.pop(index, None)
        if block is None:
            return []
        if block.tool is not None and not block.pieces:
            arguments = write_json(mapping(block.body.get("input"))) or "{}"
            return [self._chunk({"tool_calls": [{"index": block.tool, "function": {"arguments": arguments}}]})]
        if self._inner and block.body.get("type") in ("thinking", "redacted_thinking"):
            pieces = block.body.pop("_pieces", [])
            whole = {**block.body}
            if whole.get("type") == "thinking":
                whole["thinking"] = text(whole.get("thinking")) + "".join(pieces)
            return [self._chunk({"_thinking": whole})]
        return []

    def _end_of_turn(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        self._merge(event.get("usage"))
        delta = mapping(event.get("delta"))
        reason = text(delta.get("stop_reason"))
        if not reason or self._finish is not None:
            return []
        self._finish = CHAT_FINISH.get(reason, "stop")
        refusal = refusal_of(delta) if reason == "refusal" else None
        return [self._chunk({"refusal": refusal} if refusal else {}, self._finish)]

    def _merge(self, usage: Any) -> None:
        """Later counts are totals and stand in for earlier ones; what is left out stays as it was."""
        self._usage.update((name, value) for name, value in mapping(usage).items() if value is not None)

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._head, "choices": [choice]}


def _index(event: dict[str, Any]) -> int:
    index = event.get("index")
    return index if isinstance(index, int) else 0
