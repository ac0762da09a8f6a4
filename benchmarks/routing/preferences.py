"""Preferences: how many planted users get the model that they like, after a hundred noisy words.

A user has one task and `MODELS` models. The best pleases them with a probability drawn from .55-.85, the next one by the gap less
often, the others by up to .2 less than that; which is which is drawn too, so that other users tell nothing. At each interaction the
learner shows one model (`recommend` with `explore`: Thompson sampling) and gets a thumb up or down, flipped with probability .1. The
model it then names (`recommend`) counts when it pleases within .05 of the best. The learner knows none of these numbers.

Three oracles beside it. *Same labels*: the Bayes-optimal choice given exactly the labels that the learner collected, knowing the four
probabilities (not whose they are) and the noise: no chooser can do better on these labels, and the figure is the learner's share of
what it reaches. *Own labels*: the same knowledge used for showing models too (Thompson sampling from the exact posterior), which also
charges the learner for what it chose to ask. *Every label*: the most liked where each interaction shows all models: four times the labels.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from benchmarks.intervals import mean, ratio_of_sums
from benchmarks.report import ControlFailed, Figure, figure
from meliora.routing.preferences.belief import beliefs, best, chance_best, sampled

MODELS = 4
INTERACTIONS = 100
NOISE = 0.1
NEAR = 0.05
GAPS = (0.05, 0.1, 0.2)
LOOKS = (10, 25, 50, 100)
"""Interactions after which the curve is read."""
_ROUNDING = 1e-9


@dataclass(frozen=True)
class User:
    """How often each model pleases a planted user."""

    likes: tuple[float, ...]

    def near(self, model: int) -> bool:
        """Say whether a model pleases almost as often as the best."""
        return self.likes[model] >= max(self.likes) - NEAR - _ROUNDING

    def label(self, model: int, source: random.Random) -> bool:
        """Give a noisy thumb."""
        return (source.random() < self.likes[model]) != (source.random() < NOISE)


@dataclass(frozen=True)
class Trial:
    """What became of one user."""

    learner: tuple[bool, ...]
    """Whether the model named was near the best, at each of `LOOKS`."""
    confidence: float
    """That the last one named is the best, as the learner said."""
    best: bool
    """Whether it was."""
    same: bool
    own: bool
    every: bool


def user(gap: float, source: random.Random) -> User:
    """Plant one."""
    top = source.uniform(0.55, 0.85)
    likes = [top, top - gap, *(top - gap - source.uniform(0, 0.2) for _ in range(MODELS - 2))]
    source.shuffle(likes)
    return User(tuple(likes))


def trial(who: User, source: random.Random) -> Trial:
    """Let the learner and the oracles serve one user."""
    ratings: dict[str, list[float]] = {str(model): [] for model in range(MODELS)}
    same, learner = Posterior(who.likes), []
    for step in range(1, INTERACTIONS + 1):
        model = int(sampled(beliefs(ratings), source).name)
        up = who.label(model, source)
        same.see(model, up)
        ratings[str(model)].append(float(up))
        if step in LOOKS:
            learner.append(who.near(int(best(beliefs(ratings)).name)))
    believed = beliefs(ratings)
    confidence = chance_best(believed)[believed.index(best(believed))]
    own = Posterior(who.likes)
    for _ in range(INTERACTIONS):
        model = own.drawn(source)
        own.see(model, who.label(model, source))
    ups = [sum(who.label(model, source) for _ in range(INTERACTIONS)) for model in range(MODELS)]
    return Trial(
        learner=tuple(learner),
        confidence=confidence,
        best=who.likes[int(best(believed).name)] == max(who.likes),
        same=who.near(same.choice()),
        own=who.near(own.choice()),
        every=who.near(ups.index(max(ups))),
    )


class Posterior:
    """The exact posterior over which model has which of the planted probabilities, all orders equally likely at first."""

    def __init__(self, likes: Sequence[float]) -> None:
        orders = np.array(list(permutations(range(len(likes)))))
        planted = np.array(likes)
        up = NOISE + (1 - 2 * NOISE) * planted[orders]
        self._up, self._down = np.log(up), np.log(1 - up)
        self._near: NDArray[np.bool_] = planted[orders] >= planted.max() - NEAR - _ROUNDING
        self._best: NDArray[np.intp] = planted[orders].argmax(axis=1)
        self._log = np.zeros(len(orders))

    def see(self, model: int, up: bool) -> None:
        """Take a label."""
        self._log += (self._up if up else self._down)[:, model]

    def choice(self) -> int:
        """Give the model that is most probably near the best."""
        return int((self._chances() @ self._near).argmax())

    def drawn(self, source: random.Random) -> int:
        """Give the best model of an order drawn from the posterior."""
        cumulative = self._chances().cumsum()
        place = int(np.searchsorted(cumulative, source.random() * cumulative[-1]))
        return int(self._best[min(place, len(self._best) - 1)])

    def _chances(self) -> NDArray[np.float64]:
        chances = np.exp(self._log - self._log.max())
        return chances / chances.sum()


@dataclass(frozen=True)
class Curve:
    """Share of users served near their best, by interactions; beside it what the oracles reach at the end."""

    gap: float
    steps: tuple[int, ...]
    shares: tuple[float, ...]
    levels: dict[str, float]


def measure(users: int, seed: int) -> tuple[list[Figure], list[Curve]]:
    """Serve so many users at each gap. Raises `ControlFailed` where the learner beats what cannot be beaten."""
    trials = {gap: _trials(gap, users, random.Random(f"{seed}:{gap}")) for gap in GAPS}
    found, curves = zip(*(_at(gap, served) for gap, served in trials.items()), strict=True)
    every = [one for served in trials.values() for one in served]
    error = mean([one.confidence - one.best for one in every])
    said = {"said": sum(one.confidence for one in every) / len(every)}
    note = "confidence less the share of users whose best model was named, over all gaps"
    confidence = figure("preferences.confidence_error", "share", error, beside=said, note=note)
    return [*reversed(found), confidence], list(curves)


def _trials(gap: float, users: int, source: random.Random) -> list[Trial]:
    return [trial(user(gap, source), source) for _ in range(users)]


def _at(gap: float, trials: Sequence[Trial]) -> tuple[Figure, Curve]:
    users = len(trials)
    reached = [float(one.learner[-1]) for one in trials]
    same = [float(one.same) for one in trials]
    lead = mean([a - b for a, b in zip(reached, same, strict=True)])
    if lead.low > 0:
        raise ControlFailed(
            f"at a gap of {gap} the learner beats the Bayes-optimal choice on the same labels by {lead.value:.3f}"
        )
    levels = {
        "same_labels": sum(same) / users,
        "own_labels": sum(one.own for one in trials) / users,
        "every_label": sum(one.every for one in trials) / users,
    }
    curve = tuple(sum(one.learner[look] for one in trials) / users for look in range(len(LOOKS)))
    made = figure(
        f"preferences.within_gap{round(gap * 100):02d}",
        "share",
        ratio_of_sums(reached, same),
        beside={"learner": curve[-1], **levels, "of_own_labels": curve[-1] / levels["own_labels"]},
        note=f"of what the best choice on the same {INTERACTIONS} labels reaches; {NOISE:.0%} flipped, {MODELS} models",
    )
    return made, Curve(gap, LOOKS, curve, levels)
