"""A reply as an OpenAI response: one `response` object, or the events from `response.created` to its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meliora.gateway.simulated.reading import Ask
from meliora.gateway.simulated.rendering.chat import halves
from meliora.gateway.simulated.rendering.wire import Event, Marks, event
from meliora.gateway.simulated.reply import Reply

_PRELUDE = ("response.created", "response.in_progress", "response.output_item.added", "response.content_part.added")


def responses_body(ask: Ask, reply: Reply, marks: Marks) -> dict[str, Any]:
    """Give the whole response."""
    cut = reply.choices[0].finish == "length"
    ended = {
        "status": "incomplete" if cut else "completed",
        "completed_at": None if cut else marks.created,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": _items(reply, marks),
        "usage": _usage(reply),
    }
    return {**_head(ask, marks), **ended}


def responses_events(ask: Ask, reply: Reply, marks: Marks) -> Iterator[Event]:
    """Give the stream with its running sequence numbers, one token an event."""
    begun, ended = _head(ask, marks), responses_body(ask, reply, marks)
    steps: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(ended["output"]):
        steps.extend(_item_steps(index, item, reply))
    steps.append({"type": f"response.{ended['status']}", "response": ended})
    spoken = False
    for number, step in enumerate(steps):
        spoken = spoken or (step["type"] not in _PRELUDE and step.get("item", {}).get("type") != "reasoning")
        yield event({**step, "sequence_number": number}, step["type"], content=spoken)


def _item_steps(index: int, item: dict[str, Any], reply: Reply) -> Iterator[dict[str, Any]]:
    where = {"output_index": index, "item_id": item["id"]}
    opened = {**item, **{"message": {"content": []}, "function_call": {"arguments": ""}}.get(item["type"], {})}
    yield {
        "type": "response.output_item.added",
        "output_index": index,
        "item": {**opened, **_status(item, "in_progress")},
    }
    if item["type"] == "message":
        part = item["content"][0]
        at = {**where, "content_index": 0}
        yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}
        for piece in reply.choices[0].pieces:
            yield {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
        yield {"type": "response.output_text.done", **at, "text": part["text"], "logprobs": []}
        yield {"type": "response.content_part.done", **at, "part": part}
    elif item["type"] == "function_call":
        for part in halves(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", **where, "delta": part}
        done = {"arguments": item["arguments"], "name": item["name"]}
        yield {"type": "response.function_call_arguments.done", **where, **done}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _status(item: dict[str, Any], status: str) -> dict[str, str]:
    return {"status": status} if "status" in item else {}


def _items(reply: Reply, marks: Marks) -> list[dict[str, Any]]:
    choice, suffix = reply.choices[0], marks.suffix
    items: list[dict[str, Any]] = []
    if reply.thinking:
        items.append({"type": "reasoning", "id": f"rs_sim_{suffix}", "summary": []})
    if choice.pieces:
        status = "incomplete" if choice.finish == "length" else "completed"
        text = {"type": "output_text", "text": choice.text, "annotations": [], "logprobs": []}
        known = {"type": "message", "id": f"msg_sim_{suffix}", "status": status, "role": "assistant"}
        items.append({**known, "content": [text]})
    for at, call in enumerate(choice.calls):
        ids = {"id": f"fc_sim_{suffix[:16]}_{at}", "call_id": f"call_sim_{suffix[:16]}_0_{at}"}
        known = {"type": "function_call", **ids, "status": "completed", "name": call.name}
        items.append({**known, "arguments": call.json})
    return items


def _head(ask: Ask, marks: Marks) -> dict[str, Any]:
    """The response as it stands at its beginning; settings that the request leaves open have their usual values."""
    usual: dict[str, Any] = {
        "background": False,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }
    given = {name: ask.body[name] for name in usual if ask.body.get(name) is not None}
    return {
        "id": f"resp_sim_{marks.suffix}",
        "object": "response",
        "created_at": marks.created,
        "status": "in_progress",
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": ask.model,
        "output": [],
        "usage": None,
        "service_tier": "default",
        **usual,
        **given,
    }


def _usage(reply: Reply) -> dict[str, Any]:
    tokens = reply.tokens
    return {
        "input_tokens": tokens.input,
        "input_tokens_details": {"cached_tokens": tokens.cached, "cache_write_tokens": 0},
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.input + tokens.output,
    }
