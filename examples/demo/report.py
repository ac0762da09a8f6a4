"""The table of what happened, from the record alone, and how good and how dear answers were meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from examples.demo.story import HOUR_US, START_US, Played, Span
from meliora.loop.change import Change, Edge
from meliora.loop.states import State
from meliora.stats.proportion import wilson
from meliora.store.store import Store


@dataclass(frozen=True)
class Period:
    """What users said of a stretch of time, with its 95% interval, and what a thousand calls cost."""

    name: str
    since: float
    until: float
    """Hours."""
    calls: int
    liked: float
    low: float
    high: float
    usd: float
    """A thousand calls."""


@dataclass(frozen=True)
class Line:
    """A change as its edges tell it."""

    change: str
    hour: float
    who: str
    what: str
    proved: str
    trial: str
    state: str
    why: str


def periods(played: Played) -> list[Period]:
    """Give the stretches between the events of the world, and the time after the last of them was answered."""
    marks = played.marks
    return [
        _period("healthy", played.spans, 0, marks["birch degrades"]),
        _period("birch degraded, not yet found", played.spans, marks["birch degrades"], marks["found, on trial"]),
        _period("replaced, and kept", played.spans, marks["kept"], marks["elder proposed"]),
        _period("the bargain on trial", played.spans, marks["elder proposed"], marks["stopped"]),
        _period("fir promoted, and degraded", played.spans, marks["fir degrades"], marks["rolled back"]),
        _period("after the rollback", played.spans, marks["rolled back"], played.spans[-1].hour + 1),
    ]


def lines(store: Store, tenant: str, ids: Iterable[str]) -> list[Line]:
    """Give changes as the record has them."""
    return [_line(store.changes.get(tenant, one), store.changes.edges(tenant, one)) for one in ids]


def table(played: Played, store: Store, tenant: str) -> str:
    """Tell it, for a terminal."""
    said = ["", "What users of the assistant said, and what it cost", ""]
    said.append(f"  {'PERIOD':<40}{'HOURS':<14}{'CALLS':>7}  {'LIKED':<24}{'US$/1000':>9}")
    for one in periods(played):
        hours, liked = f"{one.since:.1f}-{one.until:.1f}", f"{one.liked:.1%} ({one.low:.1%}-{one.high:.1%})"
        said.append(f"  {one.name:<40}{hours:<14}{one.calls:>7}  {liked:<24}{one.usd:>9.4f}")
    said += ["", "What Meliora did, as the record has it"]
    for row in lines(store, tenant, played.changes.values()):
        said += ["", f"  {row.change}  {row.what}", f"    brought up   hour {row.hour:.1f}, by {row.who}"]
        said += [f"    proof        {row.proved}", f"    trial        {row.trial}", f"    came to      {row.state}"]
        said += [f"    because      {row.why}"] if row.why else []
    return "\n".join(said)


def _period(name: str, spans: Sequence[Span], since: float, until: float) -> Period:
    own = [one for one in spans if since - 1e-9 <= one.hour < until - 1e-9]
    words, ups, calls = (sum(getattr(one, field) for one in own) for field in ("words", "ups", "calls"))
    low, high = wilson(ups, words)
    cost = sum(one.cost_micros for one in own) / max(calls, 1) / 1e3
    return Period(name, since, until, calls, ups / max(words, 1), low, high, cost)


def _line(change: Change, edges: Sequence[Edge]) -> Line:
    proof = _last(edges, "proof").get("sentence", "none")
    trial = _last(edges, "trial").get("sentence", "none")
    check = _last(edges, "check").get("sentence", "")
    why = change.reason or (check if change.state is State.KEPT else "")
    hour = (change.created_us - START_US) / HOUR_US
    who = f"{change.origin.kind} {change.origin.name}"
    return Line(change.id, hour, who, change.summary, str(proof), str(trial), str(change.state), why)


def _last(edges: Sequence[Edge], name: str) -> dict[str, Any]:
    return next((edge.evidence[name] for edge in reversed(edges) if edge.evidence.get(name)), {})
