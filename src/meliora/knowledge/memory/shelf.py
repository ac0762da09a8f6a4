"""What memory asks of the store. Every method takes the tenant, and raises `StoreError` where the store fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from meliora.knowledge.memory.records import Appended, Conversation, Erased, Said, Standing, Turn

Place = tuple[str, int]
"""A conversation and a number in it."""


class TurnShelf(Protocol):
    """Turns by conversation. A write is one transaction; writes of one user follow each other, so that `seq` is seen in its order."""

    def append(self, tenant: str, conversation: str, turns: Sequence[Said], now_us: int) -> Appended:
        """Keep turns at the end of a conversation, in their order; makes the conversation, for the user of its first turn.

        A turn whose `message` is there already is not kept again, whatever its text. A turn without `at_us` gets `now_us`, or the
        time of the turn before it where that is later: a clock that was put back reorders nothing.
        Raises `Conflict` where a turn names another user than the conversation's.
        """
        ...

    def conversation(self, tenant: str, id: str) -> Conversation:
        """Give one. Raises `NotFound`."""
        ...

    def conversations(self, tenant: str, user: str, *, after: str = "", limit: int = 100) -> Sequence[Conversation]:
        """Give those of a user (empty: of nobody) by id, those after `after`."""
        ...

    def read(
        self, tenant: str, conversation: str, *, first: int = 1, last: int | None = None, limit: int = 1000
    ) -> Sequence[Turn]:
        """Give turns by number, both ends included; nothing where there are none."""
        ...

    def fetch(self, tenant: str, places: Sequence[Place]) -> Sequence[Turn | None]:
        """Give turns in the order asked for; None for one that is not here."""
        ...

    def follow(self, tenant: str, user: str, after: int, limit: int) -> Sequence[Turn]:
        """Give a user's turns of a greater `seq`, in its order."""
        ...

    def standing(self, tenant: str, user: str) -> Standing:
        """Give how far a user's turns go; zeros for an unknown one."""
        ...

    def erase(self, tenant: str, user: str) -> Erased:
        """Delete a user's conversations for good, and count the erasure. `seq` goes on from where it was."""
        ...

    def count(self, tenant: str) -> int:
        """Give how many turns the tenant has."""
        ...
