"""What a change of a rule asks of rules and outcomes as the store keeps them, and a rule as a change carries it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from meliora.routing.learning.records import Asked, Outcome

Read: TypeAlias = "Callable[[str, str], str | None]"
"""Dialect and request text to the prompt as rules search it; None where it cannot be read."""


class RuleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A rule whole, but for its times: what a rollback restores."""

    id: str
    pattern: str
    preferred_layer: str | None = None
    preferred_model: str | None = None
    priority: int = 0
    active: bool = True
    applies_to: Literal["auto", "all"] = "auto"
    metadata: dict[str, Any] = {}

    @property
    def version(self) -> str:
        """Name it by its content: equal rules, equal names."""
        return f"rule {sha256(msgspec.json.encode(self, order='sorted')).hexdigest()[:16]}"


def version_of(row: RuleRow | None) -> str | None:
    """Name what stands at a pattern; None where nothing does."""
    return None if row is None else row.version


class Patterned(Protocol):
    """A rule as it is listed."""

    @property
    def pattern(self) -> str:
        """What it matches."""
        ...


class RuleShelf(Protocol):
    """The rules of tenants, one a pattern. All methods raise `StoreError`."""

    def list(self, tenant: str, *, active_only: bool) -> Sequence[Patterned]:
        """Give the rules."""
        ...

    def plain(self, tenant: str, pattern: str) -> dict[str, Any] | None:
        """Give the fields of the rule of a pattern; None where there is none."""
        ...

    def exchange(
        self,
        tenant: str,
        pattern: str,
        row: Mapping[str, Any] | None,
        *,
        instead_of: Mapping[str, Any] | None,
        fenced: Callable[[Any], None],
    ) -> bool:
        """Put a rule (None: none) in the place of exactly that one; False, and nothing changed, where another stands.

        `fenced` is called first in the transaction.
        """
        ...


class RecordedOutcomes(Protocol):
    """Decisions on record. All methods raise `StoreError`."""

    def recorded(self, tenant: str, since_us: int, until_us: int, limit: int) -> Sequence[Outcome]:
        """Give the last rewarded outcomes of a stretch of time, of whatever trunk, the oldest first."""
        ...

    def asked(self, tenant: str, call_ids: Sequence[str]) -> Mapping[str, Asked]:
        """Give what is kept of the requests of these calls, by call."""
        ...
