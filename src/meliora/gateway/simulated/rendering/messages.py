"""A reply as Anthropic message: one `message`, or the events from `message_start` to `message_stop`."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from meliora.gateway.simulated.reading import Ask
from meliora.gateway.simulated.rendering.chat import halves
from meliora.gateway.simulated.rendering.wire import Event, Marks, event
from meliora.gateway.simulated.reply import Finish, Reply

_STOP: dict[Finish, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tools": "tool_use",
}


def messages_body(ask: Ask, reply: Reply, marks: Marks) -> dict[str, Any]:
    """Give the whole answer. There is one choice in this dialect."""
    choice = reply.choices[0]
    stop = {"stop_reason": _STOP[choice.finish], "stop_sequence": choice.stopped_by}
    return {**_head(ask, marks), "content": _blocks(reply, marks), **stop, "usage": _usage(reply)}


def messages_events(ask: Ask, reply: Reply, marks: Marks) -> Iterator[Event]:
    """Give the stream, one token an event, with the `ping` that the provider sends too."""
    choice = reply.choices[0]
    begun = {**_usage(reply), "output_tokens": 1}
    begun.pop("output_tokens_details", None)
    message = {**_head(ask, marks), "content": [], "stop_reason": None, "stop_sequence": None, "usage": begun}
    yield event({"type": "message_start", "message": message}, "message_start")
    yield event({"type": "ping"}, "ping")
    for index, block in enumerate(_blocks(reply, marks)):
        yield from _block_events(index, block, reply)
    stop = {"stop_reason": _STOP[choice.finish], "stop_sequence": choice.stopped_by}
    yield event({"type": "message_delta", "delta": stop, "usage": _usage(reply)}, "message_delta", content=True)
    yield event({"type": "message_stop"}, "message_stop", content=True)


def _block_events(index: int, block: dict[str, Any], reply: Reply) -> Iterator[Event]:
    kind = block["type"]
    opened = {
        **block,
        **{"thinking": {"thinking": "", "signature": ""}, "text": {"text": ""}, "tool_use": {"input": {}}}[kind],
    }
    yield event(
        {"type": "content_block_start", "index": index, "content_block": opened},
        "content_block_start",
        content=index > 0 or kind == "tool_use",
    )
    deltas: list[dict[str, Any]]
    if kind == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in reply.thinking]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif kind == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in reply.choices[0].pieces]
    else:
        call = next(call for i, call in enumerate(reply.choices[0].calls) if block["id"].endswith(f"_{i}"))
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in ("", *halves(call.json))]
    for delta in deltas:
        yield event(
            {"type": "content_block_delta", "index": index, "delta": delta}, "content_block_delta", content=True
        )
    yield event({"type": "content_block_stop", "index": index}, "content_block_stop", content=True)


def _head(ask: Ask, marks: Marks) -> dict[str, Any]:
    return {"id": f"msg_sim_{marks.suffix}", "type": "message", "role": "assistant", "model": ask.model}


def _blocks(reply: Reply, marks: Marks) -> list[dict[str, Any]]:
    choice = reply.choices[0]
    blocks: list[dict[str, Any]] = []
    if reply.thinking:
        signature = base64.b64encode(f"simulated:{marks.suffix}".encode()).decode()
        blocks.append({"type": "thinking", "thinking": "".join(reply.thinking), "signature": signature})
    if choice.pieces:
        blocks.append({"type": "text", "text": choice.text})
    for at, call in enumerate(choice.calls):
        known = {"type": "tool_use", "id": f"toolu_sim_{marks.suffix[:16]}_{at}", "name": call.name}
        blocks.append({**known, "input": call.arguments})
    return blocks


def _usage(reply: Reply) -> dict[str, Any]:
    """Here the tokens read from the cache are not a part of the input tokens: all of them together are the prompt."""
    tokens = reply.tokens
    usage: dict[str, Any] = {
        "input_tokens": tokens.input - tokens.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": tokens.cached,
        "output_tokens": tokens.output,
    }
    if tokens.reasoning:
        usage["output_tokens_details"] = {"thinking_tokens": tokens.reasoning}
    return usage
