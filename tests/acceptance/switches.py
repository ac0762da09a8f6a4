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


def without_routes(subject: str) -> Switch:
    """Switch off by leaving one subject's router out of the control app."""

    def switch(patch: MonkeyPatch) -> None:
        from meliora.server import app

        left = tuple(module for module in app._ROUTERS if module.__name__.rpartition(".")[2] != subject)
        patch.setattr(app, "_ROUTERS", left)

    return switch


def _no_decisions(patch: MonkeyPatch) -> None:
    """Leave every path out that decides without a call, and what describes the choice."""
    for subject in ("route", "decisions", "lineup", "figures", "costs"):
        without_routes(subject)(patch)


def _no_tiers(patch: MonkeyPatch) -> None:
    """Switch off what raises a tier, what a budget allows, the order within a tier, and the third model's verdict."""
    without("meliora.routing.crosscheck._read", _nothing)(patch)
    without("meliora.server.dispatch.raised", _nothing)(patch)
    without("meliora.server.dispatch._cheapest", _nothing)(patch)
    without("meliora.gateway.offers.candidate", _without_priority)(patch)


def _without_priority(entry: Any) -> Any:
    from meliora.routing.pool import Candidate

    return Candidate(entry.name, entry.tier, entry.context_window, entry.capabilities)


def _no_care(patch: MonkeyPatch) -> None:
    """Switch off the security words, escalation and the cross-check."""
    without("meliora.gateway.snapshot.security_rule", _nothing)(patch)
    without("meliora.gateway.escalation.raised", _nothing)(patch)
    without_routes("crosscheck")(patch)


def _no_bare_names(patch: MonkeyPatch) -> None:
    """Switch the documents' own variable names off."""
    from meliora.settings.environment import Layer

    patch.setattr("meliora.settings.load.bare_layer", lambda environ: Layer())


SWITCHES: dict[str, Switch] = {
    "g02": without("meliora.routing.rules.RuleSet.match", _nothing),
    "g04": without("meliora.store.metrics.Metrics.record", _nothing),
    "g05": without("meliora.store.model_performances.add_outcomes", _nothing),
    "g07": without("meliora.server.routers.tools._TOOLS", ()),
    "g08": without_routes("tools"),
    "g09": without("meliora.telemetry.improvement.ImprovementManager.generate_report", _nothing),
    "g10": without("meliora.routing.rules.RuleSet.match", _nothing),
    "g14": without_routes("analytics"),
    "g13": _no_care,
    "g16": without_routes("forecast"),
    "g12": _no_tiers,
    "h03": _no_decisions,
    "h04": without("meliora.routing.decide.classify", _same_for_all),
    "h05": without("meliora.gateway.tries.Tries._usable", lambda self, endpoint, again: not self._failed),
    "h06": _no_decisions,
    "h07": without_routes("preferences"),
    "h32": without_routes("operations"),
    "i01": without_routes("feedback"),
    "i02": without("meliora.routing.preferences.profile.beliefs", lambda *_, **__: ()),
    "i03": without_routes("learning"),
    "i08": without_routes("analytics"),
    "i14": without("meliora.routing.learning.rewards.documented", lambda value, cost_micros, latency_us: value),
    "i15": _no_bare_names,
    "i16": without_routes("figures"),
    "i13": without("meliora.telemetry.rollups.Roller.step", lambda self, limit=100: 0),
}
