"""A finding: what was measured, which calls explain it, since when, and what can act on it. A record, and how it is told.

What was not measured is null, in the record and in the report.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from meliora.diagnosis.kinds import ActingKind, words, worst_class
from meliora.diagnosis.records import Around, FoundSlice, Measured, Moment, Unit, Window
from meliora.diagnosis.search.finding import SearchFinding
from meliora.diagnosis.search.finding import report as of_searches
from meliora.diagnosis.search.records import Repair


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate saw: a metric that does not hold, with its interval and what it was before."""

    tenant: str
    metric: str
    """The gate's metric, e.g. `error_rate`."""
    gate: str
    environment: str
    measured: Measured
    """What of the calls stands behind the metric."""
    unit: Unit
    value: float | None
    """None where no gate read it, as in a look that was asked for."""
    low: float | None
    high: float | None
    """The 95% interval of `value`; None where there is none."""
    baseline: float | None
    direction: Literal["above", "below"]
    """On which side of what must hold the value lies."""
    now: Window
    before: Window
    kinds: tuple[str, ...] = ()
    """Kinds of change that the trigger names."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A diagnosed cause, or that there is none to be named: then `slices` is empty and the sentence says so."""

    id: str
    tenant: str
    at_us: int
    metric: str
    gate: str
    environment: str
    measured: Measured
    unit: Unit
    value: float | None
    low: float | None
    high: float | None
    baseline: float | None
    direction: Literal["above", "below"]
    now: Window
    before: Window
    looked_at: tuple[int, int]
    """Calls that were looked at, before and now."""
    partial: bool
    """There were more calls than were looked at."""
    observed: float | None
    expected: float | None
    """Hits in those calls now, and had each kind of call done as before; None where there was nothing to look at."""
    slices: tuple[FoundSlice, ...]
    moment: Moment | None
    around: tuple[Around, ...]
    kinds: tuple[ActingKind, ...]
    sentence: str
    collection: str = ""
    """Of a finding about searches: which documents they were of."""
    search: SearchFinding | None = None
    """Why searches got worse; None for a finding about calls."""
    recommended: tuple[Repair, ...] | None = None
    """Repairs of searches, the likeliest first; empty where no cause was found; None for a finding about calls."""


def sentence(breach: Breach, slices: tuple[FoundSlice, ...], moment: Moment | None, near: tuple[Around, ...]) -> str:
    """Tell a finding as an engineer would."""
    where = f"{breach.metric} in {breach.environment}"
    said = f"{where} was not read" if breach.value is None else f"{where} is {_value(breach.value, breach.unit)}"
    if breach.low is not None and breach.high is not None:
        said += f" ({_value(breach.low, breach.unit)} to {_value(breach.high, breach.unit)})"
    if breach.baseline is not None:
        said += f", it was {_value(breach.baseline, breach.unit)}"
    parts = [said + "."]
    if not slices:
        parts.append("No calls were found that explain it beyond chance.")
    parts += [_told(one, breach.measured) for one in slices]
    if moment is not None:
        parts.append(f"It began between {_time(moment.since_us)} and {_time(moment.until_us)} UTC.")
    if near:
        nearest = near[0]
        minutes = abs(nearest.distance_us) // 60_000_000
        where = (
            "at that time"
            if not nearest.distance_us
            else f"{minutes} min {'before' if nearest.distance_us < 0 else 'after'}"
        )
        parts.append(f"Nearest event, {where}: {nearest.event.text}.")
    return " ".join(parts)


def report(finding: Finding, cycle_id: str) -> dict[str, Any]:
    """Give the finding as `diagnostic_report.json` of a cycle."""
    if finding.search is not None:
        read = {"current_value": finding.value, "baseline": finding.baseline, "delta": _delta(finding)}
        return of_searches(finding.search, cycle_id) | read
    categories = [words(one.attributes) for one in finding.slices]
    return {
        "cycle_id": cycle_id,
        "timestamp": datetime.fromtimestamp(finding.at_us / 1e6, UTC).isoformat(),
        "trigger": finding.metric,
        "current_value": finding.value,
        "baseline": finding.baseline,
        "delta": _delta(finding),
        "root_cause_analysis": {
            "type": _type(finding),
            "affected_categories": categories,
            "distribution_change": {"new_tokens": None, "coverage": None},
        },
        "xai_insights": {
            "low_coverage_tokens": None,
            "importance_scores": {name: one.share for name, one in zip(categories, finding.slices, strict=True)},
            "suggested_action": finding.kinds[0].reason if finding.kinds else None,
        },
        "recommended_actions": [
            {"type": kind.name, "target": categories[0] if categories else None, "expected_improvement": None}
            for kind in finding.kinds
        ],
        "latency": None,
    }


def _delta(finding: Finding) -> float | None:
    return None if finding.value is None or finding.baseline is None else finding.value - finding.baseline


def _type(finding: Finding) -> str | None:
    """Name the largest cause: a class of errors, a shift of traffic, or the measure that got worse; None where none was found."""
    if not finding.slices:
        return None
    first = finding.slices[0]
    if first.effect == "more":
        return "traffic_shift"
    return worst_class(first) if finding.measured == "errors" and worst_class(first) else finding.measured


_NOUNS: dict[Measured, str] = {"errors": "failed", "slow": "were slow", "dissatisfied": "were judged unsatisfying"}


def _told(one: FoundSlice, measured: Measured) -> str:
    part = "" if one.share is None else f" ({one.share:.0%} of the excess)"
    name = words(one.attributes)
    name = name[0].upper() + name[1:] if not one.attributes else name
    if one.effect == "more":
        grown = f"{one.calls_now:,} calls now and {one.calls_before:,} before"
        return f"{name}{part}: no worse than before, but {grown}, and such calls always did worse."
    if measured in _NOUNS:
        told = f"{name}{part}: {one.observed:,.0f} of {one.calls_now:,} calls {_NOUNS[measured]}, {one.expected:,.1f} were to be expected"
    else:
        told = (
            f"{name}{part}: {one.calls_now:,} calls cost {_usd(one.observed)}, {_usd(one.expected)} were to be expected"
        )
    kind = worst_class(one) if measured == "errors" and "error_class" not in one.attributes else None
    if kind is not None:
        told += f", most of them {kind}"
    if one.same_calls_as:
        told += f"; the same calls as {words(one.same_calls_as[0])}"
    return told + "."


def _value(value: float, unit: Unit) -> str:
    if unit == "share":
        return f"{value:.2%}"
    return f"{value:,.0f} ms" if unit == "ms" else f"${value:,.4g}" if unit == "usd" else f"{value:.3g}"


def _usd(micros: float) -> str:
    return f"${micros / 1e6:,.4g}"


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M")
