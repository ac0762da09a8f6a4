"""What a change of a model asks of choices and calls as the store keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from meliora.gateway.state import ChoiceState


class Kept(Protocol):
    """A choice as it is kept."""

    @property
    def state(self) -> ChoiceState:
        """What is chosen."""
        ...


class ChoiceShelf(Protocol):
    """Delivered choices. All methods raise `StoreError`."""

    def list(self, tenant: str) -> Sequence[Kept]:
        """Give those in service, in the order in which they were made: of two for the same calls the later one counts."""
        ...

    def put(self, tenant: str, choice: ChoiceState, made_by: str, fenced: Callable[[Any], None]) -> None:
        """Put a choice in service, once however often it is called."""
        ...

    def retire(self, tenant: str, id: str, fenced: Callable[[Any], None]) -> None:
        """Take a choice back; nothing where it is not in service."""
        ...


class Sums(msgspec.Struct, frozen=True):
    """A count, a sum and a sum of squares: all that a mean and its error take."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of one model at one task and one length of prompt."""

    model: str
    task: str
    bucket: int
    """Of the prompt's tokens: 0 below 64, and one more for each fourfold."""
    errors: Sums = Sums()
    """1 for a call that the model or its provider failed."""
    cost: Sums = Sums()
    """US$ a call that came through."""
    latency: Sums = Sums()
    """Milliseconds of a call that came through."""
    reward: Sums = Sums()
    """0..1, of calls about which somebody said something."""


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """The tries at one endpoint."""

    errors: Sums = Sums()
    latency: Sums = Sums()


class CallRecord(Protocol):
    """Calls on record. All methods raise `StoreError`."""

    def cells(self, tenant: str, since_us: int, until_us: int, task: str | None) -> Sequence[Cell]:
        """Sum up the calls of a stretch of time by model, task and length."""
        ...

    def tries(self, tenant: str, model: str, since_us: int, until_us: int, task: str | None) -> Mapping[str, Tried]:
        """Sum up the tries at each endpoint of a model in a stretch of time."""
        ...
