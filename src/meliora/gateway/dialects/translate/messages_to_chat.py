"""A messages request as a chat request. Knows the request only; answers are in `answers`, streams in `to_messages`."""

from __future__ import annotations

from typing import Any

from meliora.errors import UntranslatableField
from meliora.gateway.dialects.translate.crossing import (
    Crossing,
    Options,
    call_id,
    copy_same,
    mapping,
    text,
    texts_of,
    write_json,
)
from meliora.gateway.dialects.translate.fields import MESSAGES_TO_CHAT
from meliora.gateway.dialects.translate.parts import block_to_part

_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_MESSAGE_KEYS = frozenset(("role", "content"))
_TOOL_KEYS = frozenset(
    [
        "type",
        "name",
        "description",
        "input_schema",
        "strict",
        "cache_control",
        "eager_input_streaming",
        "allowed_callers",
        "defer_loading",
    ]
)


def messages_to_chat(body: dict[str, Any], crossing: Crossing, options: Options) -> dict[str, Any]:
    """Translate a request. Raises `UntranslatableField` and `InvalidRequest`, each naming the field."""
    if mapping(body.get("thread")):
        # Not even with loss: a turn that goes on from a thread holds the new messages alone.
        raise UntranslatableField(
            "`thread` has no counterpart: this model's provider keeps no conversation.",
            hint="Send the whole conversation as `messages`.",
            field="thread",
        )
    crossing.check_fields(body, MESSAGES_TO_CHAT)
    out = copy_same(body, MESSAGES_TO_CHAT)
    system = texts_of(body.get("system"))
    out["messages"] = [{"role": "system", "content": system}] if system else []
    out["messages"] += _turns(body.get("messages"), crossing)
    if body.get("max_tokens") is not None:
        out[options.max_tokens_field] = body["max_tokens"]
    ask_to_stream(body, out, options)
    if body.get("stop_sequences"):
        out["stop"] = body["stop_sequences"]
    _tools(body, out, crossing)
    _format(body, out, crossing)
    _thinking(body, out, crossing, options)
    metadata = mapping(body.get("metadata"))
    crossing.only(metadata, frozenset(("user_id",)), "metadata")
    if metadata.get("user_id"):
        out["user"] = metadata["user_id"]
    if body.get("service_tier") == "standard_only":
        out["service_tier"] = "default"
    elif body.get("service_tier") not in (None, "auto"):
        crossing.drop("service_tier", "only `auto` and `standard_only`")
    return out


def ask_to_stream(body: dict[str, Any], out: dict[str, Any], options: Options) -> None:
    """Have a chat upstream stream, with usage at the end where it can."""
    if body.get("stream") is True:
        out["stream"] = True
        if options.stream_usage:
            out["stream_options"] = {"include_usage": True}


def _turns(messages: Any, crossing: Crossing) -> list[dict[str, Any]]:
    if not isinstance(messages, list):
        raise crossing.invalid("messages", "must be a list")
    turns: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if not isinstance(message, dict):
            raise crossing.invalid(path, "must be an object")
        crossing.only(message, _MESSAGE_KEYS, path)
        content = message.get("content")
        if not isinstance(content, str | list):
            raise crossing.invalid(f"{path}.content", "must be a string or a list of blocks")
        role = message.get("role")
        if role == "user":
            turns += _asked(content, f"{path}.content", crossing)
        elif role == "assistant":
            turns += _said(content, f"{path}.content", crossing)
        elif role == "system":
            turns.append({"role": "system", "content": texts_of(content)})
        else:
            raise crossing.invalid(f"{path}.role", "must be `user`, `assistant` or `system`")
    if messages and mapping(messages[-1]).get("role") == "assistant":
        crossing.drop(f"messages[{len(messages) - 1}]", "an answer that is begun for the model")
    return turns


def _asked(content: str | list[Any], path: str, crossing: Crossing) -> list[dict[str, Any]]:
    """A user turn: first its tool results, which chat wants right after the calls, then what the user says."""
    if isinstance(content, str):
        return [{"role": "user", "content": content}]
    results: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for index, block in enumerate(content):
        at = f"{path}[{index}]"
        if not isinstance(block, dict):
            raise crossing.invalid(at, "must be an object")
        if block.get("type") == "tool_result":
            results.append(_result(block, at, crossing))
        elif (part := block_to_part(block, at, crossing)) is not None:
            parts.append(part)
    if not parts:
        return results
    words = [part["text"] for part in parts if part["type"] == "text"]
    plain = len(parts) == 1 and len(words) == 1
    return [*results, {"role": "user", "content": words[0] if plain else parts}]


def _result(block: dict[str, Any], path: str, crossing: Crossing) -> dict[str, Any]:
    content = block.get("content")
    words = texts_of(content)
    for index, part in enumerate(content if isinstance(content, list) else ()):
        if mapping(part).get("type") != "text":
            crossing.drop(f"{path}.content[{index}]", "a tool result that is not text")
    if block.get("is_error") is True and not words.lower().startswith("error"):
        words = f"Error: {words}"
    return {"role": "tool", "tool_call_id": call_id(block.get("tool_use_id")), "content": words}


def _said(content: str | list[Any], path: str, crossing: Crossing) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"role": "assistant", "content": content}]
    words: list[str] = []
    calls: list[dict[str, Any]] = []
    for index, block in enumerate(content):
        at = f"{path}[{index}]"
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == "text":
            part = block_to_part(block, at, crossing)
            words.append(part["text"] if part else "")
        elif kind == "tool_use":
            calls.append(_call(block, at, crossing))
        elif kind == "thinking" and not block.get("signature"):
            continue  # ours: thinking out of a translated answer proves nothing, and no chat model takes it back
        elif kind == "thinking":
            crossing.drop(f"{at}.signature", "signed thinking")
        elif kind is None:
            raise crossing.invalid(at, "must be a block with a type")
        else:
            crossing.drop(at, f"a block of type {str(kind)[:40]!r}")
    said = "".join(words)
    if not said and not calls:
        return []
    message: dict[str, Any] = {"role": "assistant", "content": said or None}
    if calls:
        message["tool_calls"] = calls
    return [message]


def _call(block: dict[str, Any], path: str, crossing: Crossing) -> dict[str, Any]:
    arguments = write_json(mapping(block.get("input")))
    if arguments is None:
        raise crossing.invalid(f"{path}.input", "cannot be written as JSON")
    function = {"name": text(block.get("name")), "arguments": arguments}
    return {"id": call_id(block.get("id")), "type": "function", "function": function}


def _tools(body: dict[str, Any], out: dict[str, Any], crossing: Crossing) -> None:
    given = body.get("tools")
    tools: list[dict[str, Any]] = []
    for index, tool in enumerate(given if isinstance(given, list) else ()):
        path = f"tools[{index}]"
        if not isinstance(tool, dict):
            raise crossing.invalid(path, "must be an object")
        if tool.get("type") not in (None, "custom"):
            crossing.drop(path, "a tool of the provider's own")
            continue
        crossing.only(tool, _TOOL_KEYS, path)
        if tool.get("defer_loading"):
            crossing.drop(f"{path}.defer_loading")
        if tool.get("allowed_callers") not in (None, [], ["direct"]):
            crossing.drop(f"{path}.allowed_callers")
        function: dict[str, Any] = {"name": text(tool.get("name")), "parameters": mapping(tool.get("input_schema"))}
        if text(tool.get("description")):
            function["description"] = tool["description"]
        if tool.get("strict") is True:
            function["strict"] = True
        tools.append({"type": "function", "function": function})
    if not tools:
        return
    out["tools"] = tools
    choice = mapping(body.get("tool_choice"))
    kind = choice.get("type")
    if kind == "tool":
        out["tool_choice"] = {"type": "function", "function": {"name": text(choice.get("name"))}}
    elif isinstance(kind, str) and kind in _CHOICES:
        out["tool_choice"] = _CHOICES[kind]
    elif choice:
        crossing.drop("tool_choice")
    if choice.get("disable_parallel_tool_use") is True:
        out["parallel_tool_calls"] = False


def _format(body: dict[str, Any], out: dict[str, Any], crossing: Crossing) -> None:
    config = mapping(body.get("output_config"))
    crossing.only(config, frozenset(("effort", "format")), "output_config")
    shape = config.get("format") or body.get("output_format")
    if not shape:
        return
    if mapping(shape).get("type") != "json_schema" or not isinstance(mapping(shape).get("schema"), dict):
        raise crossing.invalid("output_config.format", "must be a JSON schema format")
    schema = {"name": "response", "schema": shape["schema"], "strict": True}
    out["response_format"] = {"type": "json_schema", "json_schema": schema}


def _thinking(body: dict[str, Any], out: dict[str, Any], crossing: Crossing, options: Options) -> None:
    thinking = mapping(body.get("thinking"))
    effort = mapping(body.get("output_config")).get("effort")
    path = "output_config.effort"
    if effort is None and thinking.get("type") == "enabled":
        budget = thinking.get("budget_tokens")
        budget = budget if type(budget) is int else 0
        effort = "low" if budget < 4096 else "medium" if budget < 16384 else "high"
        path = "thinking"
    if effort is None:
        return
    if options.reasoning_effort:
        out["reasoning_effort"] = effort
    else:
        crossing.drop(path, "the model takes no reasoning effort")


def wants_thinking(body: dict[str, Any]) -> bool:
    """Say whether the client asked to see thinking: only then are thinking blocks put into its answer."""
    thinking = mapping(body.get("thinking"))
    return thinking.get("type") not in (None, "disabled")
