"""How each row's feature is switched off: the one thing without which it is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest import MonkeyPatch

Switch = Callable[[MonkeyPatch], None]


def without(target: str, instead: Any) -> Switch:
    """Switch off by putting something inert in a thing's place."""

    def switch(patch: MonkeyPatch) -> None:
        patch.setattr(target, instead)

    return switch


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _same_for_all(prompt: str, system_prompt: str = "", **_: Any) -> Any:
    from meliora.routing.classify import Classification

    return Classification("balanced", 0.5, 0.5, "default:balanced", "chat")


SWITCHES: dict[str, Switch] = {
    "g02": without("meliora.routing.rules.RuleSet.match", _nothing),
    "g10": without("meliora.routing.rules.RuleSet.match", _nothing),
    "h04": without("meliora.routing.decide.classify", _same_for_all),
    "h05": without("meliora.gateway.tries.Tries._usable", lambda self, endpoint, again: not self._failed),
}
