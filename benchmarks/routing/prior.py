"""What a prior brings before the first outcome, and how learning goes on from it: on each set by a prior computed without that set.

The prior sees the training parts of the other sets only; set, reference and dial are those of the online figures. Prices are list
prices: what a model's answers really cost, and how good they are, only the test part says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Figure, Report
from benchmarks.routing.data import Split
from benchmarks.routing.measure import judged, loss_left_out, predicted
from benchmarks.routing.online import SEEDS, Field, begun, draw_series, utilities
from benchmarks.routing.public import known, listed
from meliora.errors import InvalidRequest
from meliora.routing.learned.dial import Dial
from meliora.routing.learned.policy import Curve, Policy
from meliora.routing.learning.prior import Prior, begin, guarded
from meliora.routing.learning.prior_fit import fit_prior
from meliora.settings.learning import RoutingLearning
from meliora.stats.bootstrap import interval

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Start:
    """A set, and the policy that a prior without it makes of its models."""

    where: Field
    prior: Prior
    policy: Policy

    @classmethod
    def of(cls, where: Field, prior: Prior) -> Start:
        """Begin with the set's models at list prices; the reference is the best single one on the training part."""
        return cls(where, prior, begin(prior, listed(where.train), where.train.models[where.reference]))

    @property
    def guarded(self) -> Policy:
        """The policy as the product would put it in service at the set's dial."""
        dial = Dial(willingness_to_pay=self.where.pay)
        return guarded(self.policy, self.prior, dial, RoutingLearning().margin)


def measure(report: Report, parts: Split, *, quick: bool, folder: Path | None) -> None:
    """Add the figures of every set that has prices; `quick` leaves learning out."""
    for name in sorted(parts.train.keys() & parts.test.keys()):
        if not parts.train[name].priced:
            continue
        try:
            prior = fit_prior(known(parts.train, but=(name,)))
        except InvalidRequest as error:
            report.miss(f"{name}.prior_gain", str(error))
            continue
        start = Start.of(Field.of(parts.train[name], parts.test[name]), prior)
        report.add(gain(start))
        report.add(zero_loss(start))
        if quick:
            report.miss(f"{name}.prior_loss_200", "takes minutes; run without --quick")
            continue
        figure, series = begun(start.where, start.guarded, SEEDS, "prior")
        report.add(figure)
        if folder is not None:
            draw_series(series, folder, "gain over the best single model")


def gain(start: Start) -> Figure:
    """Give what the prior brings at day 0 in utility over the best single model, as a share of that model's utility.

    By what it expects alone, as if there were no guard; beside it what the product serves with its guard, exploration left out.
    """
    where = start.where
    utility = utilities(where.test, where.pay)
    index = np.arange(len(utility))
    free, held = (_picks(start, policy) for policy in (replace(start.policy, handicap=0.0), start.guarded))
    rewards, costs = where.test.rewards, where.test.costs
    columns = np.stack(
        (
            utility[index, free],
            utility[index, held],
            utility[:, where.reference],
            rewards[index, free],
            rewards[:, where.reference],
            costs[index, free],
            costs[:, where.reference],
        ),
        axis=1,
    )
    value, low, high = interval(columns, lambda means: (means[..., 0] - means[..., 2]) / np.abs(means[..., 2]))
    means = columns.mean(axis=0)
    beside = {
        "guarded": float((means[1] - means[2]) / abs(means[2])),
        "handicap": start.guarded.handicap,
        "quality": float(means[3] / means[4]),
        "cost": float(means[5] / means[6]),
    }
    note = f"{where.pay:.3g} US$ for quality 1; above 0: better than the best single model"
    return Figure(f"{where.name}.prior_gain", value, "share", low, high, len(columns), beside, note)


def zero_loss(start: Start) -> Figure:
    """Give by how many points of quality the prior alone is worse than the zero router at equal cost, at the set's dial."""
    where = start.where
    here, rows = judged(where.train, where.test)
    fixed = replace(start.policy, curve=Curve(np.array([where.pay]), np.ones(1), np.ones(1)))
    value, low, high = loss_left_out(fixed, where.test_corpus.take(rows), here, 1.0)
    note = "below 0: better than the mix of single models, which was chosen by their outcomes on the training part"
    return Figure(f"{where.name}.prior_zero_loss", value, "points", low, high, len(rows), note=note)


def _picks(start: Start, policy: Policy) -> NDArray[np.int64]:
    quality, cost = predicted(policy, start.where.test_corpus)
    utility = quality - cost / start.where.pay
    utility[:, policy.models.index(policy.reference)] += policy.handicap
    return utility.argmax(axis=1)
