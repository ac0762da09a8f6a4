"""One try at one endpoint: send, and know before the client sees a byte whether this answer can be given to it.

A stream counts as begun with its first content; what comes before (roles, ids, pings) is a prelude, and a failure within it is
a failure of the attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from meliora.errors import MelioraError, UpstreamBroken
from meliora.gateway.catalog import Endpoint
from meliora.gateway.closing import completed, terminal
from meliora.gateway.dialects.errors import Fault, classify, fault_as, fault_of
from meliora.gateway.dialects.events import has_content, stream_error
from meliora.gateway.dialects.lenient import decode
from meliora.gateway.dialects.sse import Framer
from meliora.gateway.dialects.translate import StreamTranslation
from meliora.gateway.outgoing import Outgoing
from meliora.gateway.upstream import Headers, UpstreamAnswer
from meliora.telemetry.records import Dialect

EVENT_LIMIT = 8 * 1024 * 1024
"""Longest single event of a stream."""
OWN_KEY_REFUSED = "The provider refused Meliora's own key."
CHECK_OWN_KEY = "Check the provider's api_key in the settings of Meliora."
ERROR_LIMIT = 1024 * 1024
"""Longest error body that is read."""


class AttemptFailed(Exception):
    """An attempt came to nothing: the upstream refused (`status`, `headers`, `body`), or there was no whole answer (`cause`)."""

    def __init__(
        self, fault: Fault, *, status: int | None = None, headers: Headers | None = None, body: bytes = b""
    ) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.status = status
        self.headers = headers or []
        self.body = body
        self.cause: MelioraError | None = None

    @classmethod
    def of(cls, error: MelioraError) -> AttemptFailed:
        """Wrap an error of the connection; another endpoint may do better."""
        failed = cls(
            Fault(status=error.status, type=error.code, code=error.code, message=error.message, retryable=True)
        )
        failed.cause = error
        return failed


class Whole(msgspec.Struct):
    """A whole answer, as the upstream gave it."""

    endpoint: Endpoint
    outgoing: Outgoing
    status: int
    headers: Headers
    body: bytes
    parsed: Any


@dataclass(slots=True)
class Opened:
    """A stream that has begun: `events` are the first whole events in the upstream's dialect, not yet given on."""

    endpoint: Endpoint
    dialect: Dialect
    """What the upstream speaks."""
    headers: Headers
    answer: UpstreamAnswer
    framer: Framer
    events: bytes
    ended: bool = False
    hide_usage: bool = False
    translation: StreamTranslation | None = None


async def attempt(endpoint: Endpoint, outgoing: Outgoing, stream: bool, limit: int) -> Whole | Opened:
    """Try once. Raises `AttemptFailed`; the answer is then already dropped."""
    try:
        answer = await endpoint.account.upstream.send(outgoing.request)
    except MelioraError as error:
        raise AttemptFailed.of(error) from error
    try:
        if answer.status >= 300:
            await _refused(endpoint, answer)
        if stream and _is_stream(answer.headers):
            return await _open(endpoint, outgoing, answer)
        return await _whole(endpoint, outgoing, answer, limit)
    except MelioraError as error:
        answer.abort()
        raise AttemptFailed.of(error) from error
    except BaseException:
        answer.abort()
        raise


async def _refused(endpoint: Endpoint, answer: UpstreamAnswer) -> None:
    if answer.status < 400:
        raise UpstreamBroken(
            f"{endpoint.id} answered {answer.status}, which leads elsewhere and is not followed.",
            hint="Check the provider's base_url in the settings of Meliora.",
        )
    body = endpoint.account.without_secrets(await answer.read(ERROR_LIMIT))
    fault = classify(answer.status, answer.headers, body)
    raise AttemptFailed(fault, status=answer.status, headers=answer.headers, body=body)


async def _whole(endpoint: Endpoint, outgoing: Outgoing, answer: UpstreamAnswer, limit: int) -> Whole:
    body = await answer.read(limit)
    try:
        parsed = decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise UpstreamBroken(f"{endpoint.id} answered {answer.status} with {_what(answer.headers, body)}.") from error
    if not isinstance(parsed, dict):
        raise UpstreamBroken(f"{endpoint.id} answered {answer.status} with JSON that is no object.")
    error = parsed.get("error")
    if error and _ANSWERS.isdisjoint(parsed):
        raise _told(outgoing.dialect, fault_of(error if isinstance(error, dict) else {"message": str(error)}))
    return Whole(endpoint, outgoing, answer.status, answer.headers, body, parsed)


async def _open(endpoint: Endpoint, outgoing: Outgoing, answer: UpstreamAnswer) -> Opened:
    framer = Framer(EVENT_LIMIT)
    dialect = outgoing.dialect
    events = b""
    while True:
        data = await answer.chunk()
        if not data:
            events += completed(dialect, framer.tail())
            if not terminal(dialect, events) and not has_content(dialect, events):
                raise UpstreamBroken(f"{endpoint.id} ended its stream before any content.")
            return _opened(endpoint, outgoing, answer, framer, events, ended=True)
        fresh = framer.feed(data)
        if not fresh:
            continue
        fault = stream_error(dialect, fresh)
        content = has_content(dialect, fresh)
        if fault is not None and not content:
            raise _told(dialect, fault)
        events = events + fresh if events else fresh
        if content or len(events) > EVENT_LIMIT:
            return _opened(endpoint, outgoing, answer, framer, events)


def _opened(
    endpoint: Endpoint,
    outgoing: Outgoing,
    answer: UpstreamAnswer,
    framer: Framer,
    events: bytes,
    *,
    ended: bool = False,
) -> Opened:
    translation = outgoing.translation.stream() if outgoing.translation is not None else None
    return Opened(
        endpoint, outgoing.dialect, answer.headers, answer, framer, events, ended, outgoing.hide_usage, translation
    )


def _what(headers: Headers, body: bytes) -> str:
    """Say what came in the place of JSON."""
    coding = next((value for name, value in headers if name == b"content-encoding"), b"identity")
    if coding != b"identity":
        return f"a body in the coding {coding.decode('latin-1')[:40]!r}, which was not asked for"
    if not body:
        return "an empty body"
    return "a stream, which was not asked for" if _is_stream(headers) else "a body that is no JSON"


_ANSWERS = frozenset(("choices", "output", "content", "data"))
"""What an answer has, in one dialect or the other; a body with an error in its place is none, whatever its status says."""


def _told(dialect: Dialect, fault: Fault) -> AttemptFailed:
    """A refusal under a good status: the client gets it as if it had come under its own."""
    status, error = fault_as(dialect, fault)
    body = {"type": "error", "error": error} if dialect == "messages" else {"error": error}
    return AttemptFailed(fault, status=status, body=msgspec.json.encode(body))


def _is_stream(headers: Headers) -> bool:
    return any(
        name == b"content-type" and value.lstrip().lower().startswith(b"text/event-stream") for name, value in headers
    )
