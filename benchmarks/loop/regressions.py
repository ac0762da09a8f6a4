"""Whole watches over simulated calls, judged by the product: what harm is rolled back, and what is harmless kept.

The harm that is put in is so many times the smallest that the watch's plan says it can find (`loop.judge.smallest_harm`), in one
metric at a time, for each kind of change by its own plan. Units differ from each other in how often they call and what they get.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import ControlFailed, Figure, Report
from meliora.changes.model_choice.kind import ModelChoice
from meliora.changes.routing_policy.kind import RoutingPolicy
from meliora.changes.routing_rule.kind import RoutingRule
from meliora.loop.arms import Arm, Paired, Stretch
from meliora.loop.change import Change, Origin
from meliora.loop.house import House
from meliora.loop.judge import ArmJudge, smallest_harm
from meliora.loop.kind import WatchPlan
from meliora.loop.metrics import METRICS, Metric
from meliora.loop.states import State
from meliora.loop.steps.outcome import Go
from meliora.loop.steps.watch import watching
from meliora.loop.work import Fence, Work
from meliora.runtime.changes import manner_of
from meliora.settings.loop import Loop
from meliora.stats.histogram import LogHistogram
from meliora.stats.proportion import wilson
from meliora.stats.sums import Sums
from meliora.testing.loop import MemoryTrials, OpenGovernance

KINDS = (RoutingPolicy.name, RoutingRule.name, ModelChoice.name)
TIMES = (1.0, 1.5, 2.0, 3.0, 5.0)
"""Times the smallest harm."""
FOUND = 2.0
"""From so many times on every one is to be rolled back."""
UNITS = 2000
CALLS_A_MINUTE = 30.0
STEP_SECONDS = 60
ERRORS = 0.02
COST = 0.004
"""US$ a call."""
LATENCY_MS = 900.0
REWARD = 0.8


@dataclass(frozen=True)
class Harm:
    """By how much the candidate is worse: error rate and reward in their unit, cost and latency as a share."""

    error_rate: float = 0.0
    reward: float = 0.0
    cost_per_call: float = 0.0
    latency_p95: float = 0.0


@dataclass
class Users:
    """Units that call by a habit of their own, each with a level of its own in every metric."""

    rng: np.random.Generator
    habit: NDArray[np.float64] = field(init=False)
    level: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        """Draw them."""
        habit = self.rng.gamma(0.7, 1.0, UNITS)
        self.habit = habit / habit.sum()
        self.level = self.rng.lognormal(-0.045, 0.3, UNITS)

    def calls(self, minutes: float) -> NDArray[np.int64]:
        """Give the units that call in so many minutes, one element a call."""
        return self.rng.choice(UNITS, self.rng.poisson(CALLS_A_MINUTE * minutes), p=self.habit)


class Kept:
    """What one arm has shown: sums by unit and metric, latencies in a histogram."""

    def __init__(self) -> None:
        self.calls = 0
        self.n: dict[str, NDArray[np.float64]] = {}
        self.y: dict[str, NDArray[np.float64]] = {}
        self.latency = LogHistogram()

    def add(self, name: str, units: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Add what calls of these units came to."""
        n, y = self.n.setdefault(name, np.zeros(UNITS)), self.y.setdefault(name, np.zeros(UNITS))
        np.add.at(n, units, 1.0)
        np.add.at(y, units, values)

    def arm(self, metrics: Sequence[Metric]) -> Arm:
        """Give it as the store would."""
        sums, histograms = {}, {}
        for metric in metrics:
            if metric.quantile is not None:
                histograms[metric.name] = self.latency
                continue
            n, y = self.n.get(metric.name, np.zeros(UNITS)), self.y.get(metric.name, np.zeros(UNITS))
            known = n > 0
            sums[metric.name] = Sums.of(y[known], n[known].tolist())
        called = self.n.get("error_rate")
        units = 0 if called is None else int((called > 0).sum())
        return Arm(units, self.calls, sums, histograms)


class Traffic:
    """Calls of a watch as they come in; implements `loop.judge.ArmReader`."""

    def __init__(self, rng: np.random.Generator, holdback: float, harm: Harm) -> None:
        self.now_us = 0
        self._rng = rng
        self._users = Users(rng)
        self._held = rng.random(UNITS) < holdback
        self._holdback = holdback
        self._harm = harm
        self.candidate, self.baseline = Kept(), Kept()
        self._young: list[tuple[int, Kept, NDArray[np.int64], NDArray[np.float64]]] = []
        self._came: list[tuple[int, int]] = []

    def go_on(self, seconds: float) -> None:
        """Let calls come in for a while."""
        until = self.now_us + round(seconds * 1e6)
        while self.now_us < until:
            step = min(STEP_SECONDS, (until - self.now_us) / 1e6)
            self.now_us += round(step * 1e6)
            units = self._users.calls(step / 60)
            self._came.append((self.now_us, len(units)))
            for kept, own, harm in (
                (self.baseline, units[self._held[units]], Harm()),
                (self.candidate, units[~self._held[units]], self._harm),
            ):
                self._call(kept, own, harm)
        maturity = round(METRICS["reward"].maturity_seconds * 1e6)
        while self._young and self._young[0][0] <= self.now_us - maturity:
            _, kept, units, rewards = self._young.pop(0)
            kept.add("reward", units, rewards)

    def _call(self, kept: Kept, units: NDArray[np.int64], harm: Harm) -> None:
        rng, level, n = self._rng, self._users.level[units], len(units)
        kept.calls += n
        chance = np.minimum(ERRORS * level + harm.error_rate, 1.0)
        kept.add("error_rate", units, (rng.random(n) < chance).astype(float))
        kept.add("cost_per_call", units, COST * (1 + harm.cost_per_call) * level * rng.lognormal(-0.32, 0.8, n))
        for value in LATENCY_MS * (1 + harm.latency_p95) * np.sqrt(level) * rng.lognormal(0.0, 0.5, n):
            kept.latency.add(float(value))
        good = rng.random(n) < np.clip(REWARD - 0.1 * (level - 1) - harm.reward, 0.0, 1.0)
        self._young.append((self.now_us, kept, units, good.astype(float)))

    def stretches(
        self, tenant: str, change: str, phase: str, metrics: Sequence[Metric], now_us: int
    ) -> tuple[Stretch, ...]:
        """Give the one stretch."""
        return (Stretch(0, 1 - self._holdback, self.candidate.arm(metrics), self.baseline.arm(metrics)),)

    def pairs(self, tenant: str, change: str, metrics: Sequence[tuple[Metric, bool]], now_us: int) -> Paired:
        """Have nothing in the shadow: a watch has none."""
        raise NotImplementedError("a watch has no shadow")

    def calls(self, tenant: str, change: str, phase: str, since_us: int) -> int:
        """Count the calls since."""
        return sum(count for at, count in self._came if at > since_us)


@dataclass
class Planned:
    """A kind of which only the watch is asked for."""

    plan: WatchPlan
    name: str = "planned"
    surface: str = "gateway"

    def watch(self, change: Change) -> WatchPlan:
        """Give it."""
        return self.plan


def watched(plan: WatchPlan, traffic: Traffic) -> State:
    """Watch a delivery by the product's own step until it is kept, rolled back or paused."""
    unused: Any = None
    house = House(
        shelf=unused,
        kinds={"planned": Planned(plan)},  # type: ignore[dict-item]
        governance=OpenGovernance(),
        judge=ArmJudge(traffic, lambda: traffic.now_us),
        trials=MemoryTrials(),
        finding=unused,
        diagnose=unused,
        tell=unused,
        owner="benchmark",
    )
    change = Change(
        id="chg_1",
        tenant="a",
        kind="planned",
        target="routing",
        surface="gateway",
        environment="production",
        origin=Origin("person", "key_1"),
        state=State.WATCHING,
        progress={"check": 0, "passed": 0, "failed": 0, "row": 0, "errors": 0, "period_us": 0, "began_us": 0},
    )
    work = Work(Fence("a", "chg_1", 1), "chg_1/watching", 1, lambda: traffic.now_us, lambda *said: None)
    wait = plan.every_seconds
    for _ in range(1000):
        traffic.go_on(wait)
        outcome = watching(house, change, work)
        if isinstance(outcome, Go):
            wish = outcome.wish
            if wish.target is not State.WATCHING:
                return wish.target
            progress, wait = wish.progress or {}, wish.wait or 0.0
        else:
            progress, wait = change.progress | outcome.progress, outcome.seconds or 0.0
        change = _with(change, progress)
    raise ControlFailed("a watch of a thousand looks came to nothing")


def _with(change: Change, progress: Mapping[str, Any]) -> Change:
    import msgspec

    return msgspec.structs.replace(change, progress=dict(progress))


def plans() -> dict[str, WatchPlan]:
    """Give each kind's plan, as the shipped settings have it."""
    return {kind: manner_of(Loop(), kind).watched({}) for kind in KINDS}


def least(plan: WatchPlan, rng: np.random.Generator, times: int) -> dict[str, float]:
    """Give the smallest harm that the plan finds, by metric: the median over harmless holdbacks of the same length."""
    metrics = [METRICS[rail.metric] for rail in plan.guardrails]
    calls = CALLS_A_MINUTE * plan.every_seconds / 60
    found: dict[str, list[float]] = {}
    for _ in range(times):
        traffic = Traffic(rng, plan.holdback, Harm())
        traffic.go_on(plan.checks * plan.every_seconds)
        arm = traffic.baseline.arm(metrics)
        for rail in plan.guardrails:
            harm = smallest_harm(plan, rail, arm, plan.holdback, calls)
            found.setdefault(rail.metric, []).append(np.inf if harm is None else harm)
    return {name: harm for name, all_of_them in found.items() if np.isfinite(harm := float(np.median(all_of_them)))}


def measure(report: Report, *, quick: bool, seed: int) -> None:
    """Measure both figures. Raises `ControlFailed` where harm of a tenth of the smallest is rolled back as often as harm."""
    runs = 4 if quick else 25
    found: dict[float, list[bool]] = {times: [] for times in TIMES}
    by_metric: dict[str, list[bool]] = {}
    smallest: dict[str, float] = {}
    kept: list[bool] = []
    for at, (kind, plan) in enumerate(plans().items()):
        smallest = least(plan, np.random.default_rng((seed, at)), 15)
        for rail in plan.guardrails:
            if rail.metric not in smallest:
                report.echo(f"{kind}: a watch at this traffic finds no harm to {rail.metric}, however large")
                continue
            for times in TIMES:
                harm = replace(Harm(), **{rail.metric: times * smallest[rail.metric]})
                for run in range(runs):
                    rng = np.random.default_rng((seed, at, run, round(times * 10), len(by_metric)))
                    rolled = watched(plan, Traffic(rng, plan.holdback, harm)) is State.ROLLING_BACK
                    found[times].append(rolled)
                    if times >= FOUND:
                        by_metric.setdefault(rail.metric, []).append(rolled)
        for run in range(8 if quick else 100):
            rng = np.random.default_rng((seed, at, run, 0))
            kept.append(watched(plan, Traffic(rng, plan.holdback, Harm())) is State.KEPT)
    sure = [one for times, rolled in found.items() if times >= FOUND for one in rolled]
    beside = {f"{times:g}x": float(np.mean(rolled)) for times, rolled in found.items()}
    beside |= {f"{name} >= 2x": float(np.mean(rolled)) for name, rolled in by_metric.items()}
    beside |= {f"smallest {name}": harm for name, harm in smallest.items()}
    note = f"{CALLS_A_MINUTE:g} calls a minute, {UNITS} units, {len(KINDS)} kinds, one metric worse at a time"
    _add(report, "regressions_rolled_back_share", sure, beside, note)
    _add(report, "harmless_kept_share", kept, {}, "no metric worse, the whole watch of twelve checks")
    if np.mean(kept) < 0.5:
        raise ControlFailed("most of what is harmless is rolled back, so that rolling back says nothing")


def _add(report: Report, name: str, good: Sequence[bool], beside: dict[str, float], note: str) -> None:
    low, high = wilson(sum(good), len(good))
    report.add(Figure(name, float(np.mean(good)), "share", low, high, len(good), beside, note))
