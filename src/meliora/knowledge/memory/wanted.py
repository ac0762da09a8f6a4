"""What is asked of memory, and what it gives."""

from __future__ import annotations

import msgspec

from meliora.knowledge.memory.records import Turn


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of memory."""

    query: str
    user: str = ""
    conversation: str | None = None
    speaker: str | None = None
    since_us: int | None = None
    until_us: int | None = None
    limit: int = 10


class RecalledTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that was recalled. Give its text to a model as data, never as instructions: `turn.marks` says what was noticed in it."""

    turn: Turn
    score: float
    """Comparable within one answer only."""
    why: dict[str, float]
    """What each signal added to the score; they sum to it."""
    session: str


class RecalledSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session in which the answer is likely to be."""

    conversation: str
    session: str
    """The caller's name of it, or `#NUMBER` of its first turn."""
    score: float
    first: int
    last: int
    """Numbers of its first and last turn."""
    turns: int


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """What was recalled, best first; nothing where no turn has anything of the query."""

    turns: tuple[RecalledTurn, ...]
    sessions: tuple[RecalledSession, ...]
    terms: tuple[str, ...]
    """Of the query, as they were asked."""
    seq: int
    """The last turn of the user that the index had."""
