"""Whole answers from one dialect to another. What an upstream sent may be wrong: then `UpstreamBroken`, never a crash."""

from __future__ import annotations

from typing import Any

from meliora.errors import UpstreamBroken
from meliora.gateway.dialects.translate.crossing import (
    Options,
    dicts,
    mapping,
    parse_object,
    text,
    write_json,
)
from meliora.gateway.dialects.usage import chat_usage, messages_usage, read_usage
from meliora.telemetry.records import Usage

CHAT_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
STOP_REASON = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def renamed(given: Any, prefix: str, options: Options) -> str:
    """Keep an answer's id recognisable under the client's prefix; a fresh id where the upstream gave none."""
    given = text(given)
    return prefix + given.removeprefix(_prefix(given)) if given else options.new_id(prefix)


def _prefix(given: str) -> str:
    for known in ("chatcmpl-", "msg_", "resp_"):
        if given.startswith(known):
            return known
    return ""


def messages_to_chat_answer(body: dict[str, Any], options: Options, *, inner: bool = False) -> dict[str, Any]:
    """Translate a message into a chat completion. With `inner` it keeps signed thinking for the responses dialect."""
    if not isinstance(body.get("content"), list):
        raise UpstreamBroken("The provider's answer has no `content`.")
    words: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    signed: list[dict[str, Any]] = []
    for block in dicts(body["content"]):
        kind = block.get("type")
        if kind == "text":
            words.append(text(block.get("text")))
        elif kind == "tool_use":
            function = {"name": text(block.get("name")), "arguments": write_json(mapping(block.get("input"))) or "{}"}
            calls.append({"id": text(block.get("id")), "type": "function", "function": function})
        elif kind in ("thinking", "redacted_thinking"):
            thoughts.append(text(block.get("thinking")))
            signed.append(block)
    reason = text(body.get("stop_reason"))
    message: dict[str, Any] = {"role": "assistant", "content": "".join(words) if words or not calls else None}
    message["refusal"] = refusal_of(body) if reason == "refusal" else None
    if any(thoughts):
        message["reasoning_content"] = "\n".join(thought for thought in thoughts if thought)
    if calls:
        message["tool_calls"] = calls
    if inner and signed:
        message["_thinking"] = signed
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": CHAT_FINISH.get(reason, "stop")}
    return {
        "id": renamed(body.get("id"), "chatcmpl-", options),
        "object": "chat.completion",
        "created": options.created,
        "model": text(body.get("model")),
        "choices": [choice],
        "usage": chat_usage(read_usage("messages", body.get("usage")) or Usage()),
    }


def refusal_of(holder: dict[str, Any]) -> str | None:
    """The words a messages provider gives for a refusal, None where it gives none."""
    return text(mapping(holder.get("stop_details")).get("explanation")) or None


def chat_to_messages_answer(body: dict[str, Any], options: Options, *, thinking: bool) -> dict[str, Any]:
    """Translate a chat completion into a message; its reasoning only where the client asked for `thinking`.

    Raises `UpstreamBroken` where there is no choice, or a tool call's arguments are no JSON object.
    """
    choice, message = first_choice(body)
    content: list[dict[str, Any]] = []
    thought = reasoning_of(message)
    if thought and thinking:
        content.append({"type": "thinking", "thinking": thought, "signature": ""})
    said, refusal = text(message.get("content")), text(message.get("refusal"))
    if said or refusal:
        content.append({"type": "text", "text": said or refusal})
    content += [_tool_use(call, options) for call in dicts(message.get("tool_calls"))]
    reason = stop_reason(choice.get("finish_reason"), tools=any(block["type"] == "tool_use" for block in content))
    return {
        "id": renamed(body.get("id"), "msg_", options),
        "type": "message",
        "role": "assistant",
        "model": text(body.get("model")),
        "content": content,
        "stop_reason": "refusal" if refusal else reason,
        "stop_sequence": None,
        "usage": messages_usage(read_usage("chat", body.get("usage")) or Usage()),
    }


def stop_reason(finish: Any, *, tools: bool) -> str:
    """Give the stop reason for a chat finish; some upstreams say `stop` after tool calls."""
    reason = STOP_REASON.get(text(finish), "end_turn")
    return "tool_use" if tools and reason == "end_turn" else reason


def first_choice(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the first choice of a chat completion and its message. Raises `UpstreamBroken` where there is none."""
    choices = dicts(body.get("choices"))
    if not choices or not isinstance(choices[0].get("message"), dict):
        raise UpstreamBroken("The provider's answer has no `choices[0].message`.")
    return choices[0], choices[0]["message"]


def reasoning_of(said: dict[str, Any]) -> str:
    """The reasoning that some chat providers show, under either of its two names."""
    return text(said.get("reasoning_content")) or text(said.get("reasoning"))


def _tool_use(call: dict[str, Any], options: Options) -> dict[str, Any]:
    function = mapping(call.get("function"))
    arguments = parse_object(function.get("arguments", ""))
    if arguments is None:
        raise UpstreamBroken("The provider's tool call has arguments that are no JSON object.")
    identity = text(call.get("id")) or options.new_id("toolu_")
    return {"type": "tool_use", "id": identity, "name": text(function.get("name")), "input": arguments}
