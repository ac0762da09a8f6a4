"""What a call is decided by where its tenant has a trial: which arm it is in, and that arm's rules, policy and choices.

Made whole when a snapshot is made, so that a call costs one look-up and one hash. An arm whose policy is not loaded yet serves
nobody, and then no call counts: arms are compared only where both could be had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from meliora.gateway.assignment import Split
from meliora.gateway.state import ArmName, ChoiceState, Phase, RuleState, State, TrialState
from meliora.routing.choices import Choices
from meliora.routing.rules import ALL_TENANTS, RuleSet

if TYPE_CHECKING:
    from meliora.routing.choose import Learned


class Basis(msgspec.Struct, frozen=True):
    """What the calls of one tenant, or of one arm of its trial, are decided by."""

    rules: RuleSet
    learned: Learned | None = None
    choices: Choices | None = None
    lane: str = ""
    """Keeps the answers of an arm apart where answers are kept; empty outside of trials."""


class Arm(msgspec.Struct, frozen=True):
    """The arm that a call counts in."""

    change: str
    phase: Phase
    stage: int
    name: ArmName
    unit: str


@dataclass(frozen=True, slots=True)
class Safety:
    """Why a gateway serves the baselines, where it does."""

    halted: bool = False
    """By the kill switch, or the file that stands in for it."""
    lapsed: bool = False
    """The control process has been silent for longer than the lease."""

    @property
    def baselines(self) -> bool:
        """Whether all traffic goes to the baselines."""
        return self.halted or self.lapsed


SAFE = Safety()


@dataclass(frozen=True, slots=True)
class Halves:
    """A tenant's trial as this gateway can serve it now."""

    state: TrialState
    split: Split
    overlaid: Basis
    plain: Basis
    whole: bool
    """Both arms are what the state says, and so calls count."""
    safety: Safety = SAFE

    def of(self, user: str | None, session: str | None, key: str) -> tuple[Basis, Arm | None]:
        """Give what a call is decided by, and the arm that it counts in; None: in neither.

        Where the baselines are to serve, everybody has the same and nobody counts: units would be in one arm and then the other.
        """
        state = self.state
        if state.phase == "shadow":
            return self.plain, None
        if self.safety.baselines:
            return (self.plain if state.phase == "trial" else self.overlaid), None
        if not self.whole:
            return self.plain, None
        overlaid, unit = self.split.of(user, session, key)
        with_overlay, other = state.arms
        if overlaid:
            return self.overlaid, Arm(state.change, state.phase, state.stage, with_overlay, unit)
        return self.plain, Arm(state.change, state.phase, state.stage, other, unit)

    def shadowed(self, user: str | None, session: str | None, key: str) -> Arm | None:
        """Give the arm that a call's shadow counts in, which `overlaid` decides; None where it has no shadow."""
        state = self.state
        if state.phase != "shadow" or self.safety.baselines or not self.whole:
            return None
        overlaid, unit = self.split.of(user, session, key)
        return Arm(state.change, state.phase, state.stage, "candidate", unit) if overlaid else None


def choices_by_tenant(state: State) -> dict[str, Choices]:
    """Give each tenant's delivered choices."""
    found: dict[str, list[ChoiceState]] = {}
    for choice in state.choices:
        found.setdefault(choice.tenant, []).append(choice)
    return {tenant: Choices(choices) for tenant, choices in found.items()}


def overlaid_rules(trial: TrialState, rules: Sequence[RuleState]) -> RuleSet:
    """Give the rules of the arm with the overlay; what does not compile is left out and stands in `refused`."""
    overlay = trial.overlay
    left_out = {*overlay.without_rules, *(rule.id for rule in overlay.rules)}
    kept = (rule for rule in rules if rule.tenant in (trial.tenant, ALL_TENANTS) and rule.id not in left_out)
    return RuleSet((*kept, *overlay.rules), strict=False)


def overlaid_choices(trial: TrialState, choices: Sequence[ChoiceState]) -> Choices | None:
    """Give the choices of the arm with the overlay; None where there are none."""
    overlay = trial.overlay
    left_out = {*overlay.without_choices, *(choice.id for choice in overlay.choices)}
    kept = [choice for choice in choices if choice.tenant == trial.tenant and choice.id not in left_out]
    kept.extend(overlay.choices)
    return Choices(kept) if kept else None


def halves(
    trial: TrialState, plain: Basis, overlaid: Basis | None, *, is_plain_ready: bool, safety: Safety = SAFE
) -> Halves:
    """Put a trial together; `overlaid` is None where something that it takes is not loaded yet."""
    with_overlay, other = trial.arms
    # A shadow leaves everybody as they are, kept answers included.
    named = plain if trial.phase == "shadow" else msgspec.structs.replace(plain, lane=f"{trial.change}:{other}")
    whole = is_plain_ready and overlaid is not None
    overlaid = named if overlaid is None else msgspec.structs.replace(overlaid, lane=f"{trial.change}:{with_overlay}")
    return Halves(trial, Split(trial.salt, trial.unit, trial.share), overlaid, named, whole, safety)
