"""Whether a candidate policy would have done better than the running one, told from logged decisions alone.

Refuses to say so where the log cannot tell: decisions without support, without a known cost, or too few that count. A policy
serves only when the lower bound of its difference to the running one is above nought.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meliora.errors import InvalidRequest
from meliora.routing.learned.dial import Dial, choose
from meliora.routing.learned.explore import OFF, Exploration
from meliora.routing.learned.policy import Policy
from meliora.routing.learning.records import Outcome
from meliora.stats.offpolicy import UNKNOWN, Estimate, doubly_robust, self_normalised, stabilising, supported

Array = NDArray[np.float64]

LEAST_ESS = 30.0
"""Effective sample size below which nothing is concluded."""

_FIRST_BLOCK = 50
_POOLED = 30.0
_EACH = 100.0
"""Ridge penalties of the reward model: what all models share, and each one's own part."""


@dataclass(frozen=True, eq=False)
class Log:
    """Decisions in the order in which they were taken. Raises `InvalidRequest` for shapes that do not fit."""

    trunk: str
    """Id of what made `phi`."""
    models: tuple[str, ...]
    phi: NDArray[np.float32]
    """[n, d]"""
    served: Array
    """[n, M] probability with which each model was served."""
    allowed: NDArray[np.bool_]
    """[n, M] models that the call could have gone to."""
    action: NDArray[np.int64]
    """[n] index of the model that answered."""
    reward: Array
    """[n] in 0..1."""
    cost: Array
    """[n] US$; nan where it is not known."""

    def __post_init__(self) -> None:
        n, count = len(self.phi), len(self.models)
        if {self.served.shape, self.allowed.shape} != {(n, count)} or any(
            len(column) != n for column in (self.action, self.reward, self.cost)
        ):
            raise InvalidRequest(
                f"a log of {n} prompts and {count} models has {self.served.shape} propensities, {self.allowed.shape} marks of"
                f" what was allowed, {len(self.action)} actions, {len(self.reward)} rewards and {len(self.cost)} costs",
                hint="Give one row a decision.",
            )
        if n and (self.served[np.arange(n), self.action] <= 0).any():
            raise InvalidRequest(
                "a logged model had no chance of being served",
                hint="Its propensity was not recorded; leave the row out.",
            )

    def __len__(self) -> int:
        return len(self.phi)

    def take(self, rows: NDArray[np.bool_]) -> Log:
        """Give the log of these rows."""
        return Log(
            self.trunk,
            self.models,
            self.phi[rows],
            self.served[rows],
            self.allowed[rows],
            self.action[rows],
            self.reward[rows],
            self.cost[rows],
        )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a log says of a candidate. Values are utility (quality - cost / pay), over the supported part of the traffic."""

    candidate: Estimate
    """Doubly robust, with weights that hold for an adaptive log."""
    running: Estimate
    difference: Estimate
    """Candidate less running, estimated as one, so that what they have in common cancels."""
    snips: Estimate
    """Of the candidate, without a reward model: far from `candidate`, one of them is not to be trusted."""
    decisions: int
    """In the log."""
    unsupported_share: float
    """Of the decisions: the candidate wants a model there that the log hardly ever served."""
    unpriced_share: float
    """Of the decisions: what the answer cost is not known."""
    pay: float
    """US$ for quality 1 instead of 0."""
    reward_difference: Estimate = UNKNOWN
    """Of quality alone."""
    cost_difference: Estimate = UNKNOWN
    """In US$ a call."""

    @property
    def serves(self) -> bool:
        """Whether the candidate has proved better."""
        return self.difference.ess >= LEAST_ESS and self.difference.low > 0

    def verdict(self) -> str:
        """Say in one sentence what the log proves."""
        found = self.difference
        if not found.ess >= LEAST_ESS:
            return (
                f"not proved: {found.ess:.0f} decisions' worth of evidence, {LEAST_ESS:.0f} are needed;"
                f" {self.unsupported_share:.0%} of the log has no support for the candidate"
            )
        reach = told(found.value, found.low, found.high, self.pay)
        if self.serves:
            return f"better by {reach}"
        return f"worse by {reach}" if found.high < 0 else f"not proved: {reach} includes no difference"


def told(value: float, low: float, high: float, pay: float) -> str:
    """Say a difference in utility in words: in US$, what the better answers are worth less what they cost; at no price in quality."""
    if not pay > 0:
        return f"{value:+.4f} in quality a call (95% {low:+.4f} to {high:+.4f})"
    worth, least, most = (f"{'-' if part < 0 else '+'}${abs(part * pay):.3g}" for part in (value, low, high))
    return f"{worth} a call (95% {least} to {most}; an answer of quality 1 counts as ${pay:.3g})"


def log_of(outcomes: Sequence[Outcome], trunk: str) -> Log:
    """Make a log of recorded outcomes: those of this trunk that a policy decided, whose reward and propensity are known.

    A candidate that was intended but not served had been ruled out. One that was neither may have been; it is taken as allowed, so
    that a policy which wants it finds no support there rather than an answer to another question.
    """
    kept = [one for one in outcomes if one.trunk == trunk and one.reward is not None and one.propensity is not None]
    models = tuple(sorted({candidate.model for one in kept for candidate in one.candidates}))
    place = {model: index for index, model in enumerate(models)}
    served = np.zeros((len(kept), len(models)))
    allowed = np.zeros(served.shape, bool)
    for row, one in enumerate(kept):
        for candidate in one.candidates:
            served[row, place[candidate.model]] = candidate.served
            allowed[row, place[candidate.model]] = candidate.served > 0 or candidate.intended == 0
    phi = [np.frombuffer(one.phi, "<f2").astype(np.float32) for one in kept]
    return Log(
        trunk,
        models,
        np.stack(phi) if phi else np.zeros((0, 0), np.float32),
        served,
        allowed,
        np.array([place[one.model] for one in kept], np.int64),
        np.array([one.reward for one in kept], np.float64),
        np.array([np.nan if one.cost_micros is None else one.cost_micros / 1e6 for one in kept], np.float64),
    )


def evaluate(log: Log, candidate: Policy, running: Policy, dial: Dial, explore: Exploration = OFF) -> Evaluation:
    """Estimate what both policies would have earned on the logged traffic, at the running policy's meaning of the dial.

    `explore` is the exploration that both would serve with. Raises `InvalidRequest` for a policy of another trunk than the log's:
    the log holds no content, so its prompts cannot be read again; evaluate such a one by replay.
    """
    for name, policy in (("candidate", candidate), ("running", running)):
        if policy.trunk != log.trunk:
            raise InvalidRequest(
                f"the {name} policy {policy.number} reads prompts by the trunk {policy.trunk}, the log by {log.trunk}",
                hint="Evaluate it by replay on scored prompts (`meliora routing calibrate`).",
            )
    pay = dial.pay(running.curve)
    fixed = Dial(willingness_to_pay=pay)
    priced = ~np.isnan(log.cost)
    known = log.take(priced)
    wanted = served_by(candidate, known, fixed, explore)
    now = served_by(running, known, fixed, explore)
    both = supported(wanted, known.served), supported(now, known.served)
    rows = both[0].rows & both[1].rows
    unsupported = both[0].excluded_share
    used = known.take(rows)
    if len(used) < 2:
        nothing = (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
        return Evaluation(*nothing, len(log), unsupported, float(1 - priced.mean()) if len(log) else float("nan"), pay)
    utility = used.reward - (used.cost / pay if pay > 0 else used.cost * 0)
    targets = both[0].target[rows], both[1].target[rows]
    return Evaluation(
        *compare(used, utility, *targets),
        len(log),
        unsupported,
        float(1 - priced.mean()),
        pay,
        compare(used, used.reward, *targets)[2],
        compare(used, used.cost, *targets)[2],
    )


def compare(log: Log, utility: Array, wanted: Array, now: Array) -> tuple[Estimate, Estimate, Estimate, Estimate]:
    """Estimate candidate, running and their difference doubly robustly, and the candidate by SNIPS.

    `wanted` and `now` are [n, M] probabilities of candidate and running policy, with support in `log`.
    """
    guess = progressive(log, utility)
    index = np.arange(len(log))
    chance = log.served[index, log.action]
    predicted = guess[index, log.action]

    def estimate(target: Array) -> Estimate:
        ratio = target[index, log.action] / chance
        weights = stabilising(_spread(target, log.served))
        return doubly_robust(ratio, utility, predicted, (target * guess).sum(axis=1), weights)

    ratio = wanted[index, log.action] / chance
    snips = self_normalised(ratio, utility, stabilising(_spread(wanted, log.served)))
    return estimate(wanted), estimate(now), estimate(wanted - now), snips


def served_by(policy: Policy, log: Log, dial: Dial, explore: Exploration = OFF) -> Array:
    """Give the probability of each of the log's models, [n, M], had the policy decided among those that were allowed.

    What the policy would give to a model that the log does not know is missing from the sum of its row. A row in which it knows no
    allowed model is all nought.
    """
    place = {model: index for index, model in enumerate(log.models)}
    columns = [(index, place[model]) for index, model in enumerate(policy.models) if model in place]
    new = {model for model in policy.models if model not in place}
    found = np.zeros_like(log.served)
    for row in range(len(log)):
        names = new | {policy.models[mine] for mine, theirs in columns if log.allowed[row, theirs]}
        if names:
            chances = choose(policy.predicted(log.phi[row]), names, dial, explore).probabilities
            for mine, theirs in columns:
                found[row, theirs] = chances[mine]
    return found


def progressive(log: Log, utility: Array) -> Array:
    """Give a reward model's prediction of every row and model, [n, M], each by a fit on earlier rows only.

    So a row's score depends on nothing that came later, which is what holds the estimate of an adaptive log together. The fit is
    made anew at 50, 100, 200, ... rows, later at each tenth of the log; the first rows are predicted as nought.
    """
    n, count = len(log), len(log.models)
    guess = np.zeros((n, count))
    start = _FIRST_BLOCK
    while start < n:
        stop = min(n, start + max(_FIRST_BLOCK, min(start, n // 10)))
        fitted = _fit(log.phi[:start].astype(np.float64), log.action[:start], utility[:start], count)
        guess[start:stop] = log.phi[start:stop] @ fitted.T
        start = stop
    return guess


def _fit(phi: Array, action: NDArray[np.int64], utility: Array, count: int) -> Array:
    """Ridge regression of what all models share, then of what each has beyond it. Give coefficients [M, d]."""
    size = phi.shape[1]
    shared = _ridge(phi, utility, _POOLED)
    coefficients = np.tile(shared, (count, 1))
    rest = utility - phi @ shared
    for model in range(count):
        rows = action == model
        if rows.any():
            coefficients[model] += _ridge(phi[rows], rest[rows], _EACH)
    return coefficients if size else np.zeros((count, 0))


def _ridge(phi: Array, target: Array, penalty: float) -> Array:
    held = np.full(phi.shape[1], penalty)
    held[:1] = 3.0  # the intercept is all but free
    return np.asarray(np.linalg.solve(phi.T @ phi + np.diag(held), phi.T @ target), np.float64)


def _spread(target: Array, served: Array) -> Array:
    """Give the second moment of the importance ratio at each row."""
    return (target * target / np.where(served > 0, served, np.inf)).sum(axis=1) + 1e-3
