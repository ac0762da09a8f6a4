"""How much of the lost gain is on which sort of searches. The parts add up to the fall, but for what they are shrunk by.

A sort adds what its share and its distance to plain searches came to now, less the same before (Kitagawa, Journal of the American
Statistical Association 50, 1955). Shares are known of all searches, gains only of the judged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from meliora.diagnosis.search.records import Loss, Sort, WeakToken
from meliora.diagnosis.search.seen import SearchSeen
from meliora.diagnosis.search.words import Words
from meliora.stats.drift import share_rise_z

PRIOR = 2.0
"""Judged searches of no loss that are added to each sort but the rest."""
_LEAST_PLAIN = 5


@dataclass(frozen=True)
class _Group:
    share: float
    searches: int
    size: float
    """Searches of all sorts, as many as their weights are worth."""
    judged: int
    worth: float
    mean: float | None


def losses(
    words: Words, weak: Sequence[WeakToken], before: Sequence[SearchSeen], now: Sequence[SearchSeen]
) -> tuple[Loss, ...]:
    """Give what each sort adds to the fall of the mean gain, the largest first."""
    terms = frozenset(one.term for one in weak if one.believed and one.known)
    sides: list[list[tuple[Sort, SearchSeen]]] = [
        [(sort_of(one, words, terms), one) for one in searches] for searches in (before, now)
    ]
    plain = [one for sort, one in sides[0] if sort == "rest" and one.gain is not None]
    if len(plain) < _LEAST_PLAIN:
        plain = [one for one in before if one.gain is not None]
    level = _mean(plain)
    spread = _spread([one for side in sides for _, one in side])
    found: list[Loss] = []
    for sort in get_args(Sort):
        old, new = (_group(side, sort) for side in sides)
        if old.searches or new.searches:
            found.append(_loss(sort, old, new, level, _worth(plain), spread))
    return tuple(sorted(found, key=lambda one: -(one.lost or 0.0)))


def sort_of(search: SearchSeen, words: Words, weak: frozenset[str]) -> Sort:
    """Give the sort that a search is of: a recurring new word before a slip, a slip before a rare unknown word."""
    if search.relevant_lost is not None and search.relevant_lost > 0:
        return "index"
    unknown = words.unknown.intersection(search.terms)
    if unknown:
        if not unknown.isdisjoint(words.recurring):
            return "far"
        return "far" if unknown.isdisjoint(words.near) else "near"
    return "rest" if weak.isdisjoint(search.terms) else "weak"


def _loss(sort: Sort, old: _Group, new: _Group, level: float | None, plain: float, spread: float) -> Loss:
    lost = z = None
    if level is not None and new.mean is not None:
        prior = 0.0 if sort == "rest" else PRIOR
        d_new = (level - new.mean) * new.worth / (new.worth + prior)
        # A sort that was not judged before is taken to have cost then what it costs now.
        d_old = 0.0 if sort == "rest" else d_new if old.mean is None else _shrunk(level - old.mean, old.worth)
        lost = new.share * d_new - old.share * d_old
        moved = new.share if sort == "rest" else new.share - old.share
        variance = spread**2 * (moved**2 / max(plain, 1.0) + new.share**2 / (new.worth + prior))
        if sort != "rest":
            variance += spread**2 * old.share**2 / (old.worth + PRIOR)
        variance += d_new**2 * _share_variance(new) + d_old**2 * _share_variance(old)
        z = lost / math.sqrt(variance)
    return Loss(
        sort=sort,
        searches_before=old.searches,
        searches_now=new.searches,
        share_before=old.share if old.size else None,
        share_now=new.share if new.size else None,
        share_z=share_rise_z(new.share * new.size, new.size, old.share * old.size, old.size),
        gain_before=old.mean,
        gain_now=new.mean,
        judged_now=new.judged,
        lost=lost,
        lost_z=z,
    )


def _group(side: Sequence[tuple[Sort, SearchSeen]], sort: Sort) -> _Group:
    mine = [one for each, one in side if each == sort]
    everything = [one for _, one in side]
    total = sum(one.weight for one in everything)
    judged = [one for one in mine if one.gain is not None]
    share = sum(one.weight for one in mine) / total if total else 0.0
    return _Group(share, len(mine), _worth(everything), len(judged), _worth(judged), _mean(judged))


def _mean(searches: Sequence[SearchSeen]) -> float | None:
    judged = [(one.gain, one.weight) for one in searches if one.gain is not None]
    total = sum(weight for _, weight in judged)
    return sum(gain * weight for gain, weight in judged) / total if total else None


def _worth(searches: Sequence[SearchSeen]) -> float:
    """Give how many searches of equal weight these are worth (Kish, Survey Sampling, 1965, 11.7)."""
    top = max((one.weight for one in searches), default=1.0)
    weights = [one.weight / top for one in searches]
    squares = sum(weight * weight for weight in weights)
    return sum(weights) ** 2 / squares if squares else 0.0


def _spread(searches: Sequence[SearchSeen]) -> float:
    gains = [one.gain for one in searches if one.gain is not None]
    if len(gains) < 2:
        return 0.5
    mean = sum(gains) / len(gains)
    return max(0.1, math.sqrt(sum((gain - mean) ** 2 for gain in gains) / len(gains)))


def _shrunk(distance: float, worth: float) -> float:
    return distance * worth / (worth + PRIOR)


def _share_variance(group: _Group) -> float:
    share = (group.share * group.size + 0.5) / (group.size + 1)
    return share * (1 - share) / max(group.size, 1.0)
