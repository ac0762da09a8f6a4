"""How each top-level field of a request crosses from one dialect to another: the tables that translation obeys.

`crossing_table` writes them out for the documentation. A field that stands in no table is unknown and refused by name.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from meliora.telemetry.records import Dialect

How = Literal["same", "converted", "ignored", "refused"]


class Field(msgspec.Struct, frozen=True):
    """How one field crosses. `harmless` are the values of a refused field that ask for nothing; null always is."""

    how: How
    to: str = ""
    note: str = ""
    harmless: tuple[Any, ...] = ()


def _same(note: str = "") -> Field:
    return Field("same", note=note)


def _to(to: str, note: str = "") -> Field:
    return Field("converted", to, note)


def _ignored(note: str) -> Field:
    return Field("ignored", note=note)


def _refused(note: str = "no counterpart", *harmless: Any) -> Field:
    return Field("refused", note=note, harmless=harmless)


_CACHE_HINT = "a hint to the provider's cache; the answer is the same without it"

CHAT_TO_MESSAGES: dict[str, Field] = {
    "model": _same(),
    "messages": _to("messages, system", "system and developer turns move to `system`; see the parts below"),
    "stream": _same(),
    "stream_options": _to("-", "`include_usage` is served by the gateway; obfuscation is not added"),
    "max_completion_tokens": _to("max_tokens", "without either: the model's declared `max_output`, or 4096"),
    "max_tokens": _to("max_tokens"),
    "temperature": _to("temperature", "above 1 is refused (with loss: 1); exactly 1 is the default and left out"),
    "top_p": _to("top_p", "exactly 1 is the default and left out"),
    "stop": _to("stop_sequences", "sequences of white space alone are refused"),
    "tools": _to("tools", "function tools; custom tools are refused"),
    "tool_choice": _to("tool_choice", "`required` is `any`; `allowed_tools` leaves only those tools"),
    "parallel_tool_calls": _to("tool_choice.disable_parallel_tool_use"),
    "response_format": _to("output_config.format", "`json_schema`; `text` is the default; `json_object` is refused"),
    "reasoning_effort": _to(
        "output_config.effort, thinking", "`minimal` is `low`, `none` disables; left out where a tool is forced"
    ),
    "user": _to("metadata.user_id"),
    "safety_identifier": _to("metadata.user_id", "where `user` is not given"),
    "service_tier": _to("service_tier", "`auto` and `default` (`standard_only`); others are refused"),
    "metadata": _ignored("labels of a stored completion"),
    "store": _ignored("nothing is stored at the provider"),
    "prompt_cache_key": _ignored(_CACHE_HINT),
    "prompt_cache_retention": _ignored(_CACHE_HINT),
    "prompt_cache_options": _ignored(_CACHE_HINT),
    "n": _refused("more than one answer", 1),
    "logprobs": _refused("no counterpart", False),
    "top_logprobs": _refused("no counterpart", 0),
    "logit_bias": _refused(),
    "frequency_penalty": _refused("no counterpart", 0),
    "presence_penalty": _refused("no counterpart", 0),
    "seed": _refused(),
    "audio": _refused(),
    "modalities": _refused("no counterpart", ["text"]),
    "prediction": _refused(),
    "verbosity": _refused("no counterpart", "medium"),
    "web_search_options": _refused(),
    "moderation": _refused(),
    "functions": _refused("deprecated; use `tools`"),
    "function_call": _refused("deprecated; use `tool_choice`", "auto", "none"),
}

MESSAGES_TO_CHAT: dict[str, Field] = {
    "model": _same(),
    "messages": _to(
        "messages",
        "see the parts below; a last turn of the assistant (prefill) is refused (with loss: sent as a turn like any other)",
    ),
    "system": _to("messages", "the first message"),
    "stream": _to("stream, stream_options", "usage is asked for, where the provider takes it"),
    "max_tokens": _to("max_completion_tokens", "or `max_tokens`, as the provider is declared"),
    "temperature": _same(),
    "top_p": _same(),
    "stop_sequences": _to("stop"),
    "tools": _to("tools", "client tools; the provider's own tools are refused"),
    "tool_choice": _to("tool_choice, parallel_tool_calls", "`any` is `required`"),
    "output_config": _to("response_format, reasoning_effort", "`format` and `effort`"),
    "output_format": _to("response_format", "the older name of `output_config.format`"),
    "thinking": _to(
        "reasoning_effort",
        "by budget: below 4,096 low, below 16,384 medium, else high; adaptive leaves it to the model",
    ),
    "metadata": _to("user", "`user_id`"),
    "service_tier": _to("service_tier", "`standard_only` is `default`; `auto` is left out"),
    "cache_control": _ignored(_CACHE_HINT),
    "diagnostics": _refused(),
    "top_k": _refused(),
    "container": _refused(),
    "context_management": _refused(),
    "mcp_servers": _refused(),
    "thread": _refused("refused with loss too: the provider keeps no conversation; the SDK then sends the whole of it"),
    "inference_geo": _refused("where a call is processed is set by the key's regions"),
    "speed": _refused("no counterpart", "standard"),
    "user_profile_id": _refused(),
    "workspace_id": _refused(),
}

RESPONSES_TO_CHAT: dict[str, Field] = {
    "model": _same(),
    "input": _to("messages", "see the parts below"),
    "instructions": _to("messages", "the first message"),
    "stream": _to("stream, stream_options", "usage is asked for, where the provider takes it"),
    "stream_options": _ignored("obfuscation is not added"),
    "max_output_tokens": _to("max_completion_tokens", "or `max_tokens`, as the provider is declared"),
    "temperature": _same(),
    "top_p": _same(),
    "top_logprobs": _to("logprobs, top_logprobs"),
    "include": _to("logprobs", "`message.output_text.logprobs`; what belongs to refused tools asks for nothing"),
    "tools": _to("tools", "function and custom tools; built-in tools are refused"),
    "tool_choice": _to("tool_choice"),
    "parallel_tool_calls": _to("parallel_tool_calls", "where there are tools"),
    "text": _to("response_format, verbosity"),
    "reasoning": _to("reasoning_effort", "a summary is given where the provider shows its reasoning"),
    "user": _same(),
    "safety_identifier": _same(),
    "service_tier": _to("service_tier", "`ultrafast` is refused"),
    "prompt_cache_key": _same(),
    "prompt_cache_retention": _same(),
    "prompt_cache_options": _to("prompt_cache_options", "`mode` and `ttl`; the others are refused"),
    "metadata": _ignored("given back in the answer, not sent"),
    "store": _ignored("nothing is stored: fetching by id and `previous_response_id` are refused"),
    "previous_response_id": _refused("the provider keeps no conversation: send the whole of it as `input`"),
    "conversation": _refused("the provider keeps no conversation: send the whole of it as `input`"),
    "prompt": _refused("prompts kept at the provider"),
    "background": _refused("no counterpart", False),
    "truncation": _refused("no counterpart", "disabled"),
    "max_tool_calls": _refused("limits built-in tools, which are refused"),
    "context_management": _refused(),
    "moderation": _refused(),
    "image": _refused(),
    "access_programs": _refused(),
}

TABLES: dict[tuple[Dialect, Dialect], dict[str, Field]] = {
    ("chat", "messages"): CHAT_TO_MESSAGES,
    ("messages", "chat"): MESSAGES_TO_CHAT,
    ("responses", "chat"): RESPONSES_TO_CHAT,
}

# Chat fields that a responses client knows by another name: a refusal has to name what the client sent.
RESPONSES_NAMES = {
    "logprobs": "include",
    "top_logprobs": "top_logprobs",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
    "reasoning_effort": "reasoning.effort",
    "messages": "input",
}

_PARTS = (
    ("text", "text", "text", "input_text, output_text", "same everywhere"),
    ("image", "image_url (data or https URL)", "image (base64 or url source)", "input_image",
     "a URL is passed on, never fetched; `file_id` only from responses to chat"),
    ("PDF, text document", "file (`file_data`)", "document (base64, text, url source)", "input_file",
     "a URL source crosses between responses and messages only"),
    ("audio", "input_audio", "-", "input_audio", "refused by messages"),
    ("tool call", "tool_calls", "tool_use", "function_call", "ids are kept where the other side takes their form"),
    ("tool result", "role `tool`", "tool_result", "function_call_output",
     "images in it need messages upstream; `is_error` becomes the word `Error:`"),
    ("custom tool call", "tool_calls (custom)", "-", "custom_tool_call", "refused by messages"),
    ("reasoning", "reasoning_content (answers only)", "thinking", "reasoning",
     "signatures cross between responses and messages, inside `encrypted_content`; to chat a signed block is refused"),
    ("refusal", "refusal", "stop_reason `refusal`", "refusal", "to messages its words become text"),
    ("cache marks", "prompt_cache_breakpoint", "cache_control", "prompt_cache_breakpoint", "hints; left out"),
    ("citations, server tools, search results", "-", "their own blocks", "their own items", "refused"),
)  # fmt: skip


def crossing_table() -> str:
    """Write what crosses as Markdown: one table a pair of dialects, then one of the parts of messages."""
    lines: list[str] = []
    for (client, upstream), table in TABLES.items():
        lines += [
            f"### {client} client, {upstream} upstream",
            "",
            "| field | crosses | to | remark |",
            "|---|---|---|---|",
        ]
        for name, field in table.items():
            harmless = ", ".join(f"`{_shown(value)}`" for value in field.harmless)
            note = f"{field.note}; {harmless} may stand" if harmless else field.note
            lines.append(f"| `{name}` | {field.how} | {_codes(field.to)} | {note} |")
        lines.append("")
    lines += [
        "### responses client, messages upstream",
        "",
        "The responses table, then the chat table; an error names the field as the client sent it. Reasoning items keep",
        "their signatures, tool results their images, and documents their URLs.",
        "",
        "### Parts of messages",
        "",
        "| part | chat | messages | responses | remark |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {' | '.join(row)} |" for row in _PARTS]
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _codes(to: str) -> str:
    return ", ".join(f"`{name}`" for name in to.split(", ")) if to and to != "-" else ""
