"""A chat request as a messages request. Knows the request only; answers are in `answers`, streams in `from_messages`."""

from __future__ import annotations

from typing import Any

from meliora.gateway.dialects.translate.crossing import (
    Crossing,
    Options,
    call_id,
    copy_same,
    dicts,
    mapping,
    parse_object,
    text,
    texts_of,
)
from meliora.gateway.dialects.translate.fields import CHAT_TO_MESSAGES
from meliora.gateway.dialects.translate.parts import part_to_block

_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 4096, "high": 16384, "xhigh": 32768, "max": 65536}
_MESSAGE_KEYS = frozenset(
    # The last ones come back from answers that a client appends as they are; they carry nothing a model could use.
    ["role", "content", "tool_calls", "tool_call_id", "refusal", "reasoning_content", "reasoning", "annotations"]
)
_INNER_KEYS = _MESSAGE_KEYS | {"_path", "_thinking"}
_TOOL_KEYS = frozenset(("name", "description", "parameters", "strict"))


def chat_to_messages(body: dict[str, Any], crossing: Crossing, options: Options) -> dict[str, Any]:
    """Translate a request. Raises `UntranslatableField` and `InvalidRequest`, each naming the field."""
    crossing.check_fields(body, CHAT_TO_MESSAGES)
    out = copy_same(body, CHAT_TO_MESSAGES)
    limit = body.get("max_completion_tokens")
    limit = body.get("max_tokens") if limit is None else limit
    out["max_tokens"] = options.max_tokens if limit is None else limit
    system, out["messages"] = _turns(body.get("messages"), crossing)
    if system:
        out["system"] = "\n\n".join(system)
    _sampling(body, out, crossing)
    _tools(body, out, crossing)
    _format(body, out, crossing)
    _reasoning(body, out, crossing, options)
    user = body.get("user") or body.get("safety_identifier")
    if user:
        out["metadata"] = {"user_id": user}
    tier = body.get("service_tier")
    if tier in ("auto", "default"):
        out["service_tier"] = "auto" if tier == "auto" else "standard_only"
    elif tier is not None:
        crossing.drop("service_tier", "only `auto` and `default`")
    return out


def _sampling(body: dict[str, Any], out: dict[str, Any], crossing: Crossing) -> None:
    temperature, top_p, stop = body.get("temperature"), body.get("top_p"), body.get("stop")
    if isinstance(temperature, int | float) and temperature > 1:
        crossing.drop("temperature", "it goes up to 1")
        temperature = None
    if temperature is not None and temperature != 1:
        out["temperature"] = temperature
    if top_p is not None and top_p != 1:
        out["top_p"] = top_p
    sequences = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    kept = [one for one in sequences if isinstance(one, str) and one.strip()]
    if len(kept) < len(sequences):
        crossing.drop("stop", "sequences of white space alone")
    if kept:
        out["stop_sequences"] = kept


def _turns(messages: Any, crossing: Crossing) -> tuple[list[str], list[dict[str, Any]]]:
    if not isinstance(messages, list):
        raise crossing.invalid("messages", "must be a list")
    system: list[str] = []
    turns: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if not isinstance(message, dict):
            raise crossing.invalid(path, "must be an object")
        if crossing.inner:
            path = text(message.get("_path")) or path
        crossing.only(message, _INNER_KEYS if crossing.inner else _MESSAGE_KEYS, path)
        role = message.get("role")
        if role in ("system", "developer"):
            words = texts_of(message.get("content"))
            if words:
                system.append(words)
        elif role == "user":
            _append(turns, "user", _blocks(message.get("content"), f"{path}.content", crossing))
        elif role == "assistant":
            _append(turns, "assistant", _said(message, path, crossing))
        elif role == "tool":
            _append(turns, "user", [_result(message, path, crossing)])
        elif role == "function":
            crossing.drop(path, "deprecated; use `tools`")
        else:
            raise crossing.invalid(f"{path}.role", "must be a known role")
    return system, turns


def _append(turns: list[dict[str, Any]], role: str, blocks: list[dict[str, Any]]) -> None:
    """Add blocks to the last turn where it has the same role: results of one turn's tools must stand together."""
    if not blocks:
        return
    if turns and turns[-1]["role"] == role:
        turns[-1]["content"].extend(blocks)
    else:
        turns.append({"role": role, "content": blocks})


def _blocks(content: Any, path: str, crossing: Crossing) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if content is None:
        return []
    if not isinstance(content, list):
        raise crossing.invalid(path, "must be a string or a list of parts")
    blocks: list[dict[str, Any]] = []
    for index, part in enumerate(content):
        if not isinstance(part, dict):
            raise crossing.invalid(f"{path}[{index}]", "must be an object")
        block = part_to_block(part, f"{path}[{index}]", crossing)
        if block is not None:
            blocks.append(block)
    return blocks


def _said(message: dict[str, Any], path: str, crossing: Crossing) -> list[dict[str, Any]]:
    blocks = dicts(message.get("_thinking")) if crossing.inner else []
    blocks += _blocks(message.get("content"), f"{path}.content", crossing)
    if text(message.get("refusal")):
        blocks.append({"type": "text", "text": message["refusal"]})
    calls = message.get("tool_calls")
    for index, call in enumerate(calls if isinstance(calls, list) else ()):
        at = f"{path}.tool_calls[{index}]"
        if not isinstance(call, dict):
            raise crossing.invalid(at, "must be an object")
        if call.get("type", "function") != "function":
            crossing.drop(at, "custom tools")
            continue
        function = mapping(call.get("function"))
        arguments = parse_object(function.get("arguments", ""))
        if arguments is None:
            raise crossing.invalid(f"{at}.function.arguments", "must be a JSON object, written as a string")
        use = {"type": "tool_use", "id": call_id(call.get("id")), "name": text(function.get("name"))}
        blocks.append({**use, "input": arguments})
    return blocks


def _result(message: dict[str, Any], path: str, crossing: Crossing) -> dict[str, Any]:
    content = message.get("content")
    result: dict[str, Any] = {"type": "tool_result", "tool_use_id": call_id(message.get("tool_call_id"))}
    if isinstance(content, str):
        if content:
            result["content"] = content
    elif content is not None:
        result["content"] = _blocks(content, f"{path}.content", crossing)
    return result


def _tools(body: dict[str, Any], out: dict[str, Any], crossing: Crossing) -> None:
    given = body.get("tools")
    tools: list[dict[str, Any]] = []
    for index, tool in enumerate(given if isinstance(given, list) else ()):
        path = f"tools[{index}]"
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(tool, dict) or tool.get("type", "function") != "function":
            crossing.drop(path, "only function tools")
        elif not isinstance(function, dict):
            raise crossing.invalid(f"{path}.function", "must be an object")
        else:
            crossing.only(function, _TOOL_KEYS, f"{path}.function")
            tools.append(_tool(function))
    if not tools:
        return
    choice, allowed = _choice(body.get("tool_choice"), crossing)
    if allowed is not None:
        tools = [tool for tool in tools if tool["name"] in allowed]
    if body.get("parallel_tool_calls") is False and choice.get("type") != "none":
        choice = {"type": "auto", **choice, "disable_parallel_tool_use": True}
    if tools:
        out["tools"] = tools
        if choice:
            out["tool_choice"] = choice


def _tool(function: dict[str, Any]) -> dict[str, Any]:
    schema = mapping(function.get("parameters"))
    tool: dict[str, Any] = {"name": text(function.get("name")), "input_schema": {"type": "object", **schema}}
    if not schema:
        tool["input_schema"]["properties"] = {}
    if text(function.get("description")):
        tool["description"] = function["description"]
    if function.get("strict") is True:
        tool["strict"] = True
    return tool


def _choice(choice: Any, crossing: Crossing) -> tuple[dict[str, Any], set[str] | None]:
    """Give the choice (empty for the default), and the only tools allowed where there is such a list."""
    if choice is None:
        return {}, None
    if choice in ("auto", "none"):
        return {"type": choice}, None
    if choice == "required":
        return {"type": "any"}, None
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "tool", "name": text(mapping(choice.get("function")).get("name"))}, None
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = mapping(choice.get("allowed_tools"))
        names = {text(mapping(tool.get("function")).get("name")) for tool in dicts(allowed.get("tools"))}
        return {"type": "any" if allowed.get("mode") == "required" else "auto"}, names
    crossing.drop("tool_choice")
    return {}, None


def _format(body: dict[str, Any], out: dict[str, Any], crossing: Crossing) -> None:
    shape = body.get("response_format")
    if shape is None:
        return
    kind = shape.get("type") if isinstance(shape, dict) else None
    if kind == "json_schema":
        schema = mapping(shape.get("json_schema")).get("schema")
        if not isinstance(schema, dict):
            raise crossing.invalid("response_format.json_schema.schema", "must be an object")
        out["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    elif kind != "text":
        crossing.drop("response_format", "only `json_schema` and `text`")


def _reasoning(body: dict[str, Any], out: dict[str, Any], crossing: Crossing, options: Options) -> None:
    effort = body.get("reasoning_effort")
    if effort is None:
        return
    if effort == "none":
        out["thinking"] = {"type": "disabled"}
        return
    level = _EFFORTS.get(effort) if isinstance(effort, str) else None
    if level is None:
        crossing.drop("reasoning_effort", "an effort of another name")
        return
    forced = mapping(out.get("tool_choice")).get("type") in ("any", "tool")
    if options.thinking == "adaptive":
        out["output_config"] = {**mapping(out.get("output_config")), "effort": level}
        if not forced:
            out["thinking"] = {"type": "adaptive"}
        return
    limit = out["max_tokens"]
    # A budget asks that an open tool round begins with the signed thinking, which a chat client cannot have kept.
    if not forced and type(limit) is int and limit > 2048 and not _in_unsigned_round(out["messages"]):
        out["thinking"] = {"type": "enabled", "budget_tokens": min(_BUDGETS[effort], limit // 2)}


def _in_unsigned_round(turns: list[dict[str, Any]]) -> bool:
    if len(turns) < 2 or not any(block.get("type") == "tool_result" for block in turns[-1]["content"]):
        return False
    return turns[-2]["content"][0].get("type") not in ("thinking", "redacted_thinking")
