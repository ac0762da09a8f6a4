"""Feature flags: on for whom, in which environment, for which share of units. A unit's answer stays as long as the flag does.

The share a unit falls into is a salted hash of flag and unit, so raising the percentage only ever adds units.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal

import msgspec

from meliora.errors import InvalidRequest
from meliora.loop.change import Environment


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """A flag of a tenant in one environment."""

    name: str
    enabled: bool = False
    environment: Environment = "production"
    rollout_percentage: float = 100.0
    """0..100, of the units that fulfil the conditions."""
    conditions: dict[str, Any] = {}
    """Attribute to the value, or list of values, that it must have; all must hold, and an attribute that is missing holds nothing."""
    metadata: dict[str, Any] = {}


class FlagAnswer(msgspec.Struct, frozen=True):
    """On or off, and why."""

    on: bool
    reason: Literal["disabled", "condition", "rollout", "everybody", "no_unit"]


def checked(flag: Flag) -> Flag:
    """Give it back, or raise `InvalidRequest` for what makes no sense."""
    if not flag.name or len(flag.name) > 200 or any(c.isspace() for c in flag.name):
        raise InvalidRequest(f"{flag.name!r} is no name for a flag.", hint="Write one word.", field="name")
    if not (math.isfinite(flag.rollout_percentage) and 0 <= flag.rollout_percentage <= 100):
        raise InvalidRequest(
            f"rollout_percentage is {flag.rollout_percentage}.", hint="Write 0 to 100.", field="rollout_percentage"
        )
    for name, wanted in flag.conditions.items():
        for value in wanted if isinstance(wanted, list) else [wanted]:
            if not isinstance(value, str | int | float | bool):
                raise InvalidRequest(
                    f"The condition {name!r} compares with {value!r}.",
                    hint="Write a text, a number or a truth value, or a list of them.",
                    field="conditions",
                )
    return flag


def evaluate(flag: Flag, unit: str | None, attributes: Mapping[str, Any], salt: str) -> FlagAnswer:
    """Answer for a unit (a user, a session, a key). Without a unit a partial rollout is off."""
    if not flag.enabled:
        return FlagAnswer(False, "disabled")
    for name, wanted in flag.conditions.items():
        allowed = wanted if isinstance(wanted, list) else [wanted]
        if name not in attributes or not any(_same(attributes[name], value) for value in allowed):
            return FlagAnswer(False, "condition")
    if flag.rollout_percentage >= 100:
        return FlagAnswer(True, "everybody")
    if unit is None:
        return FlagAnswer(False, "no_unit")
    return FlagAnswer(place(flag.name, unit, salt) * 100 < flag.rollout_percentage, "rollout")


def place(name: str, unit: str, salt: str) -> float:
    """Give where a unit stands in [0, 1) for a flag: uniform over units, independent between flags."""
    digest = sha256(f"{salt}\x00flag\x00{name}\x00{unit}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _same(have: Any, wanted: Any) -> bool:
    return isinstance(have, bool) == isinstance(wanted, bool) and have == wanted
