"""A reply as OpenAI chat completion: `chat.completion`, or a stream of `chat.completion.chunk`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meliora.gateway.simulated.reading import Ask
from meliora.gateway.simulated.rendering.wire import Event, Marks, event
from meliora.gateway.simulated.reply import Choice, Finish, Reply

_FINISH: dict[Finish, str] = {"stop": "stop", "stop_sequence": "stop", "length": "length", "tools": "tool_calls"}


def chat_body(ask: Ask, reply: Reply, marks: Marks) -> dict[str, Any]:
    """Give the whole answer."""
    choices = [
        {"index": i, "message": _message(choice, marks, i), "logprobs": None, "finish_reason": _FINISH[choice.finish]}
        for i, choice in enumerate(reply.choices)
    ]
    return {**_head(ask, marks, "chat.completion"), "choices": choices, "usage": _usage(reply)}


def chat_events(ask: Ask, reply: Reply, marks: Marks) -> Iterator[Event]:
    """Give the stream, one token an event. Usage comes at the end, and only where it was asked for."""
    head = _head(ask, marks, "chat.completion.chunk")
    usage: dict[str, Any] = {"usage": None} if ask.include_usage else {}

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None, *, content: bool = False) -> Event:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event({**head, "choices": [choice], **usage}, content=content)

    for index, choice in enumerate(reply.choices):
        text = None if choice.calls else ""
        yield chunk(index, {"role": "assistant", "content": text, "refusal": None}, content=index > 0)
        for piece in choice.pieces:
            yield chunk(index, {"content": piece}, content=True)
        for at, call in enumerate(_calls(choice, marks, index)):
            arguments = call["function"]["arguments"]
            opened = {**call, "function": {**call["function"], "arguments": ""}}
            yield chunk(index, {"tool_calls": [{"index": at, **opened}]}, content=True)
            for part in halves(arguments):
                yield chunk(index, {"tool_calls": [{"index": at, "function": {"arguments": part}}]}, content=True)
        yield chunk(index, {}, _FINISH[choice.finish], content=True)
    if ask.include_usage:
        yield event({**head, "choices": [], "usage": _usage(reply)}, content=True)
    yield Event(b"data: [DONE]\n\n", content=True)


def halves(text: str) -> tuple[str, ...]:
    """Cut a text in two where it is long enough, as providers send arguments piece by piece."""
    middle = len(text) // 2
    return (text[:middle], text[middle:]) if middle else (text,)


def _head(ask: Ask, marks: Marks, kind: str) -> dict[str, Any]:
    known = {"id": f"chatcmpl-sim-{marks.suffix}", "object": kind, "created": marks.created, "model": ask.model}
    return {**known, "service_tier": "default", "system_fingerprint": "simulated"}


def _message(choice: Choice, marks: Marks, index: int) -> dict[str, Any]:
    calls = _calls(choice, marks, index)
    message: dict[str, Any] = {"role": "assistant", "content": None if calls else choice.text, "refusal": None}
    return {**message, "annotations": [], **({"tool_calls": calls} if calls else {})}


def _calls(choice: Choice, marks: Marks, index: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_sim_{marks.suffix[:16]}_{index}_{at}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.json},
        }
        for at, call in enumerate(choice.calls)
    ]


def _usage(reply: Reply) -> dict[str, Any]:
    tokens = reply.tokens
    none = {"audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning, **none},
    }
