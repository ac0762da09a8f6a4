"""Decides on recorded calls whether another model, or another endpoint, is better at what is complained of and no worse at the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from meliora.changes.manner import Margins
from meliora.changes.model_choice.candidates import Measured
from meliora.changes.model_choice.compare import Difference, between_endpoints, between_models
from meliora.changes.model_choice.shelf import Cell, Tried
from meliora.loop.kind import Figure, Proof, Verdict

RULE = (
    "better at what is complained of (95% interval apart from 0), by that interval no worse in reward than the margin, and not seen to"
    " fail more often than the margin, on calls of the same task and length that both models had"
)
ENDPOINT_RULE = "the same model by another endpoint: 95% interval of the difference, other less present, below 0"
LEAST = 50
"""Calls of the other in common strata, below which nothing is concluded."""
LEAST_JUDGED = 30
"""Answers of either that somebody judged."""
COVERED = 0.5
"""Share of the present model's calls that must be like calls of the other."""
_COLUMN = {"errors": "errors", "slow": "latency", "cost": "cost", "dissatisfied": "reward"}
_UNITS = {"errors": "share", "latency": "ms", "cost": "USD", "reward": "0..1"}


def of_models(
    cells: Sequence[Cell], present: str, other: str, measured: Measured, margins: Margins
) -> tuple[Verdict, str, dict[str, Difference]]:
    """Judge another model in place of the present one."""
    found = {name: between_models(cells, present, other, name) for name in ("errors", "cost", "latency", "reward")}
    main, reward, errors = found[_COLUMN[measured]], found["reward"], found["errors"]
    least = LEAST_JUDGED if measured == "dissatisfied" else LEAST
    if not main.known or min(main.other, main.present) < least or main.covered < COVERED:
        like = f"{main.covered:.0%} of {present}'s are like them" if main.known else "none are alike"
        return "inconclusive", f"{other} has {main.other} comparable calls, {least} are needed; {like}", found
    gain = main.low > 0 if measured == "dissatisfied" else main.high < 0
    if not gain:
        return "failed", f"not told from no difference: {_told(_COLUMN[measured], main)}", found
    if reward.known and reward.high < -margins.reward:
        return "failed", f"its answers are judged worse: {_told('reward', reward)}", found
    if errors.known and errors.low > 0 and errors.value > margins.error_rate:
        return "failed", f"it fails more often: {_told('errors', errors)}", found
    if not reward.known or min(reward.other, reward.present) < LEAST_JUDGED or reward.low <= -margins.reward:
        judged = _told("reward", reward) if reward.known else "nobody judged like answers of both"
        return (
            "inconclusive",
            f"{_told(_COLUMN[measured], main)}, but whether its answers are as good is not known: {judged}",
            found,
        )
    also = "" if main is reward else f"; {_told('reward', reward)}"
    return "passed", f"{_told(_COLUMN[measured], main)}{also}", found


def of_endpoints(
    tries: Mapping[str, Tried], present: str, other: str, measured: Measured
) -> tuple[Verdict, str, dict[str, Difference]]:
    """Judge another endpoint of the same model: its answers are the same, so errors and time decide."""
    found = {name: between_endpoints(tries, present, other, name) for name in ("errors", "latency")}
    main = found[_COLUMN[measured]]
    if not main.known or min(main.other, main.present) < LEAST:
        return (
            "inconclusive",
            f"{other} was tried {main.other} times, {present} {main.present}; {LEAST} are needed",
            found,
        )
    if main.high < 0:
        return "passed", _told(_COLUMN[measured], main), found
    return "failed", f"not told from no difference: {_told(_COLUMN[measured], main)}", found


def proof_of(
    judged: tuple[Verdict, str, dict[str, Difference]], rule: str, baseline: str | None, data: dict[str, Any], seed: int
) -> Proof:
    """Put a proof together."""
    verdict, sentence, found = judged
    return Proof(
        verdict=verdict,
        method="recorded calls, stratified by task and length" if rule is RULE else "recorded tries at both endpoints",
        rule=rule,
        sentence=sentence,
        data=data,
        figures=tuple(_figure(name, one) for name, one in found.items()),
        baseline=baseline,
        seed=seed,
    )


def _told(column: str, found: Difference) -> str:
    unit = _UNITS[column]
    return f"{column} {found.value:+.4g} {unit} a call (95% {found.low:+.4g} to {found.high:+.4g}, {found.other} calls)"


def _figure(name: str, found: Difference) -> Figure:
    value, low, high = (one if math.isfinite(one) else None for one in (found.value, found.low, found.high))
    return Figure(name=name, value=value, low=low, high=high, n=found.other, unit=_UNITS[name])
