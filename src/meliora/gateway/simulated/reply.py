"""What a simulated model replies: text, tool calls, thinking and usage, by seed, model and conversation."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from meliora.errors import InvalidRequest
from meliora.gateway.simulated.knowledge import Solution, place_in, solve, stretch, wished_words
from meliora.gateway.simulated.models import SimulatedModel
from meliora.gateway.simulated.reading import Ask, Tool
from meliora.gateway.simulated.schema import instance

LABEL = "[simulated]"
"""How every text begins. Structured answers carry the mark in free strings; all do in head and ids."""

Finish = Literal["stop", "length", "tools", "stop_sequence"]

_PIECE = re.compile(r"\[simulated\]|\s?\w{1,8}|\s?[^\w\s]|\s")


@dataclass(frozen=True)
class ToolCall:
    """A function called, with arguments that are valid for its schema."""

    name: str
    arguments: dict[str, Any]

    @property
    def json(self) -> str:
        """The arguments as they stand on the wire."""
        return msgspec.json.encode(self.arguments).decode()


@dataclass(frozen=True)
class Choice:
    """One of the answers asked for. `pieces` are the tokens of its text, in order."""

    pieces: tuple[str, ...]
    finish: Finish
    calls: tuple[ToolCall, ...] = ()
    stopped_by: str | None = None
    right: bool = True

    @property
    def text(self) -> str:
        """The whole text; empty where only tools are called."""
        return "".join(self.pieces)


@dataclass(frozen=True)
class Tokens:
    """Usage. `input` counts the whole prompt, `cached` is a part of it; `reasoning` is a part of `output`."""

    input: int
    output: int
    cached: int
    reasoning: int


@dataclass(frozen=True)
class Reply:
    """Everything there is to say, before it is put into a dialect."""

    choices: tuple[Choice, ...]
    thinking: tuple[str, ...]
    tokens: Tokens


def reply_to(ask: Ask, model: SimulatedModel, seed: int) -> Reply:
    """Reply to a request. Raises `InvalidRequest` where the prompt is longer than the model's context."""
    if ask.input_tokens > model.context_window:
        raise InvalidRequest(
            f"The prompt has {ask.input_tokens} tokens, more than the context window of {model.context_window}.",
            field="input" if ask.dialect == "responses" else "messages",
        )
    conversation = digest(*(f"{turn.role}\x1f{turn.text}\x1f{turn.images}" for turn in ask.turns))
    room = min(ask.shape.max_tokens or model.max_output, model.max_output)
    thinking = _thoughts(min(ask.shape.reasoning_tokens, room - 1))
    spoken = tuple(
        _choice(ask, model, digest(str(seed), model.name, conversation, str(index)), room - len(thinking))
        for index in range(ask.shape.count)
    )
    output = len(spoken) * len(thinking) + sum(_size(choice) for choice in spoken)
    cached = ask.input_tokens // 2 // 64 * 64 if ask.cached else 0
    return Reply(spoken, thinking, Tokens(ask.input_tokens, output, cached, len(spoken) * len(thinking)))


def lengthened(reply: Reply, pieces: int) -> Reply:
    """Give the reply with its first text stretched to so many tokens, as its usage says too."""
    first = reply.choices[0]
    text = tuple(f" {i}" if i else LABEL for i in range(pieces))
    choice = Choice(text, "stop")
    tokens = Tokens(
        reply.tokens.input, reply.tokens.output - _size(first) + pieces, reply.tokens.cached, reply.tokens.reasoning
    )
    return Reply((choice, *reply.choices[1:]), reply.thinking, tokens)


def digest(*parts: str) -> str:
    """Give 32 hex digits of all the parts, in order."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        state.update(len(data).to_bytes(8, "big") + data)
    return state.hexdigest()


def _choice(ask: Ask, model: SimulatedModel, drawn: str, room: int) -> Choice:
    """Draw whether the answer is right: with the model's declared probability for this type of task."""
    solution = solve(ask.question, int(drawn[16:], 16))
    right = int(drawn[:16], 16) / 2**64 < model.quality.get(solution.task, 1.0)
    calls = _calls(ask, solution, right)
    if calls:
        return Choice((), "tools", calls, right=right)
    text, finish, stopped_by = _stopped(_say(ask, solution, right), ask.shape.stop)
    pieces = tuple(_PIECE.findall(text))
    if len(pieces) > room:
        return Choice(pieces[:room], "length", right=right)
    return Choice(pieces, finish, stopped_by=stopped_by, right=right)


def _say(ask: Ask, solution: Solution, right: bool) -> str:
    if ask.shape.schema is not None:
        value = solution.value if right else solution.wrong
        hints: dict[str, Any] = dict.fromkeys(("answer", "result", "value", "final_answer"), value)
        return msgspec.json.encode(instance(ask.shape.schema or {"type": "object"}, _hints(ask, hints))).decode()
    said = solution.right if right else solution.wrong
    if ask.turns[-1].role == "tool":
        said = f"The tool answered: {ask.turns[-1].text[:400]}"
    if ask.images:
        said = f"I see {ask.images} image{'s' if ask.images > 1 else ''}. {said}"
    words = wished_words(ask.question)
    return f"{LABEL} {stretch(said, words) if words else said}"


def _calls(ask: Ask, solution: Solution, right: bool) -> tuple[ToolCall, ...]:
    """Call the tools that the user names, or the one that is forced; none once a tool has answered."""
    shape = ask.shape
    if shape.choice == "none" or not shape.tools or ask.turns[-1].role == "tool":
        return ()
    question = ask.question.lower()
    named = [tool for tool in shape.tools if tool.name.lower() in question or _spoken(tool) in question]
    if shape.choice.startswith("tool:"):
        named = [tool for tool in shape.tools if tool.name == shape.choice.removeprefix("tool:")]
    elif shape.choice == "any":
        named = named or [shape.tools[0]]
    if not shape.parallel:
        named = named[:1]
    hints = _hints(ask, {"answer": solution.value if right else None})
    return tuple(ToolCall(tool.name, _arguments(tool, hints)) for tool in named)


def _spoken(tool: Tool) -> str:
    return tool.name.lower().replace("_", " ")


def _arguments(tool: Tool, hints: dict[str, Any]) -> dict[str, Any]:
    made = instance({"type": "object", **tool.schema}, hints)
    return made if isinstance(made, dict) else {}


def _hints(ask: Ask, hints: dict[str, Any]) -> dict[str, Any]:
    """Fill what tools usually ask for out of the question, so that a demonstration reads sensibly."""
    question = ask.question[:200]
    place = place_in(question) or "Paris"
    places = dict.fromkeys(("city", "location", "place"), place)
    return {**places, **dict.fromkeys(("query", "q", "question", "text", "expression"), question), **hints}


def _stopped(text: str, stops: tuple[str, ...]) -> tuple[str, Finish, str | None]:
    """Cut at the first stop sequence, which is looked for behind the label, so that the label always stays."""
    start = len(LABEL) if text.startswith(LABEL) else 0
    hits = [(text.find(stop, start), stop) for stop in stops if stop in text[start:]]
    if not hits:
        return text, "stop", None
    where, stop = min(hits)
    return text[:where], "stop_sequence", stop


def _thoughts(tokens: int) -> tuple[str, ...]:
    words = ("Simulated", " thinking", " about", " what", " was", " asked,", " step", " by", " step.")
    return tuple(words[i % len(words)] if i < len(words) else f" {i}" for i in range(max(tokens, 0)))


def _size(choice: Choice) -> int:
    return len(choice.pieces) + sum(len(_PIECE.findall(call.name + call.json)) + 4 for call in choice.calls)
