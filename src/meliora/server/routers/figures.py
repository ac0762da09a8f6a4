"""How routing does, as figures with the counts they rest on. Claims nothing: where nothing was measured the value is null."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from fastapi import APIRouter

from meliora.routing.matrix import level_of
from meliora.server.again import Again
from meliora.server.auth import HereControl, ReadCaller
from meliora.server.dispatch import QueueSeen
from meliora.server.inputs import Since, Until
from meliora.server.routers.decisions import in_flight
from meliora.server.shapes import Answer, says
from meliora.stats.proportion import wilson
from meliora.store.calls.analytics import Usage
from meliora.store.calls.decisions import LOOKED_AT, Decided, Judged

router = APIRouter(tags=["routing"], route_class=Again)

_NAMED = ("asked", "alias", "cache", "fallback", "")
"""What decided where the caller did, or nobody."""


class DecidedBy(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that one kind of thing decided: `rule`, `tier`, `classifier`, `default`, `policy`, `asked`, `alias`, ..."""

    by: str
    calls: int
    share: float
    judged: int
    """Words of feedback on calls that it decided."""
    good: int
    """Those worth at least 0.5."""


class RoutingFigure(msgspec.Struct, frozen=True, kw_only=True):
    """A figure: what it is, what it was measured on, and what the documents hoped for. Null: nothing was measured."""

    name: str
    value: float | None
    low: float | None
    """95% interval, where it is a share."""
    high: float | None
    unit: str
    count: int
    """What it rests on."""
    missing: int
    """What belongs to it and could not be counted in."""
    target: str
    meets_target: bool | None
    """Null: the interval, or the lack of data, leaves it open."""
    measured: str


class RoutingStats(msgspec.Struct, frozen=True, kw_only=True):
    """What decided the newest calls, in which tiers they went, and the figures."""

    calls: int
    at_most: int
    """So many of the newest are looked at."""
    decided_by: tuple[DecidedBy, ...]
    tiers: dict[str, int]
    queue: QueueSeen
    figures: tuple[RoutingFigure, ...]


@router.get("/routing/stats", **says(RoutingStats))
def stats(caller: ReadCaller, control: HereControl, since: Since = None, until: Until = None) -> Answer:
    """Show what decided the newest calls, what people said of the answers, and what a thousand messages cost."""
    decisions = control.store.decisions
    decided = decisions.decided(caller.tenant, since_us=since, until_us=until)
    judged = decisions.judged(caller.tenant, since_us=since, until_us=until)
    total = control.store.analytics.total(caller.tenant, since_us=since, until_us=until)
    calls = sum(one.calls for one in decided)
    depth, threshold = in_flight(control), control.context.settings.routing.high_queue_threshold
    tiers: dict[str, int] = {}
    for one in decided:
        tiers[one.tier or "none"] = tiers.get(one.tier or "none", 0) + one.calls
    return Answer(
        RoutingStats(
            calls=calls,
            at_most=LOOKED_AT,
            decided_by=_by_kind(decided, judged, calls),
            tiers=tiers,
            queue=QueueSeen(depth, level_of(depth, threshold), threshold),
            figures=(_approved(judged), _per_thousand(total)),
        )
    )


def _kind(reason: str) -> str:
    """Give what decided: `rule` of `rule:ID;fallback:MODEL`."""
    return reason.partition(";")[0].partition(":")[0]


def _by_kind(decided: Iterable[Decided], judged: Iterable[Judged], calls: int) -> tuple[DecidedBy, ...]:
    counts: dict[str, list[int]] = {}
    for one in decided:
        counts.setdefault(_kind(one.reason), [0, 0, 0])[0] += one.calls
    for word in judged:
        held = counts.setdefault(_kind(word.reason), [0, 0, 0])
        held[1] += word.judged
        held[2] += word.good
    found = sorted(counts.items(), key=lambda item: (-item[1][0], item[0]))
    return tuple(
        DecidedBy(by=kind or "unknown", calls=n, share=n / calls if calls else 0.0, judged=said, good=good)
        for kind, (n, said, good) in found
    )


def _approved(judged: Sequence[Judged]) -> RoutingFigure:
    """Give how often people were content with an answer whose model Meliora chose."""
    ours = [one for one in judged if _kind(one.reason) not in _NAMED]
    count, good = sum(one.judged for one in ours), sum(one.good for one in ours)
    low, high = wilson(good, count) if count else (None, None)
    return RoutingFigure(
        name="right_model",
        value=good / count if count else None,
        low=low,
        high=high,
        unit="share",
        count=count,
        missing=0,
        target="> 0.95",
        meets_target=None if low is None or high is None or low <= 0.95 < high else low > 0.95,
        measured=(
            "Words of feedback worth at least 0.5 among those on calls whose model Meliora chose. People judge an answer; "
            "what another model would have said nobody saw."
        ),
    )


def _per_thousand(total: Usage) -> RoutingFigure:
    priced = total.calls - total.unpriced
    value = total.cost_micros / 1e6 / priced * 1000 if priced else None
    return RoutingFigure(
        name="cost_per_1000_messages",
        value=value,
        low=None,
        high=None,
        unit="USD",
        count=priced,
        missing=total.unpriced,
        target="< 0.10",
        meets_target=None if value is None or total.unpriced else value < 0.10,
        measured="What the calls with a known cost took, by a thousand of them; cached answers cost nothing and count.",
    )
