"""What the record keeps of an answer: its text, why it ended, what it used. Never raises on what a provider sent.

A stream is read once, after it ended, from its collected bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from meliora.gateway.dialects.errors import fault_of
from meliora.gateway.dialects.events import decode, error_in
from meliora.gateway.dialects.sse import iter_events
from meliora.gateway.dialects.toolcalls import Places, arguments_of
from meliora.gateway.dialects.usage import read_usage
from meliora.telemetry.records import Dialect, Usage


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """An answer in short. `complete`: the dialect's own end was seen. `malformed`: events that were no JSON object."""

    response_id: str | None = None
    model: str | None = None
    text: str = ""
    """The assistant's words, then a line `name(arguments)` a tool call, then refusals. Reasoning is left out."""
    finish_reason: str | None = None
    usage: Usage | None = None
    calls: int = 0
    """Tool calls in it."""
    error_code: str | None = None
    error_message: str | None = None
    complete: bool = False
    malformed: int = 0


class Gathered:
    """What has been gathered of one answer so far."""

    __slots__ = (
        "calls",
        "complete",
        "error",
        "finish",
        "id",
        "malformed",
        "model",
        "places",
        "refusal",
        "texts",
        "usage",
    )

    def __init__(self) -> None:
        self.id: str | None = None
        self.model: str | None = None
        self.texts: list[str] = []
        self.calls: dict[Any, list[str]] = {}
        self.places: dict[int, Places] = {}
        """Tool calls of a chat answer, by choice."""
        self.refusal: list[str] = []
        self.finish: str | None = None
        self.usage: dict[str, Any] = {}
        self.error: dict[str, Any] | None = None
        self.complete = False
        self.malformed = 0

    def head(self, holder: dict[str, Any]) -> None:
        """Take id and model from the object that carries them."""
        given, model = holder.get("id"), holder.get("model")
        if isinstance(given, str) and given:
            self.id = given
        if isinstance(model, str) and model:
            self.model = model

    def text(self, value: Any) -> None:
        """Take a piece of the assistant's words."""
        if isinstance(value, str):
            self.texts.append(value)

    def call(self, key: Any, name: Any, arguments: Any) -> None:
        """Take a tool call, or a further piece of its arguments, under the key it goes by."""
        pieces = self.calls.setdefault(key, [""])
        if isinstance(name, str) and name:
            pieces[0] = name
        if isinstance(arguments, str):
            pieces.append(arguments)

    def merge_usage(self, usage: Any) -> None:
        """Take counts; later ones stand in for earlier ones, unknown ones change nothing."""
        if isinstance(usage, dict):
            self.usage.update((name, value) for name, value in usage.items() if value is not None)

    def summary(self, dialect: Dialect) -> Summary:
        """Put together what was gathered."""
        lines = ["".join(self.texts)] if self.texts else []
        lines += [f"{pieces[0]}({''.join(pieces[1:])})" for pieces in self.calls.values()]
        if self.refusal:
            lines.append("".join(self.refusal))
        fault = fault_of(self.error) if self.error is not None else None
        return Summary(
            response_id=self.id,
            model=self.model,
            text="\n".join(line for line in lines if line),
            finish_reason=self.finish,
            usage=read_usage(dialect, self.usage),
            calls=len(self.calls),
            error_code=(fault.code or "upstream_error") if fault else None,
            error_message=fault.message if fault else None,
            complete=self.complete,
            malformed=self.malformed,
        )


def summarise_body(dialect: Dialect, body: bytes | dict[str, Any]) -> Summary:
    """Read a whole answer. One that is no JSON object counts as one malformed event."""
    decoded = decode(body) if isinstance(body, bytes) else body
    if not isinstance(decoded, dict):
        return Summary(malformed=1)
    if dialect == "chat" and (plain := _plain_chat(decoded)) is not None:
        return plain
    gathered = Gathered()
    gathered.head(decoded)
    gathered.merge_usage(decoded.get("usage"))
    gathered.error = error_in(dialect, decoded)
    gathered.complete = gathered.error is None
    if dialect == "chat":
        for choice in _dicts(decoded.get("choices")):
            _chat_choice(gathered, choice, choice.get("message"))
    elif dialect == "messages":
        for index, block in enumerate(_dicts(decoded.get("content"))):
            _block(gathered, index, block)
        gathered.finish = _text(decoded.get("stop_reason"))
    elif dialect == "responses":
        _response(gathered, decoded)
    return gathered.summary(dialect)


_PLAIN_CHAT = frozenset(("role", "content", "refusal", "annotations", "reasoning_content", "reasoning"))


def _plain_chat(body: dict[str, Any]) -> Summary | None:
    """Read the usual answer, one choice of words and nothing else, in one go; None for any other."""
    choices = body.get("choices")
    if type(choices) is not list or len(choices) != 1 or "error" in body or type(choices[0]) is not dict:
        return None
    message, finish = choices[0].get("message"), choices[0].get("finish_reason")
    if type(message) is not dict or not _PLAIN_CHAT.issuperset(message) or message.get("refusal"):
        return None
    text, given, model = message.get("content"), body.get("id"), body.get("model")
    if type(text) is not str or type(finish) is not str or type(given) is not str or type(model) is not str:
        return None
    return Summary(
        response_id=given or None,
        model=model or None,
        text=text,
        finish_reason=finish,
        usage=read_usage("chat", body.get("usage")),
        complete=True,
    )


def summarise_stream(dialect: Dialect, raw: bytes) -> Summary:
    """Read the collected bytes of a stream, whole or cut anywhere."""
    gathered = Gathered()
    take = _TAKERS[dialect]
    events = raw if raw[-2:] == b"\n\n" else raw + b"\n\n"
    cut = events is not raw and raw[-1:] not in (b"\n", b"\r")
    last_bad = False
    for event in iter_events(events):
        last_bad = False
        data = event.data
        if data == b"[DONE]":
            gathered.complete = True
            continue
        body = decode(data)
        if body is None:
            gathered.malformed += 1
            last_bad = True
            continue
        take(gathered, body)
    if cut and last_bad:
        gathered.malformed -= 1  # an event that the cut went through was well-formed for all we know
    return gathered.summary(dialect)


def _take_chat(gathered: Gathered, body: dict[str, Any]) -> None:
    if gathered.id is None:
        gathered.head(body)
    choices = body.get("choices")
    if isinstance(choices, list):
        for choice in choices:
            if isinstance(choice, dict):
                _chat_choice(gathered, choice, choice.get("delta"))
    usage = body.get("usage")
    if usage is not None:
        gathered.merge_usage(usage)
    if "error" in body:
        gathered.error = error_in("chat", body) or gathered.error


def _chat_choice(gathered: Gathered, choice: dict[str, Any], said: Any) -> None:
    finish = choice.get("finish_reason")
    if isinstance(finish, str):
        gathered.finish = finish
        gathered.complete = True
    if not isinstance(said, dict):
        return
    content = said.get("content")
    if content.__class__ is str:
        gathered.texts.append(content)  # pyright: ignore[reportArgumentType] - narrowed by class, for speed
    if "tool_calls" in said:
        places = gathered.places.setdefault(_key(choice), Places())
        for call in _dicts(said["tool_calls"]):
            function = call.get("function") or call.get("custom")
            if isinstance(function, dict):
                gathered.call((_key(choice), places.of(call)), function.get("name"), arguments_of(call))
    function = said.get("function_call")
    if isinstance(function, dict):
        gathered.call("function_call", function.get("name"), function.get("arguments"))
    refusal = said.get("refusal")
    if isinstance(refusal, str):
        gathered.refusal.append(refusal)


def _take_messages(gathered: Gathered, body: dict[str, Any]) -> None:
    kind = body.get("type")
    if kind == "content_block_delta":
        delta = body.get("delta")
        if isinstance(delta, dict):
            text = delta.get("text")
            if isinstance(text, str):
                gathered.texts.append(text)
            elif delta.get("type") == "input_json_delta":
                gathered.call(_key(body), None, delta.get("partial_json"))
    elif kind == "content_block_start":
        block = body.get("content_block")
        if isinstance(block, dict):
            _block(gathered, _key(body), block, started=True)
    elif kind == "message_start":
        message = body.get("message")
        if isinstance(message, dict):
            gathered.head(message)
            gathered.merge_usage(message.get("usage"))
    elif kind == "message_delta":
        delta = body.get("delta")
        if isinstance(delta, dict):
            gathered.finish = _text(delta.get("stop_reason")) or gathered.finish
        gathered.merge_usage(body.get("usage"))
    elif kind == "message_stop":
        gathered.complete = True
    elif kind == "error":
        gathered.error = error_in("messages", body)


def _block(gathered: Gathered, key: Any, block: dict[str, Any], *, started: bool = False) -> None:
    kind = block.get("type")
    if kind == "text":
        gathered.text(block.get("text"))
    elif kind in ("tool_use", "server_tool_use", "mcp_tool_use"):
        arguments = "" if started else _json(block.get("input"))
        gathered.call(key, block.get("name"), arguments)


def _take_responses(gathered: Gathered, body: dict[str, Any]) -> None:
    kind = body.get("type")
    if kind == "response.output_text.delta":
        gathered.text(body.get("delta"))
    elif kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
        gathered.call(_key(body, "output_index"), None, body.get("delta"))
    elif kind == "response.refusal.delta":
        if isinstance(body.get("delta"), str):
            gathered.refusal.append(body["delta"])
    elif kind == "response.output_item.added":
        item = body.get("item")
        if isinstance(item, dict) and item.get("type") in ("function_call", "custom_tool_call"):
            gathered.call(_key(body, "output_index"), item.get("name"), None)
    elif kind in ("response.completed", "response.incomplete", "response.failed"):
        response = body.get("response")
        if isinstance(response, dict):
            _response(gathered, response, text=not gathered.texts and not gathered.calls and not gathered.refusal)
            gathered.merge_usage(response.get("usage"))
        gathered.complete = True
        if kind == "response.failed":
            gathered.error = error_in("responses", body)
    elif kind == "response.created":
        response = body.get("response")
        if isinstance(response, dict):
            gathered.head(response)
    elif kind == "error":
        gathered.error = error_in("responses", body)


def _response(gathered: Gathered, response: dict[str, Any], *, text: bool = True) -> None:
    gathered.head(response)
    status = _text(response.get("status"))
    details = response.get("incomplete_details")
    reason = _text(details.get("reason")) if isinstance(details, dict) else None
    gathered.finish = reason if status == "incomplete" and reason else status
    for index, item in enumerate(_dicts(response.get("output")) if text else ()):
        kind = item.get("type")
        if kind == "message":
            for part in _dicts(item.get("content")):
                gathered.text(part.get("text"))
                if isinstance(part.get("refusal"), str):
                    gathered.refusal.append(part["refusal"])
        elif kind in ("function_call", "custom_tool_call"):
            gathered.call(index, item.get("name"), item.get("arguments") or item.get("input"))


def _take_embeddings(gathered: Gathered, body: dict[str, Any]) -> None:
    gathered.head(body)
    gathered.merge_usage(body.get("usage"))


_TAKERS: dict[Dialect, Callable[[Gathered, dict[str, Any]], None]] = {
    "chat": _take_chat,
    "messages": _take_messages,
    "responses": _take_responses,
    "embeddings": _take_embeddings,
}


def _key(body: dict[str, Any], name: str = "index") -> int:
    value = body.get(name)
    return value if isinstance(value, int) else 0


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _json(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (ValueError, RecursionError):
        return ""
