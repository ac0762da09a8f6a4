"""What people do with results, as far as it tells how good they are. None of it is a judgment: a click may be of curiosity.

Searches of one person go together, so intervals count people (ratio estimator over clusters: Cochran, Sampling Techniques, 1977, 6.4).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from meliora.knowledge.quality.records import Searched
from meliora.stats.proportion import wilson
from meliora.stats.special import student_quantile

AGAIN_US = 120_000_000
"""Within this time, another query with a word in common puts the same question again."""


class Proxy(msgspec.Struct, frozen=True):
    """A share or mean with its 95% interval. None where nothing can be said, and no interval of one person."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    """Searches behind it."""
    people: int


class Proxies(msgspec.Struct, frozen=True, kw_only=True):
    """What people did. Those about clicks are None where not one click was logged: then clicks are not logged at all."""

    click_through: Proxy
    """Share of searches with results of which one was clicked."""
    click_reciprocal_rank: Proxy
    """Mean of 1 / place of the uppermost click, of searches with a click."""
    reformulation: Proxy
    """Share of searches after which the same person put the same question in other words, within two minutes and unsatisfied."""
    abandonment: Proxy
    """Share of searches with no click, no acceptance and no other words after."""
    accepted: Proxy
    """Share of answers that were taken, of those of which anybody said."""
    failed: int
    """Searches that ended with an error: in none of the above."""


def proxies(searches: Sequence[Searched]) -> Proxies:
    """Work the proxies out of a log, in whatever order it comes."""
    told = sorted((one for one in searches if one.error is None), key=lambda one: (one.at_us, one.id))
    again = reformulated(told)
    clicks = any(one.clicked for one in told)
    heard = clicks or any(one.accepted for one in told)
    shown = [one for one in told if one.shown]
    clicked = [one for one in told if _first_click(one)]
    return Proxies(
        click_through=_mean(shown, lambda one: float(bool(one.clicked))) if clicks else _nothing(shown),
        click_reciprocal_rank=_mean(clicked, lambda one: 1 / _first_click(one)),
        reformulation=_mean(told, lambda one: float(one.id in again)),
        abandonment=_mean(told, lambda one: float(_left(one, again))) if heard else _nothing(told),
        accepted=_mean([one for one in told if one.accepted is not None], lambda one: float(bool(one.accepted))),
        failed=len(searches) - len(told),
    )


def reformulated(searches: Sequence[Searched]) -> dict[str, str]:
    """Give, by id, the search that put the same question in other words. `searches` are in the order of time.

    Raw words stand in for terms that were not logged. Who opened or took something was not unsatisfied.
    """
    last: dict[str, Searched] = {}
    found: dict[str, str] = {}
    for one in searches:
        before = last.get(one.person)
        last[one.person] = one
        if before is None or before.clicked or before.accepted or one.at_us - before.at_us > AGAIN_US:
            continue
        mine, theirs = _terms(one), _terms(before)
        if mine != theirs and mine & theirs:
            found[before.id] = one.id
    return found


def _terms(one: Searched) -> frozenset[str]:
    return frozenset(one.terms or one.query.casefold().split())


def _first_click(one: Searched) -> int:
    """Give the place of the uppermost click, from 1; 0 where there is none on a result that was shown."""
    clicked = frozenset(one.clicked)
    return next((place for place, document in enumerate(one.shown, start=1) if document in clicked), 0)


def _left(one: Searched, again: dict[str, str]) -> bool:
    return not one.clicked and not one.accepted and one.id not in again


def _nothing(searches: Sequence[Searched]) -> Proxy:
    return Proxy(None, None, None, len(searches), len({one.person for one in searches}))


def _mean(searches: Sequence[Searched], measure: Callable[[Searched], float]) -> Proxy:
    sums: dict[str, tuple[float, int]] = {}
    for one in searches:
        total, count = sums.get(one.person, (0.0, 0))
        sums[one.person] = (total + measure(one), count + 1)
    n, people = len(searches), len(sums)
    if not n:
        return _nothing(searches)
    table = np.array(list(sums.values()), dtype=float)
    value = float(table[:, 0].sum() / n)
    if people < 2:
        return Proxy(value, None, None, n, people)
    residue = table[:, 0] - value * table[:, 1]
    spread = math.sqrt(float((residue**2).sum()) * people / (people - 1)) / n
    if spread < 1e-12:  # all alike: what people not seen would do is still open
        low, high = wilson(value * people, people)
        return Proxy(value, min(low, value), max(high, value), n, people)
    reach = student_quantile(0.975, people - 1) * spread
    return Proxy(value, max(0.0, value - reach), min(1.0, value + reach), n, people)
