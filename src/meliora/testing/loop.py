"""A kind of change, a judge, a governance and a set of arms that do as they are told: for tests of the lifecycle and of what hangs on it.

`ScriptedKind` delivers by a version in memory, once for each idempotency key; it can fail, be slow, and forget, by script.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from meliora.loop.approvals import Standing
from meliora.loop.change import Change
from meliora.loop.house import Action, TrialVerdict, WatchVerdict
from meliora.loop.kind import Guardrail, Later, Proof, Proposal, TrialPlan, Verdict, WatchPlan
from meliora.loop.policy.decide import Decision
from meliora.loop.work import Work


@dataclass
class ScriptedKind:
    """A kind whose plane is `serves`: target to version."""

    name: str = "scripted"
    surface: str = "scripted"
    serves: dict[str, str | None] = field(default_factory=dict)
    verdict: Verdict = "passed"
    proves_against: str | None = None
    """A baseline to claim in place of the frozen one."""
    offers: bool = True
    tried: bool = True
    shadow: bool = False
    live: bool = True
    watched: bool = True
    fail: dict[str, int] = field(default_factory=dict)
    """Method to how many calls of it shall raise."""
    error: Callable[[str], Exception] = RuntimeError
    """Makes what they raise of a sentence."""
    waits: dict[str, int] = field(default_factory=dict)
    """Method to how many calls of it shall give `Later`."""
    delivers_wrong: bool = False
    undo_does_nothing: bool = False
    calls: list[str] = field(default_factory=list)
    effects: list[tuple[str, str]] = field(default_factory=list)
    """Every effect that took place: what and under which key."""

    def propose(self, change: Change, work: Work) -> Proposal | Later | None:
        """Offer the version after the one that serves."""
        self._called("propose")
        if not self.offers:
            return None
        base = self.serves.get(change.target)
        return Proposal(
            target=change.target,
            summary=f"{change.target} anew",
            payload={"version": f"{base or 'v0'}+"},
            candidate=f"{base or 'v0'}+",
            baseline=base,
        )

    def prove(self, change: Change, work: Work) -> Proof | Later:
        """Give the scripted verdict."""
        self._called("prove")
        if (later := self._later("prove", work)) is not None:
            return later
        return Proof(
            verdict=self.verdict,
            method="script",
            rule="as told",
            sentence=f"it {self.verdict}",
            baseline=self.proves_against or change.baseline,
            seed=work.seed,
        )

    def trial(self, change: Change) -> TrialPlan | None:
        """Give a plan of two stages without minima."""
        if not self.tried:
            return None
        return TrialPlan(
            overlay={"version": change.candidate},
            primary="reward",
            stages=(0.05, 0.2),
            stage_seconds=10,
            stage_units=10,
            minimum_seconds=20,
            minimum_units=50,
            maximum_seconds=1000,
            shadow=self.shadow,
            live=self.live,
        )

    def rehearse(self, change: Change, work: Work) -> dict[str, Any]:
        """Say that the baseline is there."""
        self._called("rehearse")
        return {"baseline": change.baseline}

    def deliver(self, change: Change, work: Work) -> str | Later:
        """Put the candidate in service."""
        self._called("deliver")
        if (later := self._later("deliver", work)) is not None:
            return later
        if self.serves.get(change.target) != change.candidate:
            self.effects.append(("deliver", work.key))
            self.serves[change.target] = "something else" if self.delivers_wrong else change.candidate
        return self.serves[change.target] or ""

    def undo(self, change: Change, work: Work) -> str | Later | None:
        """Restore the baseline."""
        self._called("undo")
        if (later := self._later("undo", work)) is not None:
            return later
        if self.serves.get(change.target) != change.baseline and not self.undo_does_nothing:
            self.effects.append(("undo", work.key))
            self.serves[change.target] = change.baseline
        return self.serves.get(change.target)

    def serving(self, change: Change) -> str | None:
        """Read what serves."""
        return self.serves.get(change.target)

    def watch(self, change: Change) -> WatchPlan | None:
        """Give a plan of three checks."""
        if not self.watched:
            return None
        return WatchPlan(
            overlay={"version": change.baseline},
            guardrails=(Guardrail(metric="error_rate", margin=0.1),),
            checks=3,
            every_seconds=10,
            minimum_calls=20,
        )

    def _called(self, method: str) -> None:
        self.calls.append(method)
        if self.fail.get(method, 0) > 0:
            self.fail[method] -= 1
            raise self.error(f"{method} fails, as told")

    def _later(self, method: str, work: Work) -> Later | None:
        if self.waits.get(method, 0) <= 0:
            return None
        self.waits[method] -= 1
        done = work.checkpoint.get("done", 0) + 1
        return Later(5.0, f"{method} goes on", {"done": done})


@dataclass
class ScriptedJudge:
    """Says what it is told, the last word again and again."""

    trials: list[TrialVerdict] = field(default_factory=list)
    watches: list[WatchVerdict] = field(default_factory=list)
    shadows: list[TrialVerdict] = field(default_factory=list)

    def trial(self, change: Change, plan: TrialPlan) -> TrialVerdict:
        """Give the next word on a trial."""
        return self.trials.pop(0) if len(self.trials) > 1 else self.trials[0]

    def shadow(self, change: Change, plan: TrialPlan) -> TrialVerdict:
        """Give the next word on a shadow."""
        return self.shadows.pop(0) if len(self.shadows) > 1 else self.shadows[0]

    def watch(self, change: Change, plan: WatchPlan, period_us: int) -> WatchVerdict:
        """Give the next word on a watch."""
        return self.watches.pop(0) if len(self.watches) > 1 else self.watches[0]

    def detects(self, change: Change, plan: WatchPlan) -> dict[str, float | None]:
        """Know nothing of how calls vary."""
        return dict.fromkeys(one.metric for one in plan.guardrails)


@dataclass
class OpenGovernance:
    """Allows all, but for the actions it is told to deny or to leave to a person."""

    denied: dict[str, str] = field(default_factory=dict)
    people: set[str] = field(default_factory=set)
    approvals: dict[tuple[str, str], Standing | Literal["none"]] = field(default_factory=dict)
    is_halted: bool = False
    is_running: bool = True
    asked: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)

    def ask(self, action: Action, change: Change, facts: Mapping[str, Any]) -> Decision:
        """Decide as told."""
        self.asked.append((action, change.id, facts))
        if action in self.denied:
            return Decision(allowed=False, policies=("denied",), reason=self.denied[action])
        if action in self.people and not facts.get("approved"):
            return Decision(allowed=False, needs="approval", policies=("people",), reason="a person approves it")
        return Decision(allowed=True, policies=("open",))

    def approval(self, change: Change, action: Action) -> Standing | Literal["none"]:
        """Give what was said of a request."""
        return self.approvals.get((change.id, action), "none")

    def request(self, change: Change, action: Action, reason: str) -> None:
        """Note a request."""
        self.approvals[change.id, action] = "asked"

    def halted(self) -> bool:
        """Tell whether the kill switch is on."""
        return self.is_halted

    def running(self) -> bool:
        """Tell whether anything new may begin."""
        return self.is_running


@dataclass
class MemoryTrials:
    """Arms in memory: change to share."""

    live: dict[str, float] = field(default_factory=dict)
    history: list[tuple[str, str, float]] = field(default_factory=list)

    def shadow(self, change: Change, plan: TrialPlan) -> Callable[[Any], None]:
        """Begin in the shadow."""
        return self._write(change, "shadow", plan.shadow_share)

    def begin(self, change: Change, plan: TrialPlan) -> Callable[[Any], None]:
        """Begin with the first stage."""
        return self._write(change, "begin", plan.stages[0])

    def ramp(self, change: Change, stage: int, share: float) -> Callable[[Any], None]:
        """Go to a share."""
        return self._write(change, f"stage {stage}", share)

    def end(self, change: Change) -> Callable[[Any], None]:
        """End it."""

        def write(connection: Any) -> None:
            self.live.pop(change.id, None)
            self.history.append((change.id, "end", 0.0))

        return write

    def hold_back(self, change: Change, plan: WatchPlan) -> Callable[[Any], None]:
        """Keep a share on the baseline."""
        return self._write(change, "hold back", plan.holdback)

    def ended(self, change: Change) -> bool:
        """Read back."""
        return change.id not in self.live

    def _write(self, change: Change, what: str, share: float) -> Callable[[Any], None]:
        def write(connection: Any) -> None:
            self.live[change.id] = share
            self.history.append((change.id, what, share))

        return write
