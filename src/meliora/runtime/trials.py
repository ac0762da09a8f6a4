"""The loop's trials on the rows that gateways follow, and what the arms have shown in the units that metrics are in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from meliora.errors import NotFound
from meliora.gateway.state import Overlay, TrialState
from meliora.loop.arms import Arm, Paired, Stretch
from meliora.loop.change import Change
from meliora.loop.kind import TrialPlan, WatchPlan
from meliora.loop.metrics import Metric
from meliora.stats.histogram import LogHistogram
from meliora.stats.sums import Sums
from meliora.store.loop.arms import Arms
from meliora.store.loop.search_arms import SearchArms
from meliora.store.loop.shadow_arms import ShadowArms
from meliora.store.loop.trial_arms import ArmStage
from meliora.store.loop.trial_arms import Sums as KeptSums
from meliora.store.loop.trials import Trials

SCALES: Mapping[str, float] = {"cost_micros": 1e-6, "latency_us": 1e-3}
"""From the store's unit to the metric's, by column; others are as they are."""
SURFACE = "search"
"""Trials on it are of searches."""
_EMPTY = Sums(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


class TrialRows:
    """Implements `loop.house.Trials`: each method gives what is written in the transaction of an edge."""

    def __init__(self, trials: Trials) -> None:
        self._trials = trials

    def shadow(self, change: Change, plan: TrialPlan) -> Callable[[Any], None]:
        """Begin in the shadow."""
        overlay = msgspec.convert(plan.overlay, Overlay)
        state = self._state(change, "shadow", plan.unit, plan.shadow_share, overlay)
        return lambda connection: self._trials.begin_in(change.tenant, connection, state)

    def begin(self, change: Change, plan: TrialPlan) -> Callable[[Any], None]:
        """Begin with the first stage."""
        overlay = msgspec.convert(plan.overlay, Overlay)
        state = self._state(change, "trial", plan.unit, plan.stages[0], overlay)
        return lambda connection: self._trials.begin_in(change.tenant, connection, state)

    def ramp(self, change: Change, stage: int, share: float) -> Callable[[Any], None]:
        """Go to a share, as the next stretch."""
        return lambda connection: self._trials.ramp_in(change.tenant, connection, change.id, stage, share)

    def end(self, change: Change) -> Callable[[Any], None]:
        """End it."""
        return lambda connection: self._trials.end_in(change.tenant, connection, change.id)

    def hold_back(self, change: Change, plan: WatchPlan) -> Callable[[Any], None]:
        """Keep a share on the baseline."""
        overlay = msgspec.convert(plan.overlay, Overlay)
        state = self._state(change, "watch", plan.unit, plan.holdback, overlay)
        return lambda connection: self._trials.begin_in(change.tenant, connection, state)

    def ended(self, change: Change) -> bool:
        """Read back that no arm of the change is live."""
        return all(one.change != change.id for one in self._trials.live(change.tenant))

    def _state(self, change: Change, phase: Any, unit: Any, share: float, overlay: Overlay) -> TrialState:
        return TrialState(
            change=change.id,
            tenant=change.tenant,
            phase=phase,
            salt=sha256(change.id.encode()).hexdigest()[:16],
            stage=0,
            share=share,
            overlay=overlay,
            unit=unit,
            surface=change.surface,
        )


class ArmsOf:
    """Implements `loop.judge.ArmReader` over the store."""

    def __init__(self, arms: Arms, trials: Trials, shadows: ShadowArms, searches: SearchArms) -> None:
        self._calls = arms
        self._searches = searches
        self._trials = trials
        self._shadows = shadows

    def pairs(self, tenant: str, change: str, metrics: Sequence[tuple[Metric, bool]], now_us: int) -> Paired:
        """Give what shadows have shown that is mature."""
        read = self._shadows.read(tenant, change, metrics, now_us)
        sums = {}
        for metric, share in metrics:
            if metric.form != "quantile":
                scale = SCALES.get(metric.column, 1.0)
                sums[metric.name] = _sums(read.sums[metric.name], scale, scale if share else 1.0)
        candidate, baseline = (
            Arm(
                read.units,
                read.pairs,
                {},
                {
                    metric.name: _scaled(side.get(metric.name), SCALES.get(metric.column, 1.0))
                    for metric, _ in metrics
                    if metric.form == "quantile"
                },
            )
            for side in (read.shadow, read.shown)
        )
        return Paired(read.units, read.pairs, read.same, sums, candidate, baseline)

    def stretches(
        self, tenant: str, change: str, phase: Any, metrics: Sequence[Metric], now_us: int
    ) -> tuple[Stretch, ...]:
        """Give each stretch of one share, the first one first, with the sums of what is mature by now; none of a change never tried."""
        stages = [one for one in self._trials.stages(tenant, change) if one.phase == phase]
        if not stages:
            return ()
        arms = self._of(tenant, change)
        read = {(one.stage, one.arm): one for one in arms.read(tenant, change, phase, metrics, now_us)}
        return tuple(
            Stretch(
                number=one.stage,
                share=one.share if phase == "trial" else 1 - one.share,
                candidate=_arm(read.get((one.stage, "candidate")), metrics),
                baseline=_arm(read.get((one.stage, "baseline")), metrics),
            )
            for one in stages
        )

    def calls(self, tenant: str, change: str, phase: Any, since_us: int) -> int:
        """Count the calls (or searches) of both arms that ended since."""
        return self._of(tenant, change).calls(tenant, change, phase, since_us)

    def _of(self, tenant: str, change: str) -> Arms | SearchArms:
        """Give what reads the surface that the change is tried on: searches, or calls."""
        try:
            surface = self._trials.get(tenant, change).state.surface
        except NotFound:
            return self._calls
        return self._searches if surface == SURFACE else self._calls


def _arm(stage: ArmStage | None, metrics: Sequence[Metric]) -> Arm:
    if stage is None:
        averaged = {metric.name: _EMPTY for metric in metrics if metric.form != "quantile"}
        counted = {metric.name: LogHistogram() for metric in metrics if metric.form == "quantile"}
        return Arm(0, 0, averaged, counted)
    sums = {}
    histograms = {}
    for metric in metrics:
        scale = SCALES.get(metric.column, 1.0)
        if metric.form == "quantile":
            histograms[metric.name] = _scaled(stage.histograms.get(metric.name), scale)
            continue
        sums[metric.name] = _sums(stage.sums[metric.name], scale)
    return Arm(stage.units, stage.calls, sums, histograms)


def _sums(one: KeptSums, scale: float, base: float = 1.0) -> Sums:
    return Sums(
        units=float(one.units),
        total=one.y * scale,
        squares=one.yy * scale * scale,
        weight=one.n * base,
        cross=one.yn * scale * base,
        weight_squares=one.nn * base * base,
    )


def _scaled(histogram: LogHistogram | None, scale: float) -> LogHistogram:
    found = LogHistogram()
    for value, times in histogram.pairs() if histogram is not None else ():
        found.add(value * scale, times)
    return found
