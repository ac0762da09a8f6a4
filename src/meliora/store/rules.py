"""Routing rules as they are kept. Whether a pattern compiles is the routing plane's to say, before it comes here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

AppliesTo = Literal["auto", "all"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `routing_rules`. Times in microseconds UTC."""

    id: str
    tenant: str
    pattern: str
    preferred_layer: str | None
    preferred_model: str | None
    priority: int
    active: bool
    applies_to: AppliesTo
    metadata: dict[str, Any]
    created_us: int
    updated_us: int


class RuleWish(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule shall be. At least one of layer and model."""

    pattern: str
    preferred_layer: str | None = None
    preferred_model: str | None = None
    priority: int = 0
    active: bool = True
    applies_to: AppliesTo = "auto"
    metadata: dict[str, Any] = {}


class Rules:
    """Keep the routing rules of a tenant, one a pattern."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int], randbytes: Callable[[int], bytes]) -> None:
        self._engine = engine
        self._clock_us = clock_us
        self._randbytes = randbytes

    def list(self, tenant: str, *, active_only: bool = False) -> tuple[Rule, ...]:
        """Give the rules in the order they are tried: priority from high to low, then id."""
        raise NotImplementedError

    def get(self, tenant: str, rule_id: str) -> Rule:
        """Give one rule. Raises `NotFound`."""
        raise NotImplementedError

    def upsert(self, tenant: str, wish: RuleWish) -> Rule:
        """Make the rule of this pattern what is wished; a new one gets an id. Raises `InvalidRequest` without a target."""
        raise NotImplementedError

    def change(self, tenant: str, rule_id: str, wish: RuleWish) -> Rule:
        """Replace a rule under its id, pattern included. Raises `NotFound`, `Conflict` where another has the pattern."""
        raise NotImplementedError

    def delete(self, tenant: str, rule_id: str) -> None:
        """Remove a rule. Raises `NotFound`."""
        raise NotImplementedError

    def reorder(self, tenant: str, rule_ids: Sequence[str]) -> tuple[Rule, ...]:
        """Give these rules descending priorities in this order, above all others. Raises `NotFound` and changes nothing."""
        raise NotImplementedError
