"""Words whose searches got worse: commoner than before, and with less gain than such searches had. One search accuses one word.

The strongest word's searches are taken away before the next is sought, or the words beside it would be accused with it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import msgspec
import numpy as np

from meliora.diagnosis.search.records import WeakToken
from meliora.diagnosis.search.seen import SearchSeen
from meliora.diagnosis.search.words import Words
from meliora.stats.drift import share_rise_z
from meliora.stats.logodds import log_odds_z
from meliora.stats.multiple import benjamini_hochberg
from meliora.stats.special import normal_cdf

LEAST = 3
"""Searches now from which a word is looked at."""
LEVEL = 0.01
GROWN = 3.0
"""z of the growth from which an unknown word is looked at though its searches do well."""
FEW, MANY = 4.0, 100.0
"""Judged searches that a word's own past has to outweigh, at least and at most: many, where words differ by chance alone."""
_MOST = 50
_COMMON = 0.5
"""Part of the searches above which a word tells nothing apart."""


def weak_tokens(words: Words, before: Sequence[SearchSeen], now: Sequence[SearchSeen]) -> tuple[WeakToken, ...]:
    """Give the words that accuse themselves, the strongest first; `believed` tells which hold among all that might have been."""
    places = _places(now)
    past = _places(before)
    terms = sorted(places.keys() | past.keys())
    growth = dict(zip(terms, log_odds_z(_counts(terms, places), _counts(terms, past)).tolist(), strict=True))
    looked = [
        term
        for term in terms
        if len(places.get(term, ())) >= LEAST and (len(places[term]) <= _COMMON * len(now) or term in words.unknown)
    ]
    ranked = _ranked(looked, words, before, now, places, past, growth)
    # A word that did not come often enough now might have: chance had a try at it as well.
    might = sum(len(places.get(term, ())) + len(past.get(term, ())) >= LEAST for term in terms)
    tried = [one.p_value for one in ranked] + [1.0] * (might - len(ranked))
    held = benjamini_hochberg(tried, LEVEL) if tried else []
    return tuple(_believed(one, told) for one, told in zip(ranked, held, strict=False))


def _ranked(
    looked: list[str],
    words: Words,
    before: Sequence[SearchSeen],
    now: Sequence[SearchSeen],
    places: dict[str, list[int]],
    past: dict[str, list[int]],
    growth: dict[str, float],
) -> list[WeakToken]:
    level, spread = _level([one.gain for one in before if one.gain is not None])
    prior = _prior([[gain for at in own if (gain := before[at].gain) is not None] for own in past.values()], spread)
    gains = [one.gain for one in now]
    taken = np.zeros(len(now), dtype=bool)
    found: list[WeakToken] = []
    left = set(looked)

    def rise(term: str, count: int) -> float:
        return share_rise_z(count, len(now), len(past.get(term, ())), len(before)) or 0.0

    def told(term: str) -> WeakToken:
        open_ = [at for at in places[term] if not taken[at]]
        mine = [gain for at in open_ if (gain := gains[at]) is not None]
        own = [gain for at in past.get(term, ()) if (gain := before[at].gain) is not None]
        expected = None if level is None else (sum(own) + prior * level) / (len(own) + prior)
        z = mean = None
        if expected is not None and mine:
            mean = (sum(mine) + expected) / (len(mine) + 1)
            few = FEW / len(mine) ** 2  # how far a handful of gains spreads is known badly
            chance = spread * math.sqrt(1 / len(mine) + few + 1 / (len(own) + prior))
            z = (expected - sum(mine) / len(mine)) / chance
        known = term not in words.unknown
        return WeakToken(
            term=term,
            known=known,
            searches_now=len(places[term]),
            searches_before=len(past.get(term, ())),
            growth_z=growth[term],
            gain=mean,
            expected=expected,
            p_value=_p_value(z, rise(term, len(open_)), known) if len(open_) >= LEAST else 1.0,
            believed=False,
        )

    standing = {term: told(term) for term in left}
    while standing and len(found) < _MOST:
        best = min(standing.values(), key=lambda one: (one.p_value, -one.searches_now, one.term))
        if best.p_value >= 0.5:
            break
        found.append(best)
        del standing[best.term]
        touched = {term for at in places[best.term] if not taken[at] for term in now[at].terms}
        if best.p_value <= LEVEL:
            taken[places[best.term]] = True
            for term in touched & standing.keys():
                standing[term] = told(term)
    return found


def _p_value(loss: float | None, growth: float, known: bool) -> float:
    """Bound the chance: of a known word by its loss, of one that no passage has by loss, growth, or both (Bonferroni over the three).

    A known word that is asked for more often is no weak one for that; with few searches both come by chance.
    """
    if known:
        return 1.0 if loss is None else _upper(loss)
    if loss is None:
        return _upper(growth)
    if loss <= 0 and growth < GROWN:  # its searches do well
        return 1.0
    both = (loss + max(growth, 0.0)) / math.sqrt(2)
    return min(1.0, 3 * min(_upper(loss), _upper(both), _upper(growth)))


def _upper(z: float) -> float:
    return float(normal_cdf(-z))


def _level(gains: Sequence[float]) -> tuple[float | None, float]:
    if not gains:
        return None, 1.0
    return float(np.mean(gains)), max(float(np.std(gains)), 0.1)


def _prior(gains: Sequence[Sequence[float]], spread: float) -> float:
    """Give how many searches the mean of all counts beside a word's own: variance of gains over that between words.

    The latter by moments (DerSimonian and Laird 1986).
    """
    own = [one for one in gains if one]
    counts = np.array([len(one) for one in own], dtype=float)
    if len(own) < 2 or counts.sum() == len(own):
        return FEW
    means = np.array([np.mean(one) for one in own])
    every = float(counts @ means / counts.sum())
    beyond = float(counts @ (means - every) ** 2) - (len(own) - 1) * spread**2
    between = beyond / float(counts.sum() - counts @ counts / counts.sum())
    return MANY if between <= 0 else float(np.clip(spread**2 / between, FEW, MANY))


def _places(searches: Sequence[SearchSeen]) -> dict[str, list[int]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for at, one in enumerate(searches):
        for term in dict.fromkeys(one.terms):
            found[term].append(at)
    return dict(found)


def _counts(terms: Sequence[str], places: dict[str, list[int]]) -> list[float]:
    return [float(len(places.get(term, ()))) for term in terms]


def _believed(one: WeakToken, told: bool) -> WeakToken:
    return msgspec.structs.replace(one, believed=told)
