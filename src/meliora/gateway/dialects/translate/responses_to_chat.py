"""A responses request as a chat request, or as the chat-shaped middle of the way to messages.

On the way to messages (`crossing.inner`) more survives: signed thinking, images in tool results, documents by URL.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from meliora.gateway.dialects.translate.crossing import (
    Crossing,
    Options,
    copy_same,
    dicts,
    mapping,
    parse_object,
    text,
)
from meliora.gateway.dialects.translate.fields import RESPONSES_TO_CHAT
from meliora.gateway.dialects.translate.messages_to_chat import ask_to_stream

SEAL = "meliora.thinking.1:"
"""Begins the `encrypted_content` of a reasoning item that holds a messages provider's signed thinking."""

_FUNCTION_KEYS = frozenset(
    ["type", "name", "description", "parameters", "strict", "allowed_callers", "defer_loading", "output_schema"]
)
_ITEM_KEYS = frozenset(
    [
        "type",
        "id",
        "role",
        "content",
        "status",
        "phase",
        "name",
        "call_id",
        "arguments",
        "input",
        "output",
        "summary",
        "encrypted_content",
    ]
)
_PART_KEYS = frozenset(
    (
        "type",
        "text",
        "refusal",
        "image_url",
        "detail",
        "file_id",
        "file_data",
        "file_url",
        "filename",
        "input_audio",
        "annotations",
        "logprobs",
        "prompt_cache_breakpoint",
    )
)


def responses_to_chat(body: dict[str, Any], crossing: Crossing, options: Options) -> dict[str, Any]:
    """Translate a request. Raises `UntranslatableField` and `InvalidRequest`, each naming the field."""
    crossing.check_fields(body, RESPONSES_TO_CHAT)
    out = copy_same(body, RESPONSES_TO_CHAT)
    out["messages"] = _Turns(crossing).read(body)
    if body.get("max_output_tokens") is not None:
        field = "max_completion_tokens" if crossing.inner else options.max_tokens_field
        out[field] = body["max_output_tokens"]
    ask_to_stream(body, out, options)
    _shape(body, out, crossing)
    _reasoning(body, out, crossing, options)
    _tools(body, out, crossing)
    _includes(body, out)
    if body.get("service_tier") is not None:
        if body["service_tier"] == "ultrafast":
            crossing.drop("service_tier", "`ultrafast`")
        else:
            out["service_tier"] = body["service_tier"]
    cache = mapping(body.get("prompt_cache_options"))
    if cache:
        crossing.only(cache, frozenset(("mode", "ttl")), "prompt_cache_options")
        out["prompt_cache_options"] = {name: cache[name] for name in ("mode", "ttl") if name in cache}
    return out


class _Turns:
    """Builds chat messages out of input items; what an assistant says and calls in a row becomes one message."""

    def __init__(self, crossing: Crossing) -> None:
        self._crossing = crossing
        self._turns: list[dict[str, Any]] = []

    def read(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        crossing = self._crossing
        if body.get("instructions") is not None:
            instructions = body["instructions"]
            if not isinstance(instructions, str):
                raise crossing.invalid("instructions", "must be a string")
            self._turns.append({"role": "system", "content": instructions})
        given = body.get("input")
        if isinstance(given, str):
            self._turns.append({"role": "user", "content": given})
            return self._turns
        if not isinstance(given, list):
            raise crossing.invalid("input", "must be a string or a list of items")
        for index, item in enumerate(given):
            path = f"input[{index}]"
            if not isinstance(item, dict):
                raise crossing.invalid(path, "must be an object")
            before = len(self._turns)
            self._item(item, path)
            if crossing.inner and len(self._turns) > before:
                self._turns[-1]["_path"] = path
        return self._turns

    def _item(self, item: dict[str, Any], path: str) -> None:
        crossing = self._crossing
        kind = item.get("type", "message")
        if kind in ("message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"):
            crossing.only(item, _ITEM_KEYS, path)
        if kind == "message":
            self._message(item, path)
        elif kind == "function_call":
            function = {"name": text(item.get("name")), "arguments": text(item.get("arguments"))}
            self._call({"id": text(item.get("call_id")), "type": "function", "function": function})
        elif kind == "custom_tool_call":
            custom = {"name": text(item.get("name")), "input": text(item.get("input"))}
            self._call({"id": text(item.get("call_id")), "type": "custom", "custom": custom})
        elif kind in ("function_call_output", "custom_tool_call_output"):
            content = self._output(item.get("output"), f"{path}.output")
            self._turns.append({"role": "tool", "tool_call_id": text(item.get("call_id")), "content": content})
        elif kind == "reasoning":
            self._reasoning(item, path)
        else:
            crossing.drop(path, f"an item of type {str(kind)[:40]!r}")

    def _message(self, item: dict[str, Any], path: str) -> None:
        crossing = self._crossing
        role = item.get("role")
        content = item.get("content")
        if role not in ("user", "assistant", "system", "developer"):
            raise crossing.invalid(f"{path}.role", "must be a known role")
        if not isinstance(content, str):
            content = self._parts(content, f"{path}.content")
        if role == "assistant":
            self._said(content)
        else:
            self._turns.append({"role": "user" if role == "user" else "system", "content": content})

    def _said(self, content: str | list[dict[str, Any]]) -> None:
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        message = self._assistant()
        if message["content"] is None:
            message["content"] = []
        message["content"].extend(parts)

    def _call(self, call: dict[str, Any]) -> None:
        self._assistant().setdefault("tool_calls", []).append(call)

    def _assistant(self) -> dict[str, Any]:
        if not self._turns or self._turns[-1]["role"] != "assistant":
            self._turns.append({"role": "assistant", "content": None})
        return self._turns[-1]

    def _reasoning(self, item: dict[str, Any], path: str) -> None:
        sealed = item.get("encrypted_content")
        if not sealed:
            return  # a summary without proof: no provider takes it back
        block = open_seal(sealed)
        if block is None or not self._crossing.inner:
            self._crossing.drop(f"{path}.encrypted_content", "reasoning sealed by another provider")
        else:
            self._assistant().setdefault("_thinking", []).append(block)

    def _output(self, output: Any, path: str) -> str | list[dict[str, Any]]:
        if isinstance(output, str):
            return output
        parts = self._parts(output, path)
        if self._crossing.inner:
            return parts
        for index, part in enumerate(parts):
            if part["type"] != "text":
                self._crossing.drop(f"{path}[{index}]", "a tool result that is not text")
        return "\n".join(part["text"] for part in parts if part["type"] == "text")

    def _parts(self, content: Any, path: str) -> list[dict[str, Any]]:
        if not isinstance(content, list):
            raise self._crossing.invalid(path, "must be a string or a list of parts")
        parts: list[dict[str, Any]] = []
        for index, part in enumerate(content):
            at = f"{path}[{index}]"
            if not isinstance(part, dict):
                raise self._crossing.invalid(at, "must be an object")
            self._crossing.only(part, _PART_KEYS, at)
            made = self._part(part, at)
            if made is not None:
                parts.append(made)
        return parts

    def _part(self, part: dict[str, Any], path: str) -> dict[str, Any] | None:
        kind = part.get("type")
        if kind in ("input_text", "output_text", "text"):
            return {"type": "text", "text": text(part.get("text"))}
        if kind == "refusal":
            return {"type": "refusal", "refusal": text(part.get("refusal"))}
        if kind == "input_image" and part.get("image_url"):
            image: dict[str, Any] = {"url": part["image_url"]}
            if part.get("detail") is not None:
                image["detail"] = part["detail"]
            return {"type": "image_url", "image_url": image}
        if kind == "input_file" and not part.get("file_url"):
            names = ("file_data", "file_id", "filename")
            return {"type": "file", "file": {name: part[name] for name in names if part.get(name) is not None}}
        if kind == "input_file" and self._crossing.inner:
            names = ("file_url", "filename")
            return {"type": "file", "file": {name: part[name] for name in names if part.get(name) is not None}}
        if kind == "input_audio":
            return {"type": "input_audio", "input_audio": part.get("input_audio")}
        self._crossing.drop(path, f"a part of type {str(kind)[:40]!r} given this way")
        return None


def _shape(body: dict[str, Any], out: dict[str, Any], crossing: Crossing) -> None:
    config = mapping(body.get("text"))
    crossing.only(config, frozenset(("format", "verbosity")), "text")
    if config.get("verbosity") is not None:
        out["verbosity"] = config["verbosity"]
    shape = config.get("format")
    if shape is None:
        return
    if mapping(shape).get("type") == "json_schema":
        schema = {name: shape[name] for name in ("name", "description", "schema", "strict") if name in shape}
        out["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif mapping(shape).get("type") == "text":
        return
    else:
        out["response_format"] = shape


def _reasoning(body: dict[str, Any], out: dict[str, Any], crossing: Crossing, options: Options) -> None:
    reasoning = mapping(body.get("reasoning"))
    if reasoning.get("context") not in (None, "auto"):
        crossing.drop("reasoning.context")
    if reasoning.get("mode") not in (None, "standard"):
        crossing.drop("reasoning.mode")
    crossing.only(reasoning, frozenset(("effort", "summary", "generate_summary", "context", "mode")), "reasoning")
    effort = reasoning.get("effort")
    if effort is None:
        return
    if crossing.inner or options.reasoning_effort:
        out["reasoning_effort"] = effort
    elif effort != "none":
        crossing.drop("reasoning.effort", "the model takes no reasoning effort")


def _tools(body: dict[str, Any], out: dict[str, Any], crossing: Crossing) -> None:
    given = body.get("tools")
    tools: list[dict[str, Any]] = []
    for index, tool in enumerate(given if isinstance(given, list) else ()):
        path = f"tools[{index}]"
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind == "function":
            tools.append({"type": "function", "function": _function(tool, path, crossing)})
        elif kind == "custom" and not crossing.inner:
            tools.append({"type": "custom", "custom": _custom(tool, path, crossing)})
        else:
            crossing.drop(path, f"a tool of type {str(kind)[:40]!r}")
    if not tools:
        return
    out["tools"] = tools
    if body.get("parallel_tool_calls") is not None:
        out["parallel_tool_calls"] = body["parallel_tool_calls"]
    choice = body.get("tool_choice")
    if isinstance(choice, str):
        out["tool_choice"] = choice
    elif isinstance(choice, dict):
        _choice(choice, out, crossing)


def _function(tool: dict[str, Any], path: str, crossing: Crossing) -> dict[str, Any]:
    crossing.only(tool, _FUNCTION_KEYS, path)
    if tool.get("defer_loading"):
        crossing.drop(f"{path}.defer_loading")
    if tool.get("output_schema"):
        crossing.drop(f"{path}.output_schema")
    if tool.get("allowed_callers") not in (None, [], ["direct"]):
        crossing.drop(f"{path}.allowed_callers")
    names = ("name", "description", "parameters", "strict")
    return {name: tool[name] for name in names if tool.get(name) is not None}


def _custom(tool: dict[str, Any], path: str, crossing: Crossing) -> dict[str, Any]:
    if tool.get("defer_loading"):
        crossing.drop(f"{path}.defer_loading")
    custom = {name: tool[name] for name in ("name", "description") if tool.get(name) is not None}
    shape = mapping(tool.get("format"))
    if shape.get("type") == "grammar":
        grammar = {"definition": shape.get("definition"), "syntax": shape.get("syntax")}
        custom["format"] = {"type": "grammar", "grammar": grammar}
    elif shape:
        custom["format"] = shape
    return custom


def _choice(choice: dict[str, Any], out: dict[str, Any], crossing: Crossing) -> None:
    kind = choice.get("type")
    if kind in ("function", "custom"):
        out["tool_choice"] = {"type": kind, kind: {"name": text(choice.get("name"))}}
    elif kind == "allowed_tools":
        tools = [_named(tool) for tool in dicts(choice.get("tools"))]
        allowed = {"mode": choice.get("mode"), "tools": tools}
        out["tool_choice"] = {"type": "allowed_tools", "allowed_tools": allowed}
    else:
        crossing.drop("tool_choice")


def _named(tool: dict[str, Any]) -> dict[str, Any]:
    kind = "custom" if tool.get("type") == "custom" else "function"
    return {"type": kind, kind: {"name": text(tool.get("name"))}}


def _includes(body: dict[str, Any], out: dict[str, Any]) -> None:
    include = body.get("include")
    if isinstance(include, list) and "message.output_text.logprobs" in include:
        out["logprobs"] = True
    if body.get("top_logprobs"):
        out["logprobs"] = True
        out["top_logprobs"] = body["top_logprobs"]


def seal(block: dict[str, Any]) -> str:
    """Write a signed thinking block so that a responses client can keep it and send it back."""
    return SEAL + base64.b64encode(msgspec.json.encode(block)).decode()


def open_seal(sealed: Any) -> dict[str, Any] | None:
    """Read what `seal` wrote; None for anything else."""
    if not isinstance(sealed, str) or not sealed.startswith(SEAL):
        return None
    try:
        block = parse_object(base64.b64decode(sealed[len(SEAL) :], validate=True).decode())
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    if block is None:
        return None
    if block.get("type") == "thinking":
        return {"type": "thinking", "thinking": text(block.get("thinking")), "signature": text(block.get("signature"))}
    if block.get("type") == "redacted_thinking":
        return {"type": "redacted_thinking", "data": text(block.get("data"))}
    return None
