"""Single queries whose answers got worse beyond chance. One that was not asked before has no past to be held against, and is not told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from meliora.diagnosis.search.records import QueryLoss
from meliora.diagnosis.search.seen import SearchSeen
from meliora.stats.drift import share_rise_z
from meliora.stats.multiple import benjamini_hochberg
from meliora.stats.special import normal_cdf

_LEVEL = 0.01
_LEAST_JUDGED = 3
"""Judged searches of a query on each side."""
_MOST, _SHOWN = 10, 3


def worst_queries(before: Sequence[SearchSeen], now: Sequence[SearchSeen]) -> tuple[QueryLoss, ...]:
    """Give up to ten queries, that first which lost most; each holds among all that were compared (Benjamini-Hochberg)."""
    sides = [_by_query(side) for side in (before, now)]
    judged = sum(one.gain is not None for one in now)
    found = [
        _told(sides[0][query], sides[1][query], judged)
        for query in sides[1]
        if all(_judged(side.get(query, ())) >= _LEAST_JUDGED for side in sides)
    ]
    held = benjamini_hochberg([one.p_value for one in found], _LEVEL) if found else []
    kept = [one for one, told in zip(found, held, strict=True) if told]
    return tuple(sorted(kept, key=lambda one: (-one.lost, one.p_value, one.searches))[:_MOST])


def _by_query(searches: Sequence[SearchSeen]) -> dict[str, list[SearchSeen]]:
    found: defaultdict[str, list[SearchSeen]] = defaultdict(list)
    for one in searches:
        if one.query:
            found[one.query].append(one)
    return dict(found)


def _judged(searches: Sequence[SearchSeen]) -> int:
    return sum(one.gain is not None for one in searches)


def _told(before: Sequence[SearchSeen], now: Sequence[SearchSeen], judged: int) -> QueryLoss:
    old, new = ([one.gain for one in side if one.gain is not None] for side in (before, now))
    z = share_rise_z(len(new) - sum(new), len(new), len(old) - sum(old), len(old))
    means = sum(old) / len(old), sum(new) / len(new)
    latest = sorted(now, key=lambda one: (-one.at_us, one.id))
    return QueryLoss(
        query=next((one.text for one in latest if one.text is not None), None),
        searches=tuple(one.id for one in latest[:_SHOWN]),
        searches_before=len(before),
        searches_now=len(now),
        gain_before=means[0],
        gain_now=means[1],
        lost=(means[0] - means[1]) * len(new) / judged,
        p_value=1.0 if z is None else float(normal_cdf(-z)),
    )
