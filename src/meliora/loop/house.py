"""What the steps of the lifecycle work with: the shelf of changes, the kinds, who is asked, who judges. Built by `runtime`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from meliora.errors import NotFound
from meliora.loop.approvals import Standing
from meliora.loop.change import Change
from meliora.loop.kind import ChangeKind, TrialPlan, WatchPlan
from meliora.loop.policy.decide import Decision
from meliora.loop.shelf import Shelf

Action = Literal["propose", "prove", "try", "deliver", "keep", "roll_back"]
"""What is asked for at an edge."""


class Governance(Protocol):
    """Who may what. An error in it denies."""

    def ask(self, action: Action, change: Change, facts: Mapping[str, Any]) -> Decision:
        """Decide on an edge with the evidence at hand."""
        ...

    def approval(self, change: Change, action: Action) -> Standing | Literal["none"]:
        """Give how the request for an approval stands."""
        ...

    def request(self, change: Change, action: Action, reason: str) -> None:
        """Ask people for an approval; once."""
        ...

    def halted(self) -> bool:
        """Tell whether the kill switch is on."""
        ...

    def running(self) -> bool:
        """Tell whether the loop may begin anything new."""
        ...


class TrialVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the arms of a trial say now."""

    outcome: Literal["better", "worse", "undecided", "no_data", "mismatch"]
    """`mismatch`: the arms' sizes do not fit their shares, so nothing they say counts."""
    sentence: str
    candidate_units: int = 0
    """All stages together."""
    baseline_units: int = 0
    stage_units: int = 0
    """In the candidate's arm, of the present stage."""
    information: float | None = None
    """Share of the committed horizon that this look is at, where there is one: the next look has to know of it."""
    evidence: dict[str, Any] = {}
    """Statistics, rules and figures: enough to come to the same again."""


class WatchVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the holdback and the rest say since the delivery."""

    outcome: Literal["pass", "fail", "no_data"]
    sentence: str
    calls: int = 0
    """Calls of this check's period, both arms."""
    evidence: dict[str, Any] = {}


class Judge(Protocol):
    """Reads the arms and judges them."""

    def trial(self, change: Change, plan: TrialPlan) -> TrialVerdict:
        """Judge a trial so far."""
        ...

    def shadow(self, change: Change, plan: TrialPlan) -> TrialVerdict:
        """Judge what a trial has shown in the shadow, by pairs of answers to one call; the units are those of both arms."""
        ...

    def watch(self, change: Change, plan: WatchPlan, period_us: int) -> WatchVerdict:
        """Judge a delivered change so far; `period_us` is when this check's period began."""
        ...

    def detects(self, change: Change, plan: WatchPlan) -> dict[str, float | None]:
        """Give the smallest harm to each guardrail that the watch can find; None where it cannot be told."""
        ...


class Trials(Protocol):
    """The rows that gateways follow. Each method gives what is to be written in the edge's transaction."""

    def shadow(self, change: Change, plan: TrialPlan) -> Callable[[Any], None]:
        """Begin in the shadow: nobody is shown the candidate's answers."""
        ...

    def begin(self, change: Change, plan: TrialPlan) -> Callable[[Any], None]:
        """Begin with the first stage, out of the shadow where it was in it."""
        ...

    def ramp(self, change: Change, stage: int, share: float) -> Callable[[Any], None]:
        """Go to a share, as the next stage."""
        ...

    def end(self, change: Change) -> Callable[[Any], None]:
        """End it: nobody is in an arm any more."""
        ...

    def hold_back(self, change: Change, plan: WatchPlan) -> Callable[[Any], None]:
        """Keep a share on the baseline while the change is watched."""
        ...

    def ended(self, change: Change) -> bool:
        """Read back that no arm of the change is live."""
        ...


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """Something that people want to hear of."""

    change: Change
    what: Literal["approval_needed", "rejected", "paused", "delivered", "kept", "rolled_back", "rollback_failed"]
    sentence: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The loop's own numbers, from the settings."""

    lease_seconds: float = 60.0
    look_seconds: float = 60.0
    """How often a trial is looked at."""
    wait_seconds: float = 300.0
    """How often what waits lawfully is looked at again."""
    failures: int = 5
    """Failed attempts at an edge in a row, after which it pauses (or its rollback is shouted about)."""
    retry_seconds: float = 10.0
    """First pause after a failed attempt; doubled each time."""
    inconclusive_seconds: float = 3600.0
    """An inconclusive proof is tried again after this."""
    inconclusive_tries: int = 5
    """After so many it waits for a person."""
    ab_testing: bool = True
    roll_back_on_degrade: bool = True


@dataclass(frozen=True, slots=True)
class House:
    """All of it."""

    shelf: Shelf
    kinds: Mapping[str, ChangeKind]
    governance: Governance
    judge: Judge
    trials: Trials
    finding: Callable[[str, str], dict[str, Any] | None]
    """Tenant and id of a finding to the finding."""
    diagnose: Callable[[Change], tuple[str, dict[str, Any]] | None]
    """Find the cause of what was observed: the finding's id and what it says; None where the data does not reach."""
    tell: Callable[[Happened], None]
    owner: str
    rules: Rules = field(default_factory=Rules)
    undone: Callable[[Change], str | None] = lambda change: None
    """Say why the trigger behind a delivered change wants it undone, from what its gate has measured since; None where it does not."""

    def kind(self, change: Change) -> ChangeKind:
        """Give the kind of a change. Raises `NotFound` for one that this process does not know."""
        kind = self.kinds.get(change.kind)
        if kind is None:
            raise NotFound(f"Change {change.id} is of kind {change.kind!r}, which is not known here.")
        return kind
