"""A policy fitted to a calibration's outcomes, and what it would have saved on prompts that its fit had not seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meliora.errors import InvalidRequest
from meliora.routing.learned.dial import Dial
from meliora.routing.learned.policy import Policy
from meliora.routing.learning.embedding import Vectors
from meliora.routing.learning.evaluate import told
from meliora.routing.learning.fit import LEAST, Fitting, OutOfFold, fit_both
from meliora.routing.learning.replay import chances
from meliora.routing.learning.table import Outcomes
from meliora.routing.learning.trunk import Embedding

Array = NDArray[np.float64]
_Z = 1.959964


@dataclass(frozen=True)
class Warm:
    """A fitted policy and its figures, all out of fold, at the dial."""

    policy: Policy
    prompts: int
    quality_share: float
    """Of the reference model's quality."""
    saving: float
    """1 - cost / cost of the reference model; nan where no cost is known."""
    evidence: dict[str, Any]
    """As `promotion` reads it."""


def fit_warm(
    outcomes: Outcomes,
    dial: Dial,
    *,
    reference: str | None,
    prices: Mapping[str, float],
    running: Policy | None,
    running_anchor: int | None,
    number: int = 0,
    vectors: Vectors | None = None,
) -> Warm:
    """Fit, and hold the policy against `running`, or where nothing serves against its reference model.

    `vectors` are what is known of the meaning of the prompts. Raises `InvalidRequest` where too few prompts have a score.
    """
    table = outcomes.take(np.flatnonzero(~np.isnan(outcomes.rewards).all(axis=1)))
    if len(table) < LEAST:
        raise InvalidRequest(
            f"{len(table)} of {len(outcomes)} prompts have a score, and {LEAST} are needed.",
            hint="Run it again, with a larger sample or a scorer that can say more.",
        )
    if float(np.nanmax(table.rewards)) == float(np.nanmin(table.rewards)):
        raise InvalidRequest(
            f"Every answer was given the same score, {float(np.nanmax(table.rewards)):g}: there is nothing to learn.",
            hint="Look at the answers in the journal, and whether the scorer fits them.",
        )
    fitting = Fitting(embedding=Embedding(vectors=vectors))
    policy, unseen = fit_both(table, reference=reference, prices=prices, number=number, fitting=fitting)
    held = policy.models.index(policy.reference)
    pay = dial.pay(policy.curve)
    place = int(np.searchsorted(policy.curve.pay, pay, side="right")) - 1
    priced = bool((~np.isnan(table.costs[:, held])).any())
    evidence = {
        "prompts": len(table),
        "models": list(policy.models),
        "reference": policy.reference,
        "pay": pay,
        "quality_share": round(float(policy.curve.quality[max(place, 0)]), 4),
        "vectors": None if vectors is None else vectors.name,
        "saving": round(1 - float(policy.curve.cost[max(place, 0)]), 4) if priced else None,
        "replay": held_against(table, unseen, policy, dial, running, running_anchor),
    }
    return Warm(
        policy,
        len(table),
        float(policy.curve.quality[max(place, 0)]),
        1 - float(policy.curve.cost[max(place, 0)]) if priced else math.nan,
        evidence,
    )


def held_against(
    table: Outcomes, unseen: OutOfFold, policy: Policy, dial: Dial, running: Policy | None, anchor: int | None
) -> dict[str, Any]:
    """Compare, prompt by prompt, what both choose: the candidate as fits that had not seen the prompt would."""
    whole = ~np.isnan(table.rewards).any(axis=1)
    priced = ~np.isnan(table.costs).any(axis=1)
    unpriced = not priced.any()
    rows = np.flatnonzero(whole if unpriced else whole & priced)
    pay = dial.pay(policy.curve if running is None else running.curve)
    price = 0.0 if unpriced or pay <= 0 else 1 / pay
    utility = table.rewards[rows] - np.nan_to_num(table.costs[rows]) * price
    mine = (unseen.quality[rows] - np.nan_to_num(unseen.cost[rows]) * price).argmax(axis=1)
    theirs, whom = _running(table, rows, policy, running, pay)
    if theirs is None or len(rows) < LEAST:
        why = f"the running policy knows models that were not asked ({whom})" if theirs is None else "too few prompts"
        return {"against": _number(running), "against_anchor": anchor, "low": None, "verdict": f"not proved: {why}"}
    difference = utility[np.arange(len(rows)), mine] - (theirs * utility).sum(axis=1)
    value = float(difference.mean())
    error = float(difference.std(ddof=1)) / math.sqrt(len(rows))
    low, high = value - _Z * error, value + _Z * error
    word = "better than" if low > 0 else "worse than" if high < 0 else "not proved better than"
    return {
        "against": _number(running),
        "against_anchor": anchor,
        "value": round(value, 6),
        "low": round(low, 6),
        "high": round(high, 6),
        "prompts": len(rows),
        "verdict": f"{word} {whom}: {told(value, low, high, 0.0 if price == 0 else pay)}, out of fold",
    }


def _running(
    table: Outcomes, rows: NDArray[np.int64], policy: Policy, running: Policy | None, pay: float
) -> tuple[Array | None, str]:
    """Give what serves now as probabilities of the table's models, and its name; the reference model where nothing does."""
    if running is None:
        alone = np.zeros((len(rows), len(table.models)))
        alone[:, table.models.index(policy.reference)] = 1.0
        return alone, f"always {policy.reference}"
    unknown = [model for model in running.models if model not in table.models]
    if unknown:
        return None, ", ".join(unknown)
    fixed = Dial(willingness_to_pay=pay)
    return chances(running, table.take(rows), fixed), f"snapshot {running.number}"


def _number(policy: Policy | None) -> int | None:
    return None if policy is None else policy.number
