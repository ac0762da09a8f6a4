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


def all_of(*switches: Switch) -> Switch:
    """Switch off several things that make up a row."""

    def switch(patch: MonkeyPatch) -> None:
        for one in switches:
            one(patch)

    return switch


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


def _all_allowed(self: Any, asked: Any) -> Any:
    from meliora.loop.policy.decide import Decision

    return Decision(allowed=True, policies=("none",))


def _always_better(evidence: Any) -> Any:
    return "better", "as always", []


def _never_fails(self: Any, change: Any, plan: Any, period_us: int) -> Any:
    from meliora.loop.house import WatchVerdict

    return WatchVerdict(outcome="pass", sentence="as always", calls=10**6)


def _no_controls(patch: MonkeyPatch) -> None:
    """Switch off the kill switch, the caps, and the policies that ask for a person."""
    without("meliora.loop.control.Switch.halted", lambda self: False)(patch)
    without("meliora.runtime.loop.capped", _nothing)(patch)
    without("meliora.loop.policy.decide.Policies.decide", _all_allowed)(patch)


def _erases_nothing(self: Any, tenant: str, user: str) -> Any:
    from meliora.store.housekeeping import Erasure

    none = dict.fromkeys(("at_us", "calls", "contents", "feedback", "history", "preferences"), 0)
    return Erasure(subject="nobody", **none)


SWITCHES: dict[str, Switch] = {
    "m01": without("meliora.runtime.knowledge.erasing.Erasing.__call__", _erases_nothing),
    "p01": without("meliora.loop.pulse.Pulse._open", _nothing),
    "p02": without_routes("optimizer"),
    "p03": without("meliora.loop.gates.gate.Gate.beyond", lambda self, value, bound: False),
    "p04": without("meliora.loop.judge.again", _always_better),
    "p05": without("meliora.loop.triggers.Triggers.of", lambda *_: ()),
    "p06": without("meliora.loop.triggers.Triggers.of", lambda *_: ()),
    "p07": without("meliora.loop.artifacts.archive.Archive.make", _nothing),
    "p08": all_of(
        without("meliora.loop.artifacts.documents._diagnosis", lambda facts: b"{}"),
        without("meliora.diagnosis.search.finding.report", lambda finding, cycle: {}),
    ),
    "p10": without("meliora.loop.artifacts.documents._audit", lambda facts: b'{"cycle_id": "", "environment": ""}'),
    "p11": _no_controls,
    "p12": without("meliora.loop.policy.decide.Policies.decide", _all_allowed),
    "p13": without("meliora.loop.judge.ArmJudge.watch", _never_fails),
    "h27": all_of(
        without("meliora.knowledge.upkeep.relevance.relevance", lambda shown, now_us: {}),
        without("meliora.knowledge.upkeep.keeper.relevance", lambda shown, now_us: {}),
    ),
    "p09": all_of(
        without("meliora.knowledge.augment.manifest.describe", _nothing), without_routes("knowledge_datasets")
    ),
    "p14": without_routes("knowledge_search"),
    "p15": all_of(without("meliora.knowledge.augment.make.make", _nothing), without_routes("knowledge_datasets")),
    "p16": without("meliora.knowledge.search.searcher.fuse", lambda found, rules: []),
    "p19": without_routes("knowledge_datasets"),
    "h21": without("meliora.knowledge.upkeep.staleness.threshold_days", lambda category, days=None: 90.0),
    "h22": without("meliora.knowledge.upkeep.staleness.NEVER_USED", 0.5),
    "h23": without("meliora.knowledge.upkeep.keeper.redundant", _nothing),
    "h24": without("meliora.knowledge.reading.connectors.KINDS", {}),
    "h25": without_routes("knowledge_upkeep"),
    "h26": without_routes("knowledge_upkeep"),
    "p17": without("meliora.gateway.assignment.Split.of", lambda self, user, session, key: (False, key)),
    "p20": without("meliora.loop.desk.gains", lambda edges: ()),
    "p21": all_of(
        without("meliora.loop.gates.board.GateBoard.last", lambda self, tenant: {}), without_routes("knowledge_quality")
    ),
    "p22": without_routes("optimizer"),
    "h30": without("meliora.loop.steps.begin._judged", _nothing),
    "h31": without("meliora.loop.policy.decide.Policies.decide", _all_allowed),
    "i12": without_routes("changes"),
    "g02": without("meliora.routing.rules.RuleSet.match", _nothing),
    "g04": without("meliora.store.calls.metrics.Metrics.record", _nothing),
    "g05": without("meliora.store.routing.model_performances.add_outcomes", _nothing),
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
    "i16": all_of(without_routes("figures"), without_routes("memory")),
    "i13": without("meliora.telemetry.rollups.Roller.step", lambda self, limit=100: 0),
}
