"""What the loop did in a time, for people who decide: cycles, times, cost, what was measured of it, what comes next.

Pure: the same facts, the same report. What was not measured is null in JSON and "not measured" in Markdown; nothing is estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, Protocol

import msgspec

from meliora.loop.change import Change, Edge
from meliora.loop.cycle import Cycle
from meliora.loop.gates.board import GateRow
from meliora.loop.improvements import Gain, gains
from meliora.loop.states import ENDED, State
from meliora.stats.proportion import wilson

LAGS = ("ingest_lag", "etl_lag")
"""Metrics of gates that say how far behind the data is, in seconds."""


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A share with its 95% interval; null without anything to count."""

    hits: int
    of: int
    value: float | None = None
    low: float | None = None
    high: float | None = None


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What calls cost in whole days (UTC)."""

    calls: int
    cost_micros: int
    unpriced: int
    """Calls whose price is not known, and not in the cost."""


class Improvement(msgspec.Struct, frozen=True, kw_only=True):
    """What a change that was kept brought, as its trial measured it; no gains: it was not measured."""

    change: str
    kind: str
    target: str
    state: State
    gains: tuple[Gain, ...]


class ActionTaken(msgspec.Struct, frozen=True, kw_only=True):
    """A change of the time."""

    change: str
    cycle: str | None
    kind: str
    target: str
    state: State
    reason: str


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """An aim of the documents beside what was measured; `met` null where that does not say."""

    name: str
    aim: str
    measured: float | None
    met: bool | None


class LoopReport(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    tenant: str
    since_us: int
    until_us: int
    environment: str
    cycles: dict[str, int]
    """By outcome; `open` are those that were not closed at the end of the time."""
    success: Share
    """Cycles that improved something, of those closed."""
    rollbacks: Share
    """Changes undone, of those that were kept or undone."""
    cycle_seconds_median: float | None
    cycle_seconds_longest: float | None
    loop_cost: Spent
    improvements: tuple[Improvement, ...]
    cost_optimisation: dict[str, Any]
    actions: tuple[ActionTaken, ...]
    next: tuple[str, ...]
    backlog_seconds: dict[str, float | None]
    uptime: float | None
    aims: tuple[Aim, ...]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The facts."""

    tenant: str
    since_us: int
    until_us: int
    environment: str
    cycles: tuple[Cycle, ...]
    """Those that were opened before the end and not closed before the beginning."""
    changes: tuple[tuple[Change, tuple[Edge, ...]], ...]
    """Those that took an edge in the time, with the edges taken before its end."""
    gates: tuple[GateRow, ...]
    loop_cost: Spent
    spent: Spent
    spent_before: Spent
    """Of the time of the same length before."""


class Reports(Protocol):
    """Makes reports of what is kept."""

    def of(self, tenant: str, since_us: int, until_us: int) -> LoopReport:
        """Report on a time. Raises `InvalidRequest` for one that is none, `StoreError`."""
        ...


def report(told: Told) -> LoopReport:
    """Make the report."""
    closed = [
        one for one in told.cycles if one.closed_us is not None and told.since_us <= one.closed_us < told.until_us
    ]
    outcomes = [str(one.outcome) for one in closed]
    counts = {name: outcomes.count(name) for name in ("improved", "unchanged", "rolled_back", "stopped")}
    counts["open"] = sum(one.closed_us is None or one.closed_us >= told.until_us for one in told.cycles)
    seconds = [max(0, (one.closed_us or 0) - one.opened_us) / 1e6 for one in closed]
    states = [(change, edges, edges[-1].target) for change, edges in told.changes if edges]
    kept, undone = _count(states, State.KEPT), _count(states, State.ROLLED_BACK)
    found = tuple(
        Improvement(change=change.id, kind=change.kind, target=change.target, state=state, gains=gains(edges))
        for change, edges, state in states
        if state is State.KEPT
    )
    success, rollbacks = _share(counts["improved"], len(closed)), _share(undone, kept + undone)
    middle = median(seconds) if seconds else None
    return LoopReport(
        tenant=told.tenant,
        since_us=told.since_us,
        until_us=told.until_us,
        environment=told.environment,
        cycles=counts,
        success=success,
        rollbacks=rollbacks,
        cycle_seconds_median=middle,
        cycle_seconds_longest=max(seconds, default=None),
        loop_cost=told.loop_cost,
        improvements=found,
        cost_optimisation=_costs(told, found),
        actions=tuple(_taken(change, edges, state) for change, edges, state in states),
        next=_next(told, states),
        backlog_seconds=_backlog(told.gates),
        uptime=None,
        aims=_aims(told, len(closed), success, rollbacks, middle),
    )


def _count(states: Sequence[tuple[Change, tuple[Edge, ...], State]], state: State) -> int:
    return sum(one is state for _, _, one in states)


def _share(hits: int, of: int) -> Share:
    if not of:
        return Share(hits=hits, of=of)
    low, high = wilson(hits, of)
    return Share(hits=hits, of=of, value=hits / of, low=low, high=high)


def _costs(told: Told, found: Sequence[Improvement]) -> dict[str, Any]:
    measured = [
        {"change": one.change, **msgspec.to_builtins(gain)}
        for one in found
        for gain in one.gains
        if gain.metric == "cost_per_call" and gain.effect is not None
    ]
    return {
        "measured": measured,
        "spent": msgspec.to_builtins(told.spent),
        "spent_before": msgspec.to_builtins(told.spent_before),
        "cost_per_1k_calls_usd": _per_1k(told.spent),
        "cost_per_1k_calls_usd_before": _per_1k(told.spent_before),
    }


def _per_1k(spent: Spent) -> float | None:
    priced = spent.calls - spent.unpriced
    return spent.cost_micros / priced / 1000 if priced > 0 else None


def _taken(change: Change, edges: tuple[Edge, ...], state: State) -> ActionTaken:
    said = change.reason if change.state is state and change.reason else change.summary
    return ActionTaken(
        change=change.id, cycle=change.cycle, kind=change.kind, target=change.target, state=state, reason=said
    )


def _next(told: Told, states: Sequence[tuple[Change, tuple[Edge, ...], State]]) -> tuple[str, ...]:
    """Name what is to be looked at, the worst first. Gates stand as they do when the report is made."""
    lines = [
        f"Change {change.id} ({change.kind} at {change.target}) could not be rolled back: act on it now."
        for change, _, state in states
        if state is State.ROLLBACK_FAILED
    ]
    lines += [f"The gate {row.name} fails ({_value(row)})." for row in told.gates if row.standing.failing]
    lines += [
        f"Change {change.id} ({change.kind} at {change.target}) waits for a person: {change.reason or state}."
        for change, _, state in states
        if change.state not in ENDED and change.due_us is None and state is not State.ROLLBACK_FAILED
    ]
    near = [row for row in told.gates if not row.standing.failing and row.standing.state == "near"]
    lines += [f"The gate {row.name} is near its bound ({_value(row)})." for row in near]
    blind = [row.name for row in told.gates if row.standing.state == "no_data"]
    if blind:
        lines.append(f"{len(blind)} gates have no data: {', '.join(blind)}.")
    return tuple(lines)


def _value(row: GateRow) -> str:
    value = "no data" if row.last is None or row.last.value is None else f"{row.last.value:.4g}"
    bound = "" if row.last is None or row.last.bound is None else f", bound {row.last.bound:.4g}"
    return f"{row.definition.metric} {value}{bound}"


def _backlog(gates: Sequence[GateRow]) -> dict[str, float | None]:
    return {
        row.definition.metric: None if row.last is None else row.last.value
        for row in gates
        if row.definition.metric in LAGS
    }


def _aims(told: Told, closed: int, success: Share, rollbacks: Share, middle: float | None) -> tuple[Aim, ...]:
    months = (told.until_us - told.since_us) / (30 * 86_400e6)
    rate = closed / months if months > 0 else None
    return (
        Aim(
            name="cycles a month",
            aim="60 to 80",
            measured=rate,
            met=None if rate is None or not closed else 60 <= rate <= 80,
        ),
        Aim(name="success rate", aim="above 0.9", measured=success.value, met=_beyond(success, 0.9, above=True)),
        Aim(
            name="median cycle, hours",
            aim="below 6",
            measured=None if middle is None else middle / 3600,
            met=None if middle is None else middle < 6 * 3600,
        ),
        Aim(
            name="rollback rate", aim="below 0.05", measured=rollbacks.value, met=_beyond(rollbacks, 0.05, above=False)
        ),
    )


def _beyond(share: Share, bound: float, *, above: bool) -> bool | None:
    """Tell whether the interval lies on one side of a bound; None where it holds the bound: too few to tell."""
    if share.low is None or share.high is None or share.low <= bound <= share.high:
        return None
    return (share.low > bound) is above
