"""What a fault makes of an answer's content: its status, its events, its body. Knows nothing of sockets."""

from __future__ import annotations

from meliora.gateway.simulated.answers import Answer, refusal
from meliora.gateway.simulated.rendering.wire import Event, Problem, problem_body, problem_event
from meliora.telemetry.records import Dialect
from meliora.testing.faults import ErrorInStream, Fault, HugeHeader, MalformedEvent, ManyChunks, Shape, Status

HALF_EVENT = b'data: {"broken": "half an ev\n\n'

_MESSAGES = {
    400: "The request cannot be served.",
    401: "The key is not known.",
    402: "The balance is used up.",
    429: "There were too many requests.",
    503: "The service is not available.",
    529: "The service is overloaded.",
}


def status_answer(fault: Status, dialect: Dialect) -> Answer:
    """Give the error answer of a status, without its `retry-after`."""
    return refusal(dialect, problem_of(fault.status, fault.shape, dialect, fault.message))


def problem_of(status: int, shape: Shape, dialect: Dialect, message: str = "") -> Problem:
    """Word an error as the dialect's provider does."""
    openai = dialect != "messages"
    if shape in ("quota", "billing"):
        kind = "insufficient_quota" if openai else ("billing_error" if status == 402 else "invalid_request_error")
        usual = "You exceeded your current quota." if openai else "Your credit balance is too low."
        return Problem(status, message or usual, kind, "insufficient_quota" if openai else None)
    if shape == "context":
        code = "context_length_exceeded" if openai else None
        return Problem(status, message or "prompt is too long: the context is exceeded.", code=code)
    return Problem(status, message or _MESSAGES.get(status, "Something went wrong in the provider."))


def headers_of(fault: Fault | None) -> list[tuple[bytes, bytes]]:
    """Give the headers that a fault adds to the answer's."""
    if isinstance(fault, Status) and fault.retry_after is not None:
        return [(b"retry-after", f"{fault.retry_after:g}".encode())]
    return [(b"x-huge", b"h" * fault.size)] if isinstance(fault, HugeHeader) else []


def spoil_content(answer: Answer, fault: Fault | None) -> tuple[Answer, tuple[bytes, ...]]:
    """Give the answer, and the pieces of its body, as the fault makes them. Faults of the transport change nothing here."""
    if isinstance(fault, Status):
        answer = status_answer(fault, answer.dialect)
    elif isinstance(fault, ManyChunks) and answer.status == 200:
        answer = answer.lengthened(fault.count)
    if not answer.stream:
        return answer, (_body(answer, fault),)
    events = answer.events
    if isinstance(fault, ErrorInStream):
        events = _with_error(answer, fault)
    pieces = [event.data for event in events]
    if isinstance(fault, MalformedEvent):
        pieces.insert(fault.after_events, HALF_EVENT)
    return answer, tuple(pieces)


def _body(answer: Answer, fault: Fault | None) -> bytes:
    if isinstance(fault, ErrorInStream):
        problem = problem_of(fault.status, "", answer.dialect)
        return problem_body(answer.dialect, problem, answer.request_id)
    return answer.body[: len(answer.body) // 2] if isinstance(fault, MalformedEvent) else answer.body


def _with_error(answer: Answer, fault: ErrorInStream) -> tuple[Event, ...]:
    """Keep the prelude and so much of the content, then say the error and nothing more."""
    prelude = next((i for i, event in enumerate(answer.events) if event.content), len(answer.events))
    kept = answer.events[: prelude + fault.after_content]
    return (*kept, problem_event(answer.dialect, problem_of(fault.status, "", answer.dialect), len(kept)))
