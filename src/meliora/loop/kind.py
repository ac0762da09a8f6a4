"""What a kind of change must be able to do, and the proofs and plans it gives. The loop owns all else: states, time, arms, audit.

A kind may deliver by a pointer in the database, a commit in Git or a call to another system, and may prove for a second or train
for hours: where it waits for somebody else it gives `Later`, and is asked again. Every method may be called again with a higher
attempt after a crash; what has an effect outside reads back before it repeats.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec

from meliora.loop.change import Change
from meliora.loop.work import Work

SHADOW = -1
"""The stage before the first."""
Unit = Literal["user", "session", "key"]
Verdict = Literal["passed", "failed", "inconclusive"]


class Later(msgspec.Struct, frozen=True):
    """Not finished: ask again in so many seconds. What is known so far is kept as the change's checkpoint."""

    seconds: float
    note: str
    checkpoint: dict[str, Any] = {}


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A measured number, with its 95% interval where there is sampling; `value` None where it could not be measured."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = ""


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate: what it is, what it replaces, what it promises."""

    target: str
    summary: str
    payload: dict[str, Any]
    candidate: str
    baseline: str | None
    expected: dict[str, float] = {}
    """Metric to expected difference, where the kind can tell."""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence document of an offline evaluation: what data, which method, which figures, by which rule it was decided."""

    verdict: Verdict
    method: str
    rule: str
    """The decision rule in words, e.g. `lower bound of the difference in utility > 0`."""
    sentence: str
    """What came out, for a person."""
    data: dict[str, Any] = {}
    """Which data, by id and count: what is needed to come to the same again."""
    figures: tuple[Figure, ...] = ()
    baseline: str | None = None
    """The version it was compared with: must be the change's frozen baseline."""
    seed: int | None = None


class Guardrail(msgspec.Struct, frozen=True, kw_only=True):
    """A metric that must not get worse by more than `margin`: of the baseline's value where `relative`, else in its unit."""

    metric: str
    margin: float
    relative: bool = True


class TrialPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a candidate is tried on live traffic."""

    overlay: dict[str, Any]
    """What the candidate's arm does differently, as the plane reads it (`gateway.state.Overlay`)."""
    primary: str
    """Metric that it must win by, or not lose by more than `margin` where the gain was proved elsewhere (cost at equal quality)."""
    margin: float = 0.0
    """0: must be better. Above: must not be worse by more than this share of the baseline's value."""
    guardrails: tuple[Guardrail, ...] = ()
    unit: Unit = "user"
    """What is randomised; a call without one falls back to its session, then its key."""
    stages: tuple[float, ...] = (0.01, 0.05, 0.2)
    """Share of units in the candidate's arm, stage by stage."""
    stage_seconds: float = 600.0
    """Least time in each stage but the last."""
    stage_units: int = 30
    """Least units in the candidate's arm in each stage but the last."""
    minimum_seconds: float = 3600.0
    minimum_units: int = 100
    """In each arm, before it can win. Harm stops it earlier."""
    maximum_seconds: float = 14 * 86_400.0
    """Without a decision until then it pauses as inconclusive."""
    boundary: Literal["confseq", "obf"] = "confseq"
    horizon_units: int | None = None
    """Units an arm that are committed to, for `obf`."""
    alpha: float = 0.05
    shadow: bool = False
    """It begins with a stage in which the candidate's answers are scored and never shown. Only what wins there goes on."""
    shadow_share: float = 0.2
    """Share of units whose calls are shadowed."""
    live: bool = True
    """False: what wins in the shadow has won."""

    def share(self, stage: int) -> float:
        """Give the share of a stage; `SHADOW` is the one before the first."""
        return self.shadow_share if stage == SHADOW else self.stages[min(stage, len(self.stages) - 1)]


class WatchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a delivered change is watched: against a holdback that stays on the baseline, not against last week."""

    overlay: dict[str, Any]
    """What keeps the holdback on the baseline, as the plane reads it."""
    guardrails: tuple[Guardrail, ...]
    checks: int = 12
    every_seconds: float = 600.0
    minimum_calls: int = 100
    """A check waits until its period has as many calls: thin traffic is watched by requests."""
    holdback: float = 0.2
    unit: Unit = "user"
    consecutive_failures: int = 2
    total_failures: int = 3
    errors: int = 3
    """Checks in a row that could not be made, after which it pauses and alerts."""
    alpha: float = 0.05


class ChangeKind(Protocol):
    """A kind of change. `name` is its word in the API; `surface` where its effects are felt."""

    name: str
    surface: str

    def propose(self, change: Change, work: Work) -> Proposal | Later | None:
        """Make a candidate of the change's finding (`work.finding`); None where this kind has nothing to offer."""
        ...

    def prove(self, change: Change, work: Work) -> Proof | Later:
        """Compare the candidate with the frozen baseline offline. Missing data is `inconclusive`."""
        ...

    def trial(self, change: Change) -> TrialPlan | None:
        """Say how it is tried; None for what cannot be split by traffic."""
        ...

    def rehearse(self, change: Change, work: Work) -> dict[str, Any]:
        """Show, without any effect, that `undo` would restore the baseline; give what was checked. Raises where it would not."""
        ...

    def deliver(self, change: Change, work: Work) -> str | Later:
        """Put the candidate in service, once however often it is called, and give the version read back."""
        ...

    def undo(self, change: Change, work: Work) -> str | Later | None:
        """Restore the baseline, also after half a delivery, and give the version read back (None: nothing serves, as before)."""
        ...

    def serving(self, change: Change) -> str | None:
        """Read back which version serves at the target now."""
        ...

    def watch(self, change: Change) -> WatchPlan | None:
        """Say what is watched after the delivery; None for what no traffic tells of."""
        ...
