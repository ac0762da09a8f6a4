"""Computes a prior from outcomes of several sets of prompts. What it expects of a set is always judged by fits without that set.

Each set weighs the same, at most `MOST` of its prompts; rewards are compared within a set only, since sets differ in how hard they
are as a whole.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from meliora.errors import InvalidRequest
from meliora.routing.learned.policy import Curve, Policy, Trunk
from meliora.routing.learning.calibrate import CHARS_PER_TOKEN
from meliora.routing.learning.fit import OutOfFold, calibrate
from meliora.routing.learning.prior import ANSWER, Line, Prior, begin, blank
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.trunk import Corpus, fit_trunk, phis, read_all
from meliora.routing.pool import Candidate

Array = NDArray[np.float64]

MOST = 2000
"""Prompts of a set: the first by a hash."""
WIDTH = 32
"""Directions of the space of words."""
USUAL = 160
"""Prompts that are kept as usual ones."""
LEAST_SETS = 3
_PENALTIES = (100.0, 300.0, 1000.0, 3000.0)
_DOUBTS = (0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03)
_EVIDENCE = 400
"""Prompts of a model that the doubt is judged by: about as many as a tenant begins with."""


@dataclass(frozen=True)
class Known:
    """The outcomes of one set, and its models at their list prices."""

    outcomes: Outcomes
    models: tuple[Candidate, ...]
    corpus: Corpus
    framed: float = 0.0
    """Tokens of every call beside the prompt that its cost includes: instructions, examples."""

    @classmethod
    def of(cls, outcomes: Outcomes, models: Sequence[Candidate], framed: float = 0.0) -> Known:
        """Keep the first `MOST` prompts, read. Raises `InvalidRequest` for a model without a price."""
        if any(not model.blended_price for model in models):
            raise InvalidRequest("A model of the public outcomes has no list price.", hint="Name it beside the others.")
        order = sorted(range(len(outcomes)), key=lambda row: _digest(outcomes.prompts[row]))
        some = outcomes.take(sorted(order[:MOST]))
        return cls(some, tuple(models), read_all(some.prompts), framed)

    @property
    def means(self) -> Array:
        """[M] mean reward."""
        return np.nanmean(self.outcomes.rewards, axis=0)

    @property
    def left(self) -> Array:
        """[n, M] rewards less each model's mean."""
        return self.outcomes.rewards - self.means

    @property
    def log_prices(self) -> Array:
        """[M] logarithm of US$ per million tokens."""
        return np.log([model.blended_price or 1.0 for model in self.models])

    @property
    def tokens(self) -> Array:
        """[n] of the prompts."""
        return np.array([len(prompt) / CHARS_PER_TOKEN for prompt in self.outcomes.prompts])


@dataclass(frozen=True)
class _Core:
    """The trunk of some sets, and how hard it finds a prompt under each penalty."""

    trunk: Trunk
    hard: Mapping[float, NDArray[np.floating]]


@dataclass(frozen=True)
class _Unseen:
    """A set beside a core that had no part of it: how hard its prompts look, less their mean [n], under each penalty."""

    known: Known
    phi: Array
    looks: Mapping[float, Array]

    def agreement(self, penalty: float) -> float:
        """Correlation with how hard they were."""
        return float(np.corrcoef(self.looks[penalty], _shared(self.known))[0, 1])

    def slopes(self, penalty: float) -> Array:
        """[M] what a unit of looking hard did to each model."""
        look = self.looks[penalty]
        left = self.known.left
        seen = ~np.isnan(left)
        return (np.where(seen, left, 0) * look[:, None]).sum(axis=0) / (seen * look[:, None] ** 2).sum(axis=0)


def fit_prior(sets: Mapping[str, Known], notes: Mapping[str, str] | None = None) -> Prior:
    """Compute the prior of these sets. Raises `InvalidRequest` for fewer than three: one is always left out, and two compared."""
    if len(sets) < LEAST_SETS + 1:
        raise InvalidRequest(f"{len(sets)} sets of outcomes are too few for a prior", hint=f"Give {LEAST_SETS + 1}.")
    whole = _fitted(sets)
    parts = [_held(_fitted(_without(sets, name)), sets[name]) for name in sets]
    return replace(whole, curve=_mean_curve(parts), notes=dict(notes or {}))


def _fitted(sets: Mapping[str, Known]) -> Prior:
    """Compute all but the curve."""
    unseen = [_unseen(_core(_without(sets, name)), sets[name]) for name in sets]
    penalty = max(_PENALTIES, key=lambda one: float(np.mean([part.agreement(one) for part in unseen])))
    ability = line([(part.known.log_prices, part.known.means) for part in unseen])
    dependence = line([(part.known.means, part.slopes(penalty)) for part in unseen])
    core = _core(sets)
    hard = core.hard[penalty]
    noise = float(np.mean([np.nanmean(part.known.left**2) for part in unseen]))
    phi = np.concatenate([phis(core.trunk, known.corpus)[: USUAL // len(sets)] for known in sets.values()])
    tokens = np.concatenate([known.tokens[: USUAL // len(sets)] for known in sets.values()])
    return replace(
        blank(core.trunk, phi, tokens.astype(np.float32)),
        hard=hard.astype(np.float32),
        ability=ability,
        dependence=dependence,
        doubt=_doubt(unseen, penalty, dependence, noise),
        noise=noise,
        answer=_usual_answer(sets),
    )


def line(groups: Sequence[tuple[Array, Array]]) -> Line:
    """Fit y = level of the group + slope * (x - centre), by least squares within groups."""
    x = np.concatenate([one for one, _ in groups])
    inside = np.concatenate([one - one.mean() for one, _ in groups])
    up = np.concatenate([one - one.mean() for _, one in groups])
    spread_x = max(float(inside @ inside), 1e-12)
    slope = float(inside @ up) / spread_x
    spread = math.sqrt(float(((up - slope * inside) ** 2).sum()) / max(1, len(x) - len(groups) - 1))
    centre = float(x.mean())
    levels = [float(two.mean()) - slope * (float(one.mean()) - centre) for one, two in groups]
    return Line(
        centre,
        float(x.std()),
        float(x.min()),
        float(x.max()),
        float(np.mean(levels)),
        float(np.std(levels, ddof=1)),
        slope,
        spread / math.sqrt(spread_x),
        spread,
    )


def _core(sets: Mapping[str, Known]) -> _Core:
    """Fit the trunk on all prompts, and by ridge regression what all models of a set found hard or easy."""
    trunk = fit_trunk(_together([known.corpus for known in sets.values()]), WIDTH)
    trunk = replace(trunk, table=trunk.table.astype(np.float16).astype(np.float32))
    inside, target = [], []
    for known in sets.values():
        phi = phis(trunk, known.corpus).astype(np.float64)
        inside.append((phi - phi.mean(axis=0))[:, 1:])
        target.append(_shared(known))
    left, right = np.concatenate(inside), np.concatenate(target)
    gram, toward = left.T @ left, left.T @ right
    solved = {one: np.linalg.solve(gram + one * np.eye(len(gram)), toward) for one in _PENALTIES}
    return _Core(trunk, {one: np.concatenate((np.zeros(1), found)) for one, found in solved.items()})


def _unseen(core: _Core, known: Known) -> _Unseen:
    phi = phis(core.trunk, known.corpus).astype(np.float64)
    looks = {one: (phi - phi.mean(axis=0)) @ hard for one, hard in core.hard.items()}
    return _Unseen(known, phi, looks)


def _shared(known: Known) -> Array:
    """[n] how much better than usual the models of a set did on each prompt, less its mean."""
    shared = np.nanmean(known.left, axis=1)
    return shared - shared.mean()


def _doubt(unseen: Sequence[_Unseen], penalty: float, dependence: Line, noise: float) -> float:
    """Give the deviation of coefficients that makes what was seen most likely (type II: MacKay, Neural Computation 4, 1992)."""
    return max(_DOUBTS, key=lambda one: sum(_evidence(part, penalty, dependence, noise, one) for part in unseen))


def _evidence(part: _Unseen, penalty: float, dependence: Line, noise: float, doubt: float) -> float:
    """Give the mean log likelihood of a model's outcomes on the first prompts, its own mean being free."""
    phi, look = part.phi[:_EVIDENCE, 1:], part.looks[penalty][:_EVIDENCE]
    found = []
    for model, mean in enumerate(part.known.means):
        left = part.known.left[:_EVIDENCE, model]
        rows = ~np.isnan(left)
        depends, spread = dependence.at(float(mean))
        spread += dependence.level_spread**2
        cover = noise * np.eye(int(rows.sum())) + doubt**2 * phi[rows] @ phi[rows].T
        cover += spread * np.outer(look[rows], look[rows]) + 1.0
        away = left[rows] - depends * look[rows]
        _, size = np.linalg.slogdet(cover)
        found.append(-0.5 * (size + float(away @ np.linalg.solve(cover, away))))
    return float(np.mean(found))


def _usual_answer(sets: Mapping[str, Known]) -> float:
    """Give the tokens of a usual answer (geometric mean over models), by what calls cost beyond their prompts."""
    found = []
    for known in sets.values():
        around = float(known.tokens.mean()) + known.framed
        for model, paid in zip(known.models, known.outcomes.costs.T, strict=True):
            if np.isnan(paid).all() or not model.output_price:
                continue
            answer = (float(np.nanmean(paid)) * 1e6 - around * (model.input_price or 0.0)) / model.output_price
            if answer > 0:
                found.append(math.log(answer))
    return math.exp(float(np.mean(found))) if found else ANSWER


def _held(prior: Prior, known: Known) -> Curve:
    """Give what each willingness to pay held on a set that the prior did not see, against its best model, at list prices."""
    names = [model.name for model in known.models]
    best = known.outcomes.best()
    policy = begin(prior, known.models, names[best])
    quality, cost = predicted(policy, known.corpus)
    listed = Outcomes(known.outcomes.prompts, known.outcomes.models, known.outcomes.rewards, cost)
    curve = calibrate(OutOfFold(quality, cost), listed, best)
    return replace(curve, pay=curve.pay / float(cost[:, best].mean()))


def predicted(policy: Policy, corpus: Corpus) -> tuple[Array, Array]:
    """Give quality and cost [n, M] that the policy predicts: as `Policy.predict`, for many prompts at once."""
    phi = phis(policy.embedding, corpus)
    quality = np.clip(phi @ policy.quality.mean.T, 0, 1)
    cost = np.exp(np.clip(phi @ policy.costs.mean.T, -25, 10)) * policy.costs.ratio
    return quality.astype(np.float64), cost.astype(np.float64)


def _mean_curve(parts: Sequence[Curve]) -> Curve:
    """Give the mean over sets: all go by the same steps of willingness to pay, the last of which stands for any price."""
    return Curve(
        parts[0].pay[:-1],
        np.mean([part.quality[:-1] for part in parts], axis=0),
        np.mean([part.cost[:-1] for part in parts], axis=0),
    )


def _without(sets: Mapping[str, Known], name: str) -> dict[str, Known]:
    return {other: known for other, known in sets.items() if other != name}


def _together(parts: Sequence[Corpus]) -> Corpus:
    ends = np.cumsum([0, *(int(part.starts[-1]) for part in parts)])
    starts = [part.starts[1:] + end for part, end in zip(parts, ends, strict=False)]
    return Corpus(
        np.concatenate([part.hand for part in parts]),
        np.concatenate((np.zeros(1, np.int64), *starts)),
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.weights for part in parts]),
    )


def _digest(prompt: str) -> bytes:
    return hashlib.blake2b(prompt.encode("utf-8", "surrogatepass"), digest_size=8).digest()
