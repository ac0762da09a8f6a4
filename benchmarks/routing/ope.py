"""Whether intervals from logged decisions hold the truth: many adaptive logs drawn from tables in which every outcome is known.

A log's prompts are drawn from the table with replacement and served by a learner that moves as it goes, so its propensities depend
on its past. The truth is the candidate's value by full-information replay over the whole table. Logs are made with few features, so
that hundreds can be made; candidates are fixed before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import ControlFailed, Figure, Report
from benchmarks.routing.data import Split
from benchmarks.routing.online import SETS, chances, utilities, whole
from benchmarks.routing.public import listed
from meliora.routing.learned.explore import Exploration
from meliora.routing.learned.policy import Policy
from meliora.routing.learning.evaluate import Log, compare
from meliora.routing.learning.online import Learning, OnlineLearner, Seen
from meliora.routing.learning.prior import begin, blank
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.trunk import fit_trunk, read_all
from meliora.stats.offpolicy import Estimate, doubly_robust

Array = NDArray[np.float64]

PAY = 10.0
"""Mean costs of the reference that quality 1 instead of 0 is worth."""
DECISIONS = 1000
LOGS, LOGS_QUICK = 200, 8
"""A table."""
LENGTH = 8
"""Of phi."""
TAUGHT = 60
"""Prompts with all outcomes that a candidate is made of; the log's own policy begins with a third."""
REFRESH = 50
ENOUGH = 50
"""Logs from which on the control is believed."""
POLICIES = 12
"""Candidates a table."""
RULE = Exploration(floor=0.005, cap=0.1, loss=0.01)
SURE = Exploration(0.0, 0.0)


@dataclass(frozen=True)
class World:
    """A table and its prompts as short vectors."""

    outcomes: Outcomes
    phi: NDArray[np.float32]
    blank: Policy
    pay: float

    @classmethod
    def of(cls, table: Outcomes) -> World:
        """Read a set's prompts; the reference is the best single model."""
        outcomes = whole(table)
        corpus = read_all(outcomes.prompts)
        trunk = fit_trunk(corpus, 1)
        hand = corpus.hand - corpus.hand.mean(axis=0)
        hand /= np.maximum(hand.std(axis=0), 1e-3)
        _, _, turned = np.linalg.svd(np.clip(hand, -4, 4), full_matrices=False)
        placed = hand @ turned[: LENGTH - 1].T
        phi = np.concatenate((np.ones((len(placed), 1)), placed / placed.std()), axis=1).astype(np.float32)
        reference = outcomes.best()
        usual = dict(zip(outcomes.models, outcomes.costs.mean(axis=0).tolist(), strict=True))
        wide = begin(blank(trunk), listed(outcomes), outcomes.models[reference])
        count = len(outcomes.models)
        deviation = np.diag(np.array([0.6] + [0.2] * (LENGTH - 1), np.float32))[None]
        short = replace(
            wide,
            quality=replace(wide.quality, mean=wide.quality.mean[:, :LENGTH], factor=deviation),
            costs=replace(wide.costs, mean=wide.costs.mean[:, :LENGTH]),
            handicap=0.0,
        )
        assert short.quality.mean.shape == (count, LENGTH)
        return cls(outcomes, phi, short, PAY * usual[outcomes.models[reference]])

    def taught(self, rng: np.random.Generator, prompts: int) -> OnlineLearner:
        """Give a learner that has seen every model on some prompts."""
        learner = OnlineLearner(self.blank, Learning(forget=1.0))
        for row in rng.integers(len(self.outcomes), size=prompts):
            for model, name in enumerate(self.outcomes.models):
                learner.learn(Seen(phi=self.phi[row], model=name, reward=float(self.outcomes.rewards[row, model])))
        return learner

    def truth(self, policy: Policy) -> float:
        """Give a policy's value over the table."""
        utility = utilities(self.outcomes, self.pay)
        return float((chances(policy, self.phi, self.pay, SURE) * utility).sum(axis=1).mean())

    def log(self, rng: np.random.Generator, decisions: int) -> tuple[Log, Array]:
        """Serve and learn; give the log, and the utility of each decision."""
        learner = self.taught(rng, TAUGHT // 3)
        rows = rng.integers(len(self.outcomes), size=decisions)
        served = np.zeros((decisions, len(self.outcomes.models)))
        action = np.zeros(decisions, np.int64)
        for start in range(0, decisions, REFRESH):
            part = slice(start, start + REFRESH)
            served[part] = chances(learner.policy(start), self.phi[rows[part]], self.pay, RULE)
            for step in range(start, min(start + REFRESH, decisions)):
                action[step] = int((rng.random() >= np.cumsum(served[step])).sum().clip(0, served.shape[1] - 1))
                learner.learn(
                    Seen(
                        phi=self.phi[rows[step]],
                        model=self.outcomes.models[action[step]],
                        reward=float(self.outcomes.rewards[rows[step], action[step]]),
                    )
                )
        reward = self.outcomes.rewards[rows, action]
        cost = self.outcomes.costs[rows, action]
        made = Log(self.blank.trunk, self.outcomes.models, self.phi[rows], served, served > 0, action, reward, cost)
        return made, reward - cost / self.pay


def measure(report: Report, parts: Split, *, quick: bool, seed: int) -> None:
    """Add the coverage over the sets that have prices, training and test part together: nothing is fitted to be judged here."""
    tables = {
        name: _both(parts.train[name].outcomes, parts.test[name].outcomes)
        for name in SETS
        if name in parts.train and name in parts.test
    }
    if not tables:
        report.miss("ope.coverage", "no set with prices")
        return
    report.add(coverage(tables, LOGS_QUICK if quick else LOGS, seed))


def coverage(tables: Mapping[str, Outcomes], logs: int, seed: int = 7) -> Figure:
    """Give the share of 95% intervals that hold the truth, over `logs` logs of each table.

    The difference of two policies and SNIPS are beside it, and as a control the plain mean of inverse-propensity scores without the
    reward model's and the adaptive weights. Raises `ControlFailed` where the intervals are so wide that they hold nothing back.
    """
    held: dict[str, list[bool]] = {name: [] for name in ("candidate", "difference", "snips", "plain_ips")}
    widths: list[float] = []
    errors: list[float] = []
    by_table: dict[str, float] = {}
    for index, (name, table) in enumerate(tables.items()):
        world = World.of(table)
        before = len(held["candidate"])
        first = np.random.default_rng([seed, index])
        policies = [world.taught(first, TAUGHT).policy(number) for number in range(POLICIES)]
        truths = [world.truth(policy) for policy in policies]
        for number in range(logs):
            rng = np.random.default_rng([seed, index, number])
            one, two = number % POLICIES, (number + 1) % POLICIES
            log, utility = world.log(rng, DECISIONS)
            wanted, now = (chances(policies[which], log.phi, world.pay, SURE) for which in (one, two))
            true, other = truths[one], truths[two]
            found, _, difference, snips = compare(log, utility, wanted, now)
            held["candidate"].append(_holds(found, true))
            held["difference"].append(_holds(difference, true - other))
            held["snips"].append(_holds(snips, true))
            held["plain_ips"].append(_holds(_plain(log, utility, wanted), true))
            widths.append(found.high - found.low)
            errors.append(abs(found.value - true))
        by_table[name] = float(np.mean(held["candidate"][before:]))
    if len(widths) >= ENOUGH and np.median(widths) > 12 * np.median(errors):
        raise ControlFailed(
            f"off-policy intervals are {np.median(widths):.3f} wide at errors of {np.median(errors):.3f}: they prove nothing"
        )
    shares = {name: float(np.mean(found)) for name, found in held.items()}
    low, high = _wilson(sum(held["candidate"]), len(held["candidate"]))
    beside = {name: share for name, share in shares.items() if name != "candidate"} | by_table
    beside["half_width"] = float(np.median(widths)) / 2
    note = f"{DECISIONS} decisions a log; doubly robust, adaptive weights"
    return Figure("ope.coverage", shares["candidate"], "share", low, high, len(held["candidate"]), beside, note)


def _both(one: Outcomes, other: Outcomes) -> Outcomes:
    return Outcomes(
        one.prompts + other.prompts,
        one.models,
        np.concatenate((one.rewards, other.rewards)),
        np.concatenate((one.costs, other.costs)),
    )


def _plain(log: Log, utility: Array, wanted: Array) -> Estimate:
    index = np.arange(len(log))
    ratio = wanted[index, log.action] / log.served[index, log.action]
    nothing = np.zeros(len(log))
    return doubly_robust(ratio, utility, nothing, nothing)


def _holds(found: Estimate, truth: float) -> bool:
    return found.low <= truth <= found.high


def _wilson(hits: int, n: int) -> tuple[float, float]:
    z, share = 1.96, hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return middle - reach, middle + reach
