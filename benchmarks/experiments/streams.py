"""Many trials at once, unit by unit or call by call, as the library's sums. Seeded; one element of each array is one trial.

What differs between the scenarios is only where outcomes come from; all are analysed by `meliora.stats` as the loop does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meliora.stats.contrast import Stage
from meliora.stats.sums import Point, Sums

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, NDArray[np.bool_], float], Array]
"""Draws outcomes for units of which these are treated, at this share of the horizon."""

ARMS = ((1 - 0.2) / 0.2, 40)
"""Sum of the parameters of a user's beta distribution for an intra-class correlation of .2, and the most calls of a user."""


@dataclass(frozen=True)
class Look:
    """What is known of all trials at one time."""

    stages: list[Stage]
    units: int
    """Units so far, of both arms; where units come back, their calls."""
    naive: list[Stage] | None = None
    """The same outcomes analysed as one should not."""


class Tally:
    """Sums of both arms of many trials while outcomes come in, one a unit."""

    def __init__(self, trials: int) -> None:
        self.held = np.zeros((2, 3, trials))

    def add(self, treated: NDArray[np.bool_], outcomes: Array) -> None:
        """Count outcomes [trials, k]."""
        for arm, mask in enumerate((~treated, treated)):
            mine = np.where(mask, outcomes, 0.0)
            self.held[arm] += (mask.sum(axis=1), mine.sum(axis=1), (mine * mine).sum(axis=1))

    def stage(self, *, rate: bool) -> Stage:
        """Give both arms' points."""
        points = [Sums.of_mean(*arm) for arm in self.held]
        return Stage(*((sums.rate_point() if rate else sums.point()) for sums in points))


def single(
    rng: np.random.Generator, trials: int, horizon: int, draw: Draw, *, share: float = 0.5, every: int = 1, rate: bool
) -> Iterator[Look]:
    """One outcome a unit, each unit treated with the chance `share`, a look after every `every` units."""
    tally = Tally(trials)
    for seen in range(every, horizon + 1, every):
        treated = rng.random((trials, every)) < share
        tally.add(treated, draw(rng, treated, seen / horizon))
        yield Look([tally.stage(rate=rate)], seen)


def ramp(
    rng: np.random.Generator,
    trials: int,
    horizon: int,
    shares: tuple[float, ...],
    base: Callable[[float], float],
    every: int,
) -> Iterator[Look]:
    """A share that grows in equal stages while the success rate of both arms drifts; naive is all stages thrown together."""
    tallies = [Tally(trials) for _ in shares]
    pooled = Tally(trials)
    for seen in range(every, horizon + 1, every):
        at = (seen - 1) / horizon
        stage = int(at * len(shares))
        treated = rng.random((trials, every)) < shares[stage]
        outcomes = (rng.random((trials, every)) < base(at)).astype(float)
        tallies[stage].add(treated, outcomes)
        pooled.add(treated, outcomes)
        stages = [tally.stage(rate=True) for tally in tallies[: stage + 1]]
        yield Look(stages, seen, [pooled.stage(rate=True)])


class Returning:
    """Users who come back: each has a success rate of its own and 1 to 40 calls, in random order."""

    def __init__(self, rng: np.random.Generator, trials: int, users: int, mean: float) -> None:
        together, most = ARMS
        self.rates = rng.beta(mean * together, (1 - mean) * together, (trials, users)).astype(np.float32)
        calls = np.floor(np.exp(rng.uniform(0, np.log(most + 1), (trials, users)))).astype(np.int64)
        self.length = int(calls.sum(axis=1).min())
        """Calls of the shortest trial; all are cut to it."""
        order = np.empty((trials, self.length), dtype=np.int32)
        for trial in range(trials):
            order[trial] = rng.permutation(np.repeat(np.arange(users, dtype=np.int32), calls[trial]))[: self.length]
        self.order = order.T.copy()
        self.rows = np.arange(trials)

    def call(self, rng: np.random.Generator, step: int) -> tuple[NDArray[np.int32], Array]:
        """Give who calls next in each trial, and whether it succeeds."""
        who = self.order[step]
        return who, (rng.random(len(who)) < self.rates[self.rows, who]).astype(float)


class Clusters:
    """Sums of both arms by user, updated call by call."""

    def __init__(self, trials: int, users: int) -> None:
        self.y = np.zeros((trials, users), dtype=np.float32)
        self.x = np.zeros((trials, users), dtype=np.float32)
        self.held = np.zeros((2, 6, trials))
        self.rows = np.arange(trials)

    def add(self, who: NDArray[np.int32], treated: NDArray[np.bool_], outcome: Array) -> None:
        """Count one call in each trial."""
        y, x = self.y[self.rows, who], self.x[self.rows, who]
        change = np.stack(
            (x == 0, outcome, outcome * (2 * y + outcome), np.ones_like(y), y + outcome * x + outcome, 2 * x + 1)
        )
        self.held[0] += np.where(treated, 0.0, change)
        self.held[1] += np.where(treated, change, 0.0)
        self.y[self.rows, who] = y + outcome
        self.x[self.rows, who] = x + 1

    def stage(self) -> Stage:
        """Give both arms' points, by user."""
        return Stage(*(Sums(*arm).rate_point() for arm in self.held))

    def by_call(self) -> Stage:
        """Give both arms' points as if each call were a user."""
        return Stage(*(self._calls(arm) for arm in self.held))

    @staticmethod
    def _calls(arm: Array) -> Point:
        return Sums.of_rate(arm[3], arm[1]).rate_point()


def clustered(rng: np.random.Generator, trials: int, users: int, every: int) -> Iterator[Look]:
    """Users who come back, half of them treated; naive is the analysis by call."""
    world = Returning(rng, trials, users, 0.7)
    treated = rng.random((trials, users)) < 0.5
    held = Clusters(trials, users)
    for step in range(world.length):
        who, outcome = world.call(rng, step)
        held.add(who, treated[held.rows, who], outcome)
        if step % every == every - 1:
            yield Look([held.stage()], step + 1, [held.by_call()])


def clustered_ramp(
    rng: np.random.Generator, trials: int, users: int, shares: tuple[float, ...], every: int, *, sticky: bool
) -> Iterator[Look]:
    """Users who come back while the share grows; assigned anew in each stage, or `sticky`: once treated, always treated."""
    world = Returning(rng, trials, users, 0.7)
    held: list[Clusters] = []
    place = rng.random((trials, users))
    for step in range(world.length):
        stage = step * len(shares) // world.length
        if stage == len(held):
            held.append(Clusters(trials, users))
            place = place if sticky or not stage else rng.random((trials, users))
        who, outcome = world.call(rng, step)
        held[-1].add(who, place[held[-1].rows, who] < shares[stage], outcome)
        if step % every == every - 1:
            yield Look([part.stage() for part in held], step + 1)
