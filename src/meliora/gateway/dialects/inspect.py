"""Read what the gateway must know of a request: which model, what text, what it asks for.

Checks only what it needs; everything else is the upstream's to judge. No recursion: content nests two deep at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from meliora.errors import InvalidRequest
from meliora.gateway.dialects.raw import ask_for_usage, check_duplicates, splice_model
from meliora.telemetry.records import Dialect

__all__ = ["RequestView", "ask_for_usage", "check_duplicates", "inspect_request", "splice_model"]

_IMAGES = frozenset(("image_url", "input_image", "image"))
_AUDIO = frozenset(("input_audio", "audio"))
_FILES = frozenset(("file", "input_file", "document", "container_upload"))
_SYSTEM = ("system", "developer")
_RARE = frozenset(
    (
        "functions",
        "metadata",
        "modalities",
        "output_config",
        "output_format",
        "previous_response_id",
        "reasoning",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "stream_options",
        "text",
        "thinking",
        "tools",
        "user",
    )
)
"""Fields that say more of a request than its model, its words and its limit."""


class RequestView(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the gateway sees it, whatever its dialect."""

    model: str
    stream: bool = False
    prompt_text: str = ""
    """System prompt and the last user message that has text, for rules and the classifier."""
    input_chars: int = 0
    """Characters of all text: system, turns, tool calls and results, tool definitions."""
    turns: int = 0
    has_tools: bool = False
    has_images: bool = False
    has_schema: bool = False
    has_audio: bool = False
    has_files: bool = False
    wants_reasoning: bool = False
    max_output_tokens: int | None = None
    user: str | None = None
    includes_usage: bool = False
    previous_response_id: str | None = None


class _Reader:
    """Collects text and kinds of parts while it walks over the turns."""

    __slots__ = ("chars", "kinds", "system", "user")

    def __init__(self) -> None:
        self.chars = 0
        self.kinds: set[str] = set()
        self.system: list[str] = []
        self.user = ""

    def text(self, content: Any) -> str:
        """Give a content's text (a string, or a list of parts), and count it."""
        if isinstance(content, str):
            self.chars += len(content)
            return content
        if not isinstance(content, list):
            return ""
        texts: list[str] = []
        for part in content:
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, dict):
                self._part(part, texts)
        joined = "\n".join(texts)
        self.chars += len(joined)
        return joined

    def _part(self, part: dict[str, Any], texts: list[str]) -> None:
        text = part.get("text")
        if isinstance(text, str):
            texts.append(text)
            return
        kind = part.get("type")
        if isinstance(kind, str):
            self.kinds.add(kind)
            if kind == "tool_result":
                self._result(part.get("content"))
            elif kind == "tool_use":
                self.chars += _size(part.get("input"))

    def _result(self, content: Any) -> None:
        if isinstance(content, str):
            self.chars += len(content)
        elif isinstance(content, list):
            for part in content:
                if isinstance(part, dict):
                    text = part.get("text")
                    kind = part.get("type")
                    if isinstance(text, str):
                        self.chars += len(text)
                    elif isinstance(kind, str):
                        self.kinds.add(kind)

    def turn(self, message: dict[str, Any]) -> None:
        """Take one message of any dialect, or one item of a responses input."""
        role = message.get("role")
        text = self.text(message.get("content"))
        if role == "user":
            self.user = text or self.user
        elif role in _SYSTEM:
            self.system.append(text)
        elif role == "assistant":
            calls = message.get("tool_calls")
            if isinstance(calls, list):
                for call in calls:
                    function = call.get("function") if isinstance(call, dict) else None
                    if isinstance(function, dict):
                        self.chars += _length(function.get("arguments"))
        elif role is None:
            self.chars += _length(message.get("arguments"))
            self.text(message.get("output"))


def inspect_request(dialect: Dialect, body: Any) -> RequestView:
    """Read a decoded request body.

    Raises `InvalidRequest` naming the field where the body is no object, `model` no non-empty string, `messages` or
    `input` of the wrong JSON type, or `stream` no boolean.
    """
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("`model` must be a non-empty string.", hint="Name a model, or `auto`.", field="model")
    stream = body.get("stream")
    if stream is not None and stream is not True and stream is not False:
        raise InvalidRequest("`stream` must be true or false.", field="stream")
    reader = _Reader()
    turns = _turns(dialect, body)
    if isinstance(turns, str):
        reader.user = reader.text(turns)
    else:
        for turn in turns:
            if type(turn) is dict:
                reader.turn(turn)
    for name in ("system", "instructions"):
        if name in body and dialect != "chat":
            reader.system.insert(0, reader.text(body[name]))
    return _view(dialect, body, reader, 1 if isinstance(turns, str) else len(turns))


def _turns(dialect: Dialect, body: dict[str, Any]) -> str | list[Any]:
    if dialect == "chat" or dialect == "messages":
        messages = body.get("messages")
        if not isinstance(messages, list):
            raise InvalidRequest("`messages` must be a list.", field="messages")
        return messages
    given = body.get("input")
    if isinstance(given, str):
        return given
    if dialect == "embeddings":
        if not isinstance(given, list):
            raise InvalidRequest("`input` must be a string or a list.", field="input")
        return _embedded(given)
    if given is None and (body.get("prompt") is not None or body.get("previous_response_id") is not None):
        return []
    if not isinstance(given, list):
        raise InvalidRequest("`input` must be a string or a list.", field="input")
    return given


def _embedded(given: list[Any]) -> str:
    """Text of an embeddings input. A token is counted as four characters, of which nothing else is known."""
    texts = [one if isinstance(one, str) else "    " * (len(one) if isinstance(one, list) else 1) for one in given]
    return "\n".join(texts)


def _view(dialect: Dialect, body: dict[str, Any], reader: _Reader, turns: int) -> RequestView:
    tools = body.get("tools")
    has_tools = isinstance(tools, list) and bool(tools)
    if has_tools:
        reader.chars += _size(tools)
    options = body.get("stream_options")
    previous = body.get("previous_response_id")
    kinds = reader.kinds
    text = "\n".join([*reader.system, reader.user]) if reader.system else reader.user
    if not kinds and _RARE.isdisjoint(body):
        return RequestView(
            model=body["model"],
            stream=body.get("stream") is True,
            prompt_text=text,
            input_chars=reader.chars,
            turns=turns,
            max_output_tokens=_limit(dialect, body),
        )
    return RequestView(
        model=body["model"],
        stream=body.get("stream") is True,
        prompt_text=text,
        input_chars=reader.chars,
        turns=turns,
        has_tools=has_tools or bool(body.get("functions")),
        has_images=bool(kinds) and not kinds.isdisjoint(_IMAGES),
        has_schema=_has_schema(dialect, body),
        has_audio=(bool(kinds) and not kinds.isdisjoint(_AUDIO)) or _speaks(body),
        has_files=bool(kinds) and not kinds.isdisjoint(_FILES),
        wants_reasoning=_reasons(body),
        max_output_tokens=_limit(dialect, body),
        user=_user(dialect, body),
        includes_usage=isinstance(options, dict) and options.get("include_usage") is True,
        previous_response_id=previous if isinstance(previous, str) else None,
    )


def _has_schema(dialect: Dialect, body: dict[str, Any]) -> bool:
    if dialect == "chat":
        shape = body.get("response_format")
    else:
        holder = body.get("text" if dialect == "responses" else "output_config")
        shape = holder.get("format") if isinstance(holder, dict) else body.get("output_format")
    return isinstance(shape, dict) and shape.get("type") == "json_schema"


def _speaks(body: dict[str, Any]) -> bool:
    modalities = body.get("modalities")
    return isinstance(modalities, list) and "audio" in modalities


def _reasons(body: dict[str, Any]) -> bool:
    effort = body.get("reasoning_effort")
    reasoning = body.get("reasoning")
    if isinstance(reasoning, dict):
        effort = reasoning.get("effort")
    thinking = body.get("thinking")
    if isinstance(thinking, dict):
        return thinking.get("type") != "disabled"
    return effort is not None and effort != "none"


def _limit(dialect: Dialect, body: dict[str, Any]) -> int | None:
    names: Iterable[str] = ("max_tokens",)
    if dialect == "chat":
        names = ("max_completion_tokens", "max_tokens")
    elif dialect == "responses":
        names = ("max_output_tokens",)
    for name in names:
        value = body.get(name)
        if type(value) is int and value >= 0:
            return value
    return None


def _user(dialect: Dialect, body: dict[str, Any]) -> str | None:
    if dialect == "messages":
        metadata = body.get("metadata")
        user = metadata.get("user_id") if isinstance(metadata, dict) else None
    else:
        user = body.get("user") or body.get("safety_identifier")
    return user if isinstance(user, str) and user else None


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else 0


def _size(value: Any) -> int:
    """Length of a value as JSON; 0 for what cannot be written (a lone surrogate, say)."""
    try:
        return len(msgspec.json.encode(value)) if value else 0
    except (ValueError, RecursionError):
        return 0
