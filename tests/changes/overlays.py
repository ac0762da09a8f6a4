"""Overlays as the gateway reads them."""

from __future__ import annotations

from typing import Any

import msgspec

from meliora.gateway.state import PolicyRef, RuleState


class ChoiceState(msgspec.Struct, frozen=True, omit_defaults=True):
    id: str
    tenant: str
    model: str
    serve: str | None = None
    endpoints: tuple[str, ...] | None = None
    task: str | None = None


class Overlay(msgspec.Struct, frozen=True, omit_defaults=True):
    policy: PolicyRef | None = None
    no_policy: bool = False
    rules: tuple[RuleState, ...] = ()
    without_rules: tuple[str, ...] = ()
    choices: tuple[ChoiceState, ...] = ()
    without_choices: tuple[str, ...] = ()


def decode(overlay: dict[str, Any]) -> Overlay:
    """Read an overlay; a name that the gateway does not know is an error here."""
    found = msgspec.convert(overlay, Overlay)
    assert msgspec.json.decode(msgspec.json.encode(found)) == overlay, "something of it was not read"
    return found
