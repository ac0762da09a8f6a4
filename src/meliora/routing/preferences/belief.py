"""What ratings say about a few choices of one user: expected rating, how sure, which is best. Pure; randomness is passed in.

Ratings are in 0..1. A rating of choice m by one user is taken as

    b_m + g + d_m + noise

where b_m is what other people say of it, g ~ N(0, .3^2) how generous this user is, and d_m ~ N(0, .15^2) what is personal. The
posterior is that of a random-effects model (Henderson, Biometrics 31, 1975), in closed form: little evidence stays close to what
others say, much evidence is personal, and a grumbler's bad marks for everything say nothing against any one choice.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PRIOR = 0.5
"""Expected rating of what nobody ever rated (the documented prior)."""
_GENEROSITY = 0.3**2
_PERSONAL = 0.15**2
_NOISE, _NOISE_WEIGHT = 0.2, 10.0
"""Variance of a single rating before any is seen, and the ratings that this guess is worth; thumbs have at most .25."""
_LEAST_NOISE = 0.01
_POINTS = 96
_REACH = 4.5


@dataclass(frozen=True, slots=True)
class Belief:
    """What is believed of one choice."""

    name: str
    mean: float
    """Expected rating. May leave 0..1 by a little where ratings are few."""
    spread: float
    """Standard deviation of the above, given the user's generosity."""
    count: int
    """Ratings behind it."""
    personal: float
    """How much more (or less) this user likes it than others do, generosity taken out, shrunk by evidence."""


def beliefs(
    ratings: Mapping[str, Sequence[float]], others: Mapping[str, float] | None = None, *, rate: float = 0.1
) -> tuple[Belief, ...]:
    """Give what is believed of each choice, in the order given; a choice without ratings is believed to be as others say.

    `ratings` are in the order they were given. With each rating of a choice its earlier ones lose a fifth of the learning `rate`
    of their weight, so that at the documented rate of 0.1 about the last hundred count. `others` holds b_m, `PRIOR` where missing.
    """
    base = others or {}
    keep = 1 - rate / 5
    groups = {name: _weighed(values, keep) for name, values in ratings.items()}
    freedom = sum(group.size - 1 for group in groups.values() if group.size > 1)
    scatter = sum(group.variance * (group.size - 1) for group in groups.values() if group.size > 1)
    noise = max(_LEAST_NOISE, (_NOISE * _NOISE_WEIGHT + scatter) / (_NOISE_WEIGHT + freedom))
    generosity = _generosity(groups, base, noise)
    shrink = noise / _PERSONAL
    found = []
    for name, group in groups.items():
        expected = base.get(name, PRIOR) + generosity
        share = group.size / (group.size + shrink)
        personal = share * (group.mean - expected) if group.size else 0.0
        spread = math.sqrt(noise / (group.size + shrink))
        found.append(Belief(name, expected + personal, spread, group.count, personal))
    return tuple(found)


def chance_best(choices: Sequence[Belief]) -> tuple[float, ...]:
    """Give for each choice the probability that it is the best of them; they sum to 1.

    A single one is compared with one of which nothing more is known than what others say of it, so that it is never sure.
    Integrates the density of each times the distribution functions of all others, by the trapezoid rule.
    """
    if len(choices) == 1:
        (only,) = choices
        return chance_best((only, Belief("", only.mean - only.personal, math.sqrt(_PERSONAL), 0, 0.0)))[:1]
    if not choices:
        return ()
    low = min(one.mean - _REACH * one.spread for one in choices)
    high = max(one.mean + _REACH * one.spread for one in choices)
    step = min(min(one.spread for one in choices) / 3, (high - low) / _POINTS)
    totals = [0.0] * len(choices)
    for point in range(int((high - low) / step) + 1):
        at = [(low + point * step - one.mean) / one.spread for one in choices]
        below = [0.5 * math.erfc(-z / math.sqrt(2)) for z in at]
        product = math.prod(below)
        for index, z in enumerate(at):
            if below[index] > 0.0:
                totals[index] += math.exp(-z * z / 2) / choices[index].spread * product / below[index]
    whole = math.fsum(totals)
    return tuple(total / whole for total in totals)


def best(choices: Sequence[Belief]) -> Belief:
    """Give the one with the highest expected rating; of equals the one rated more often, then the first by name."""
    return min(choices, key=lambda one: (-one.mean, -one.count, one.name))


def sampled(choices: Sequence[Belief], source: random.Random) -> Belief:
    """Give the one to show next so as to learn and to please: the best of one draw from each (Thompson, Biometrika 25, 1933)."""
    return max(choices, key=lambda one: source.gauss(one.mean, one.spread))


@dataclass(frozen=True, slots=True)
class _Group:
    """Ratings of one choice, weighed: mean, variance, how many equally weighed ones they are worth, how many there are."""

    mean: float
    variance: float
    size: float
    count: int


def _weighed(values: Sequence[float], keep: float) -> _Group:
    """Weigh the later more. `size` is Kish's effective sample size, (sum w)^2 / sum w^2 (Survey Sampling, 1965)."""
    if not values:
        return _Group(PRIOR, 0.0, 0.0, 0)
    weights = [keep ** (len(values) - 1 - place) for place in range(len(values))]
    total = math.fsum(weights)
    mean = math.fsum(w * y for w, y in zip(weights, values, strict=True)) / total
    variance = math.fsum(w * (y - mean) ** 2 for w, y in zip(weights, values, strict=True)) / total
    size = total * total / math.fsum(w * w for w in weights)
    return _Group(mean, variance * size / max(size - 1, 1e-9) if size > 1 else 0.0, size, len(values))


def _generosity(groups: Mapping[str, _Group], base: Mapping[str, float], noise: float) -> float:
    """Give the posterior mean of g: each choice's mean is one look at it, of variance noise / size + personal."""
    weight, total = 1 / _GENEROSITY, 0.0
    for name, group in groups.items():
        if group.size:
            precision = 1 / (noise / group.size + _PERSONAL)
            weight += precision
            total += precision * (group.mean - base.get(name, PRIOR))
    return total / weight
