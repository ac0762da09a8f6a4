"""The simulated provider as one pure function: path and body in, answer out. No clock, no I/O, no latency."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import msgspec

from meliora.errors import InvalidRequest
from meliora.gateway.simulated.models import SimulatedModel
from meliora.gateway.simulated.reading import Ask, read_chat, read_messages, read_responses
from meliora.gateway.simulated.rendering.chat import chat_body, chat_events
from meliora.gateway.simulated.rendering.embeddings import embeddings_body
from meliora.gateway.simulated.rendering.messages import messages_body, messages_events
from meliora.gateway.simulated.rendering.responses import responses_body, responses_events
from meliora.gateway.simulated.rendering.wire import Event, Marks, Problem, problem_body
from meliora.gateway.simulated.reply import Reply, digest, lengthened, reply_to
from meliora.gateway.upstream import Headers
from meliora.telemetry.records import Dialect

EPOCH_US = 1_735_689_600_000_000
"""When an answer was made, where nobody says: the first of January 2025."""

_BODIES: dict[Dialect, Callable[[Ask, Reply, Marks], dict[str, Any]]] = {
    "chat": chat_body,
    "responses": responses_body,
    "messages": messages_body,
}
_EVENTS: dict[Dialect, Callable[[Ask, Reply, Marks], Iterator[Event]]] = {
    "chat": chat_events,
    "responses": responses_events,
    "messages": messages_events,
}
_PATHS: tuple[tuple[str, Dialect], ...] = (
    ("/messages/count_tokens", "messages"),
    ("/chat/completions", "chat"),
    ("/responses", "responses"),
    ("/messages", "messages"),
    ("/embeddings", "embeddings"),
)


@dataclass(frozen=True)
class Spoken:
    """A reply with the request it belongs to: what a stream is made of, and what can be lengthened."""

    ask: Ask
    reply: Reply
    marks: Marks


@dataclass(frozen=True)
class Answer:
    """An answer in a dialect. `stream` says which of `body` and `events` the request asked for; both can be had."""

    dialect: Dialect
    status: int
    request_id: str
    stream: bool = False
    told: bytes = b""
    """The whole body, where nothing is spoken: an error, a count, vectors."""
    spoken: Spoken | None = None

    @cached_property
    def body(self) -> bytes:
        """The answer as one JSON body."""
        if self.spoken is None:
            return self.told
        said = self.spoken
        return msgspec.json.encode(_BODIES[self.dialect](said.ask, said.reply, said.marks))

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """The answer as the events of a stream; empty where there is none to be had."""
        return tuple(self.each_event())

    def each_event(self) -> Iterator[Event]:
        """Make the events one by one, so that a long stream keeps nobody waiting for its first."""
        said = self.spoken
        return _EVENTS[self.dialect](said.ask, said.reply, said.marks) if said else iter(())

    @property
    def output_tokens(self) -> int:
        """How many tokens were written; 0 where nothing is spoken."""
        return self.spoken.reply.tokens.output if self.spoken else 0

    @property
    def headers(self) -> Headers:
        """The head of the answer, without what frames the body."""
        kind = b"text/event-stream; charset=utf-8" if self.stream else b"application/json"
        name = b"request-id" if self.dialect == "messages" else b"x-request-id"
        return [(b"content-type", kind), (b"x-meliora-simulated", b"true"), (name, self.request_id.encode())]

    def lengthened(self, pieces: int) -> Answer:
        """Give the answer with a text of so many tokens."""
        if self.spoken is None:
            return self
        return replace(self, spoken=replace(self.spoken, reply=lengthened(self.spoken.reply, pieces)))


def dialect_of(path: str) -> Dialect | None:
    """Tell the dialect from the end of a path, its query aside; None where it is no model call."""
    bare = path.partition("?")[0].rstrip("/")
    return next((dialect for end, dialect in _PATHS if bare.endswith(end)), None)


def answer(
    path: str, body: Any, model: SimulatedModel, seed: int, *, serial: int = 0, now_us: int = EPOCH_US
) -> Answer:
    """Answer a request to the end of whose path a dialect belongs.

    What is said depends on the conversation, the model and the seed; `serial` and `now_us` only on the ids and times,
    so that equal requests can have answers with different ids. A bad request gets the dialect's own error.
    """
    dialect = dialect_of(path)
    if dialect is None:
        return refusal("chat", Problem(404, f"There is nothing at {path}.", code="unknown_url"), serial)
    try:
        return _answer(
            path, dialect, body, model, seed, Marks(digest(str(seed), str(serial), str(now_us), repr(body)), now_us)
        )
    except InvalidRequest as error:
        too_long = "context window" in error.message
        code = "context_length_exceeded" if too_long else None
        return refusal(dialect, Problem(400, error.message, field=error.field, code=code), serial)
    except RecursionError:
        return refusal(dialect, Problem(400, "The request is nested too deeply."), serial)


def refusal(dialect: Dialect, problem: Problem, serial: int = 0) -> Answer:
    """Give an error in the dialect's own shape."""
    request_id = f"req_sim_{digest(str(serial), problem.message)[:24]}"
    return Answer(dialect, problem.status, request_id, told=problem_body(dialect, problem, request_id))


def _answer(path: str, dialect: Dialect, body: Any, model: SimulatedModel, seed: int, marks: Marks) -> Answer:
    if not isinstance(body, dict):
        raise InvalidRequest("The body is not a JSON object.")
    request_id = f"req_sim_{marks.suffix[:24]}"
    if (dialect == "embeddings") != (model.dimensions is not None):
        raise InvalidRequest(f"The model `{model.name}` does not serve this path.", field="model")
    if dialect == "embeddings":
        vectors = embeddings_body(body, model.dimensions or 0, seed)
        return Answer(dialect, 200, request_id, told=msgspec.json.encode(vectors))
    if path.partition("?")[0].rstrip("/").endswith("/count_tokens"):
        count = read_messages(body, counting=True).input_tokens
        return Answer(dialect, 200, request_id, told=msgspec.json.encode({"input_tokens": count}))
    read = {"chat": read_chat, "responses": read_responses, "messages": read_messages}[dialect]
    ask = read(body)
    return Answer(dialect, 200, request_id, ask.stream, spoken=Spoken(ask, reply_to(ask, model, seed), marks))
