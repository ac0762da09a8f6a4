"""How a kind's candidates are tried and watched: by how much each metric may get worse, in which stages, for how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from meliora.loop.kind import Guardrail, TrialPlan, WatchPlan
from meliora.loop.work import Fence

GATEWAY = "gateway"
"""The surface that all of these kinds are felt on: the gateway splits its traffic for one change at a time."""

Check: TypeAlias = "Callable[[Fence], Callable[[Any], None]]"
"""Gives what a repository calls first in its transaction: it raises `Superseded` for an old attempt (`store.changes.check`)."""


@dataclass(frozen=True, slots=True)
class Margins:
    """By how much a metric may get worse and still count as no worse."""

    reward: float = 0.02
    """Of 1."""
    error_rate: float = 0.01
    """Of 1: one call in a hundred."""
    cost_per_call: float = 0.1
    """Share of the baseline's."""
    latency_p95: float = 0.2
    """Share of the baseline's."""

    def guardrails(self, but: str = "") -> tuple[Guardrail, ...]:
        """Give all metrics as guardrails, but for the one that is tried for."""
        known = (
            Guardrail(metric="error_rate", margin=self.error_rate, relative=False),
            Guardrail(metric="reward", margin=self.reward, relative=False),
            Guardrail(metric="cost_per_call", margin=self.cost_per_call),
            Guardrail(metric="latency_p95", margin=self.latency_p95),
        )
        return tuple(one for one in known if one.metric != but)


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is done. Overlays, metrics and guardrails of the two plans are the kind's to fill in."""

    margins: Margins = field(default_factory=Margins)
    trial: TrialPlan = field(default_factory=lambda: TrialPlan(overlay={}, primary="reward"))
    watch: WatchPlan = field(default_factory=lambda: WatchPlan(overlay={}, guardrails=()))

    def tried(self, overlay: dict[str, Any], primary: str) -> TrialPlan:
        """Give the plan of a trial that is to win by a metric, all others within their margins."""
        rails = self.margins.guardrails(but=primary)
        return msgspec.structs.replace(self.trial, overlay=overlay, primary=primary, guardrails=rails)

    def watched(self, overlay: dict[str, Any]) -> WatchPlan:
        """Give the plan of a watch in which no metric may get worse."""
        return msgspec.structs.replace(self.watch, overlay=overlay, guardrails=self.margins.guardrails())
