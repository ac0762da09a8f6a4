"""Read a request of any dialect into one `Ask`. Refuses, by name of the field, what a real provider refuses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from meliora.errors import InvalidRequest
from meliora.telemetry.records import Dialect

Role = Literal["system", "user", "assistant", "tool"]
Body = dict[str, Any]

IMAGE_TOKENS = 85
MOST_CHOICES = 16
EFFORT_TOKENS = {"minimal": 8, "low": 16, "medium": 32, "high": 64, "xhigh": 128, "max": 128}


@dataclass(frozen=True)
class Turn:
    """One message: who said it, its text, and how many images came with it."""

    role: Role
    text: str
    images: int = 0


@dataclass(frozen=True)
class Tool:
    """A function that may be called."""

    name: str
    schema: Body


@dataclass(frozen=True)
class Shape:
    """What was asked about the form of the answer, whatever it says."""

    tools: tuple[Tool, ...] = ()
    choice: str = "auto"
    """`auto`, `none`, `any`, or `tool:NAME`."""
    parallel: bool = True
    schema: Body | None = None
    """JSON schema of the answer; `{}` for any JSON object."""
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    count: int = 1
    reasoning_tokens: int = 0
    """Tokens of hidden or shown thinking; 0 for none."""


@dataclass(frozen=True)
class Ask:
    """A request, whatever its dialect."""

    dialect: Dialect
    model: str
    turns: tuple[Turn, ...]
    shape: Shape
    stream: bool
    include_usage: bool
    cached: bool
    """The request marks its prompt as one to be cached."""
    body: Body

    @property
    def question(self) -> str:
        """The last thing a user said; empty where none did."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == "user"), "")

    @property
    def images(self) -> int:
        """How many images the conversation holds."""
        return sum(turn.images for turn in self.turns)

    @property
    def input_tokens(self) -> int:
        """A quarter of the characters, four a message, 85 an image, and what the tools' schemas take."""
        chars = sum(len(turn.text) for turn in self.turns)
        tools = sum(len(tool.name) + len(str(tool.schema)) for tool in self.shape.tools)
        return -(-chars // 4) + 4 * len(self.turns) + IMAGE_TOKENS * self.images + -(-tools // 4)


def read_chat(body: Body) -> Ask:
    """Read a chat completion request."""
    choice = body.get("tool_choice")
    forced = choice.get("function") if isinstance(choice, dict) else None
    form = body.get("response_format")
    schema = form.get("json_schema") if isinstance(form, dict) else None
    stop = body.get("stop")
    shape = Shape(
        tools=tuple(_functions(tool.get("function") for tool in _dicts(body, "tools"))),
        choice=_choice(forced.get("name") if isinstance(forced, dict) else choice),
        parallel=body.get("parallel_tool_calls") is not False,
        schema=_answer_schema(form, schema.get("schema") if isinstance(schema, dict) else None),
        stop=tuple([stop] if isinstance(stop, str) else _texts(stop)),
        max_tokens=_limit(body, "max_completion_tokens") or _limit(body, "max_tokens"),
        count=_limit(body, "n") or 1,
        reasoning_tokens=EFFORT_TOKENS.get(str(body.get("reasoning_effort")), 0),
    )
    if shape.count > MOST_CHOICES:
        raise InvalidRequest(f"`n` is larger than {MOST_CHOICES}.", field="n")
    options = body.get("stream_options")
    wants_usage = isinstance(options, dict) and options.get("include_usage") is True
    turns = tuple(_turn(message, "content") for message in _messages(body, "messages"))
    return _ask("chat", body, turns, shape, include_usage=wants_usage, cached=bool(body.get("prompt_cache_key")))


def read_responses(body: Body) -> Ask:
    """Read a request of the responses API. It keeps nothing, so no earlier response can be gone on from."""
    if body.get("previous_response_id") is not None:
        raise InvalidRequest("The simulated provider keeps no responses.", field="previous_response_id")
    choice = body.get("tool_choice")
    text = body.get("text")
    form = text.get("format") if isinstance(text, dict) else None
    reasoning = body.get("reasoning")
    shape = Shape(
        tools=tuple(_functions(tool for tool in _dicts(body, "tools") if tool.get("type") == "function")),
        choice=_choice(choice.get("name") if isinstance(choice, dict) else choice),
        parallel=body.get("parallel_tool_calls") is not False,
        schema=_answer_schema(form, form.get("schema") if isinstance(form, dict) else None),
        max_tokens=_limit(body, "max_output_tokens"),
        reasoning_tokens=EFFORT_TOKENS.get(str(reasoning.get("effort")), 0) if isinstance(reasoning, dict) else 0,
    )
    turns = list(_items(body))
    if isinstance(body.get("instructions"), str):
        turns.insert(0, Turn("system", body["instructions"]))
    cached = bool(body.get("prompt_cache_key"))
    return _ask("responses", body, tuple(turns), shape, include_usage=True, cached=cached)


def read_messages(body: Body, *, counting: bool = False) -> Ask:
    """Read an Anthropic request; one that only counts tokens needs no `max_tokens`."""
    if not counting and _limit(body, "max_tokens") is None:
        raise InvalidRequest("`max_tokens` is required.", field="max_tokens")
    choice = body.get("tool_choice")
    choice = choice if isinstance(choice, dict) else {}
    config = body.get("output_config")
    form = config.get("format") if isinstance(config, dict) else body.get("output_format")
    shape = Shape(
        tools=tuple(_functions(tool for tool in _dicts(body, "tools") if "input_schema" in tool)),
        choice=_choice(choice.get("name") if choice.get("type") == "tool" else choice.get("type")),
        parallel=choice.get("disable_parallel_tool_use") is not True,
        schema=_answer_schema(form, form.get("schema") if isinstance(form, dict) else None),
        stop=tuple(_texts(body.get("stop_sequences"))),
        max_tokens=_limit(body, "max_tokens"),
        reasoning_tokens=_thinking(body.get("thinking")),
    )
    turns = [_turn(message, "content") for message in _messages(body, "messages")]
    system = _content(body.get("system"))
    if system[0]:
        turns.insert(0, Turn("system", system[0]))
    cached = any(_marked(part) for part in _parts(body.get("system"), body["messages"]))
    return _ask("messages", body, tuple(turns), shape, include_usage=True, cached=cached)


def _ask(
    dialect: Dialect, body: Body, turns: tuple[Turn, ...], shape: Shape, *, include_usage: bool, cached: bool
) -> Ask:
    stream = body.get("stream", False)
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequest("`stream` is not a boolean.", field="stream")
    model = body.get("model")
    if not isinstance(model, str):
        raise InvalidRequest("`model` is not a string.", field="model")
    return Ask(dialect, model, turns, shape, bool(stream), include_usage, cached, body)


def _messages(body: Body, field: str) -> list[Body]:
    messages = body.get(field)
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        raise InvalidRequest(f"`{field}` is not a list of at least one message.", field=field)
    return messages


def _turn(message: Body, field: str) -> Turn:
    role = message.get("role")
    if role == "developer":
        role = "system"
    if role not in ("system", "user", "assistant", "tool"):
        raise InvalidRequest("`role` is not one of system, developer, user, assistant, tool.", field="messages.role")
    parts = message.get(field)
    text, images = _content(parts)
    results = [part for part in _dicts({"parts": parts}, "parts") if part.get("type") == "tool_result"]
    if results:
        return Turn("tool", "\n".join(_content(part.get("content"))[0] for part in results), images)
    return Turn(role, text, images)


def _items(body: Body) -> Iterable[Turn]:
    given = body.get("input")
    if isinstance(given, str):
        yield Turn("user", given)
        return
    for item in _messages(body, "input"):
        kind = item.get("type", "message")
        if kind == "message":
            yield _turn(item, "content")
        elif kind == "function_call_output":
            yield Turn("tool", _content(item.get("output"))[0])


def _content(content: Any) -> tuple[str, int]:
    """Give the text of a message's content and how many images are in it."""
    if isinstance(content, str):
        return content, 0
    parts = _dicts({"content": content}, "content")
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    images = sum(part.get("type") in ("image_url", "input_image", "image") for part in parts)
    return "\n".join(texts), images


def _dicts(body: Body, field: str) -> list[Body]:
    value = body.get(field)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str) and each] if isinstance(value, list) else []


def _functions(given: Iterable[Any]) -> Iterable[Tool]:
    for function in given:
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            schema = function.get("parameters") or function.get("input_schema")
            yield Tool(function["name"], schema if isinstance(schema, dict) else {"type": "object"})


def _choice(choice: Any) -> str:
    if choice in (None, "auto", "none"):
        return choice or "auto"
    return "any" if choice in ("any", "required") else f"tool:{choice}"


def _answer_schema(form: Any, schema: Any) -> Body | None:
    if not isinstance(form, dict) or form.get("type") not in ("json_schema", "json_object"):
        return None
    return schema if isinstance(schema, dict) else {}


def _limit(body: Body, field: str) -> int | None:
    value = body.get(field)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidRequest(f"`{field}` is not a positive integer.", field=field)
    return value


def _thinking(thinking: Any) -> int:
    if not isinstance(thinking, dict) or thinking.get("type") not in ("enabled", "adaptive"):
        return 0
    budget = thinking.get("budget_tokens")
    return min(budget, 32) if isinstance(budget, int) and budget > 0 else 32


def _parts(system: Any, messages: list[Body]) -> Iterable[Any]:
    for content in (system, *(message.get("content") for message in messages)):
        if isinstance(content, list):
            yield from content


def _marked(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("cache_control"), dict)
