"""From a breach to a finding: read the calls of both windows, look for what explains it, and for when it began."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from meliora.diagnosis.cube import Cube
from meliora.diagnosis.finding import Breach, Finding, sentence
from meliora.diagnosis.kinds import acting
from meliora.diagnosis.moment import around, began
from meliora.diagnosis.rates import overdispersion
from meliora.diagnosis.records import Event, Explained, Limits, Measured, Moment, Point, Window
from meliora.diagnosis.slices import scan

SPAN_US = 300_000_000
"""Length of the spans that a beginning is sought in: five minutes."""
_MONEY = ("cost", "spend")


class Source(Protocol):
    """What a diagnosis reads: grouped counts, never a prompt."""

    def limits(self, tenant: str, window: Window) -> Limits:
        """Give the latency of the slowest twentieth of a window's calls, and the cost of its dearest hundredth."""
        ...

    def cube(self, tenant: str, measured: Measured, before: Window, now: Window, limits: Limits) -> Cube:
        """Count the calls of two windows by their attributes, with what the measure takes."""
        ...

    def series(self, tenant: str, measured: Measured, window: Window, span_us: int, limits: Limits) -> Sequence[Point]:
        """Give hits and calls of each span of a window: money in caps; for what is spent in all, a span counts as one call."""
        ...


def diagnose(breach: Breach, source: Source, events: Iterable[Event] = (), *, id: str, at_us: int) -> Finding:
    """Find what explains a breach. `events` are what happened in either window; `id` and `at_us` are the finding's own."""
    limits = source.limits(breach.tenant, breach.before)
    found: Explained | None = None
    moment = None
    cube = source.cube(breach.tenant, breach.measured, breach.before, breach.now, limits)
    if _measurable(breach.measured, limits) and all(cube.looked_at):
        found = scan(cube.problem(breach.measured, _dispersion(breach, source, limits)))
        moment = _moment(breach, source, limits)
    slices = found.slices if found is not None else ()
    near = around(moment, events) if moment is not None else ()
    return Finding(
        id=id,
        tenant=breach.tenant,
        at_us=at_us,
        metric=breach.metric,
        gate=breach.gate,
        environment=breach.environment,
        measured=breach.measured,
        unit=breach.unit,
        value=breach.value,
        low=breach.low,
        high=breach.high,
        baseline=breach.baseline,
        direction=breach.direction,
        now=breach.now,
        before=breach.before,
        looked_at=cube.looked_at,
        partial=cube.partial,
        observed=found.observed if found is not None else None,
        expected=found.expected if found is not None else None,
        slices=slices,
        moment=moment,
        around=near,
        kinds=acting(breach.measured, slices, breach.kinds),
        sentence=sentence(breach, slices, moment, near),
    )


def _dispersion(breach: Breach, source: Source, limits: Limits) -> float:
    # What is spent in all goes up and down with the traffic, which is no chance of a call.
    measured: Measured = "cost" if breach.measured == "spend" else breach.measured
    points = source.series(breach.tenant, measured, breach.before, SPAN_US, limits)
    return overdispersion([point.hits for point in points], [point.calls for point in points])


def _moment(breach: Breach, source: Source, limits: Limits) -> Moment | None:
    windows = (breach.before, breach.now)
    points = [source.series(breach.tenant, breach.measured, window, SPAN_US, limits) for window in windows]
    return began([point for series in points for point in series], SPAN_US, money=breach.measured in _MONEY)


def _measurable(measured: Measured, limits: Limits) -> bool:
    if measured == "slow":
        return limits.slow_us is not None
    return limits.cost_cap_micros is not None if measured in _MONEY else True
