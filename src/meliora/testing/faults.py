"""What an upstream can do wrong, as plain data. Says what happens; `wire` and `inprocess` make it happen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Shape = Literal["", "quota", "billing", "context"]
"""What a status is about: empty for the usual reason, `quota` and `billing` for used-up money, `context` for a long prompt."""


@dataclass(frozen=True)
class Refuse:
    """No connection can be made. A listening port cannot refuse one call: on the wire use `FakeProvider.refusing()`."""


@dataclass(frozen=True)
class Reset:
    """The connection is reset: before any byte of the answer, or after so many events of it."""

    after_events: int | None = None


@dataclass(frozen=True)
class SlowHeaders:
    """The answer's head comes after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Cut:
    """The connection is closed in the middle, as if nothing were wrong: after so many bytes of the body, or events."""

    after_bytes: int | None = None
    after_events: int = 0


@dataclass(frozen=True)
class Stall:
    """Silence of so many seconds after so many events; then it goes on. A whole body falls silent in its middle."""

    after_events: int = 1
    seconds: float = 3600


@dataclass(frozen=True)
class MalformedChunk:
    """A chunk whose length is no number, after so many events."""

    after_events: int = 1


@dataclass(frozen=True)
class MalformedEvent:
    """An event whose data is half a JSON object, after so many events, then the rest. A whole body is cut, but framed well."""

    after_events: int = 1


@dataclass(frozen=True)
class WrongContentLength:
    """The body is framed by a `content-length` that is off: too long if positive, too short if negative."""

    off_by: int


@dataclass(frozen=True)
class Status:
    """An error answer in the dialect's shape, with `retry-after` in seconds where given."""

    status: int
    shape: Shape = ""
    retry_after: float | None = None
    message: str = ""


@dataclass(frozen=True)
class ErrorInStream:
    """An error as event, after the prelude, or after so many events of content. A whole body becomes an error with 200."""

    after_content: int = 0
    status: int = 529


@dataclass(frozen=True)
class ManyChunks:
    """A text of so many tokens, each a chunk."""

    count: int = 10_000


@dataclass(frozen=True)
class Fragmented:
    """A body in chunks of so many bytes, which end anywhere, also in the middle of an event or a character."""

    size: int = 1


@dataclass(frozen=True)
class HugeHeader:
    """A header of so many bytes."""

    size: int = 1_000_000


@dataclass(frozen=True)
class Garbage:
    """So many bytes that are no HTTP, then the end."""

    size: int = 512


Fault = (
    Refuse
    | Reset
    | SlowHeaders
    | Cut
    | Stall
    | MalformedChunk
    | MalformedEvent
    | WrongContentLength
    | Status
    | ErrorInStream
    | ManyChunks
    | Fragmented
    | HugeHeader
    | Garbage
)
"""One way to fail."""
