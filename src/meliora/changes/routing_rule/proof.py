"""What a rule would have brought on recorded decisions that its mining has not seen, by the chances that models had there."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np

from meliora.changes.routing_rule.rows import Rows, estimate, target_of
from meliora.changes.routing_rule.shelf import RuleRow
from meliora.gateway.state import RuleState
from meliora.loop.change import Change
from meliora.loop.kind import Figure, Proof, Verdict
from meliora.routing.rules import RuleSet
from meliora.stats.offpolicy import Estimate

RULE = "lower bound (95%) of the gain a matching call > 0, on {least} matching decisions or more"
BY_HAND = "a person answers for it, and recorded decisions do not show that it harms"
LEAST_ESS = 30.0


def matching(rows: Rows, pattern: str) -> Rows:
    """Give the decisions whose prompts a pattern matches, as the rules engine searches them."""
    rules = RuleSet([RuleState("tried", "t", pattern, preferred_layer="fast")])
    return rows.take(np.array([rules.match("t", text, "auto") is not None for text in rows.texts], bool))


def judged(
    rows: Rows,
    change: Change,
    rule: RuleRow,
    models: Collection[str],
    pay: float,
    least: int,
    *,
    by_hand: bool,
    seed: int,
) -> Proof:
    """Prove a rule that sends what it matches to one of these models.

    `by_hand`: a person answers for it, so that what is asked is whether it harms; too little data then does not hold it up, and
    the proof says so.
    """
    matched = matching(rows, rule.pattern).priced(pay)
    target, tells = target_of(matched, models)
    known = matched.take(tells)
    gain, reward, cost = _told(known, target[tells], pay)
    enough = len(known) >= least and gain.ess >= LEAST_ESS
    verdict, sentence = _verdict(gain, len(known), least, enough=enough, by_hand=by_hand)
    data: dict[str, Any] = {"decisions": len(rows), "matching": len(matched), "tell": len(known), "pay": pay}
    if len(known):
        data |= {"first": known.calls[0], "last": known.calls[-1]}
    return Proof(
        verdict=verdict,
        method="off-policy on recorded decisions, doubly robust" if len(known) else "none",
        rule=BY_HAND if by_hand else RULE.format(least=least),
        sentence=sentence,
        data=data,
        figures=(_figure("gain", gain, "utility"), _figure("reward", reward, "0..1"), _figure("cost", cost, "USD")),
        baseline=change.baseline,
        seed=seed,
    )


def _told(known: Rows, target: Any, pay: float) -> tuple[Estimate, Estimate, Estimate]:
    priced = ~np.isnan(known.cost)
    some = known.take(priced)
    return (
        estimate(known, known.utility(pay), target),
        estimate(known, known.reward, target),
        estimate(some, some.cost, target[priced]),
    )


def _verdict(gain: Estimate, count: int, least: int, *, enough: bool, by_hand: bool) -> tuple[Verdict, str]:
    if not enough:
        said = f"{count} matching decisions tell of it ({gain.ess:.0f} decisions' worth); {least} are needed"
        return ("passed", f"it stands on a person's word: {said}") if by_hand else ("inconclusive", said)
    reach = (
        f"{gain.value:+.4f} in utility a matching call (95% {gain.low:+.4f} to {gain.high:+.4f}), on {count} decisions"
    )
    if gain.low > 0:
        return "passed", f"better by {reach}"
    if gain.high < 0:
        return "failed", f"worse by {reach}"
    return ("passed" if by_hand else "failed"), f"not told from no difference: {reach}"


def _figure(name: str, found: Estimate, unit: str) -> Figure:
    value, low, high = (float(one) if math.isfinite(one) else None for one in (found.value, found.low, found.high))
    return Figure(name=name, value=value, low=low, high=high, n=found.n, unit=unit)
