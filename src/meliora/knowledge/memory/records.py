"""What is kept of a conversation: turns in their order. Their text is data, whatever it says."""

from __future__ import annotations

import msgspec

from meliora.knowledge.documents import Mark, Metadata

LONGEST = 200_000
"""Characters of a turn."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A turn as somebody gives it."""

    speaker: str
    text: str
    message: str = ""
    """The caller's id of it: a second one of the same id in its conversation is the first one again. Empty: it has none."""
    at_us: int | None = None
    """When it was said; None: now."""
    user: str = ""
    """The person whom the conversation belongs to: erasure deletes it."""
    session: str = ""
    """A sitting of the conversation, in the caller's words; empty: told from the pauses."""
    metadata: Metadata = {}
    marks: tuple[Mark, ...] = ()
    """What was noticed in the text; `Memory.append` fills it in."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn as it is kept."""

    conversation: str
    number: int
    """From 1 in its conversation, without gaps: the order, whatever the clocks say."""
    speaker: str
    text: str
    at_us: int
    user: str = ""
    session: str = ""
    message: str = ""
    seq: int = 0
    """Greater than that of every turn of its user that was there before: what the recall index follows."""
    metadata: Metadata = {}
    marks: tuple[Mark, ...] = ()


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation; it belongs to one user, or to nobody (`user` is empty)."""

    id: str
    user: str
    turns: int
    first_us: int
    last_us: int
    """Of the first and the last turn by number."""


class Appended(msgspec.Struct, frozen=True):
    """What became of turns that were appended."""

    numbers: tuple[int, ...]
    """Of each one that was given, those that were there already included."""
    added: int
    """How many were not there before."""


class Standing(msgspec.Struct, frozen=True):
    """How far a user's turns go."""

    seq: int
    """The greatest one; 0 for none."""
    erasures: int
    """How often the user was erased: what was derived under a smaller number is void."""


class Erased(msgspec.Struct, frozen=True):
    """What an erasure deleted."""

    conversations: int
    turns: int


def tokens(text: str) -> int:
    """Estimate the tokens of a text: a quarter of its bytes in UTF-8, rounded up."""
    return (len(text.encode("utf-8", "surrogatepass")) + 3) // 4
