"""Does a reading say that a gate is passed, near, or broken? One look over all gates of a tick, false discoveries held together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from meliora.loop.gates.gate import Baseline, Gate
from meliora.loop.gates.metrics import Form
from meliora.loop.gates.reading import Cell, NoData, Reading
from meliora.stats.exceedance import Floats, evidence, mean_growth, rate_growth
from meliora.stats.multiple import e_bh
from meliora.stats.special import student_cdf

Verdict = Literal["pass", "near", "fail", "no_data"]
FALSE_DISCOVERIES = 0.25
"""Share of the gates found broken in a tick that may be so by chance, were all of them exactly on their bounds."""
LEAST_SHARED = 0.5
"""Of the frozen queries, so many must have been measured again."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one reading says by itself."""

    verdict: Verdict
    within: bool = False
    """The value is on the right side, whatever the evidence."""
    bound: float | None = None
    evidence: float | None = None
    """How much it says against "the gate holds": 1 or less is nothing. None where nothing was sampled: the value is what it is."""
    reason: str = ""


def look(gate: Gate, reading: Reading | NoData, baseline: Baseline | None, since_us: int) -> Opinion:
    """Form an opinion. Evidence counts from `since_us`, when the gate began to pass: what a former failure left is not told again.

    The verdict `fail` is provisional where there is evidence: `settle` decides over all gates.
    """
    if isinstance(reading, NoData):
        return Opinion("no_data", reason=reading.reason)
    bound = gate.bound(baseline)
    if bound is None:
        return Opinion("no_data", reason="no baseline is frozen: freeze one")
    if reading.n < gate.minimum:
        what = "queries" if reading.form == "paired" else "requests" if gate.kind == "telemetry" else "observations"
        return Opinion("no_data", bound=bound, reason=f"{reading.n} {what} in the window, {gate.minimum} are needed")
    if not _can_be_passed(gate, reading.form, bound):
        return Opinion("no_data", bound=bound, reason=f"a bound of {bound:g} cannot be judged: freeze another baseline")
    if reading.form == "paired" and baseline is not None and gate.change is not None:
        return _paired(gate, reading, baseline)
    return _opinion(gate, reading.value, bound, lambda: _against(gate, reading, bound, since_us), reading.form)


def settle(opinions: Sequence[Opinion], family: int, level: float = FALSE_DISCOVERIES) -> list[Opinion]:
    """Decide which are broken, with all gates of the tick in view; `family` is how many sampled gates there are, looked at or not.

    What is beyond its bound and not beyond chance is near.
    """
    known = [one.evidence for one in opinions if one.evidence is not None]
    found = iter(e_bh([*known, *[0.0] * (family - len(known))], level))
    settled = []
    for one in opinions:
        sure = one.evidence is None or next(found)
        if one.verdict == "fail" and not sure:
            one = Opinion("near", one.within, one.bound, one.evidence, "beyond the bound, and not beyond chance")
        settled.append(one)
    return settled


def _opinion(gate: Gate, value: float, bound: float, against: Callable[[], float], form: Form) -> Opinion:
    beyond, near = gate.beyond(value, bound), gate.close(value, bound)
    said = None if form == "gauge" else against() if beyond else 0.0
    return Opinion("fail" if beyond else "near" if near else "pass", within=not beyond, bound=bound, evidence=said)


def _can_be_passed(gate: Gate, form: Form, bound: float) -> bool:
    """Tell whether there is something on either side of a bound: a baseline without a single error leaves none to be relative to."""
    if form == "rate":
        return 0 < bound < 1
    if form == "quantile" or (form == "mean" and gate.direction == "max"):
        return bound > 0
    return math.isfinite(bound)


def _against(gate: Gate, reading: Reading, bound: float, since_us: int) -> float:
    """Give the evidence that the bound is passed."""
    if reading.form == "paired":
        return _fall(np.asarray(list(reading.per_query.values())) - bound, falling=gate.direction == "min")
    cells = [cell for cell in reading.cells if cell.start_us >= since_us]
    if not cells:
        return 0.0
    upper = gate.direction == "max"
    if reading.form == "mean":
        ceiling = gate.of().ceiling
        if not upper and (ceiling is None or ceiling <= bound):
            values = np.concatenate([cell.values for cell in cells])
            return _fall(values - bound, falling=True, counts=np.concatenate([cell.counts for cell in cells]))
        grown = [_mean_bets(cell, bound, ceiling if not upper else None) for cell in cells]
        log = evidence(np.stack(grown), [cell.n for cell in cells])
    else:
        hits, n, share = _as_rate(gate, reading, cells, bound)
        log = evidence(rate_growth(hits, n, share), n)
    return math.exp(min(float(log), 700.0))


def _mean_bets(cell: Cell, bound: float, ceiling: float | None) -> Floats:
    """Bet that the mean is above the bound, or that its distance from the ceiling is."""
    if ceiling is None:
        return mean_growth(cell.values, cell.counts, bound)
    return mean_growth(np.maximum(0.0, ceiling - cell.values), cell.counts, ceiling - bound)


def _as_rate(
    gate: Gate, reading: Reading, cells: Sequence[Cell], bound: float
) -> tuple[list[float], list[float], float]:
    """Say it as a share that must not be passed: a p95 is above 800 ms where more than 5% of the calls are."""
    upper = gate.direction == "max"
    if reading.form == "quantile" and reading.quantile is not None:
        wrong = [float(cell.counts[cell.values > bound if upper else cell.values < bound].sum()) for cell in cells]
        return wrong, [float(cell.counts.sum()) for cell in cells], 1 - reading.quantile if upper else reading.quantile
    n = [float(cell.n) for cell in cells]
    if upper:
        return [float(cell.hits) for cell in cells], n, bound
    return [float(cell.n - cell.hits) for cell in cells], n, 1 - bound


def _paired(gate: Gate, reading: Reading, baseline: Baseline) -> Opinion:
    """Compare query by query with the frozen baseline; what only one side has measured does not count."""
    shared = sorted(set(reading.per_query) & set(baseline.per_query))
    if len(shared) < max(gate.minimum, LEAST_SHARED * len(baseline.per_query)):
        reason = f"{len(shared)} of the {len(baseline.per_query)} frozen queries were measured in the window"
        return Opinion("no_data", reason=reason)
    new = np.asarray([reading.per_query[query] for query in shared])
    old = np.asarray([baseline.per_query[query] for query in shared])
    allowed = 1 + (gate.change or 0.0)
    bound = float(old.mean()) * allowed
    falling = gate.direction == "min"
    return _opinion(gate, float(new.mean()), bound, lambda: _fall(new - allowed * old, falling=falling), "paired")


def _fall(differences: Floats, *, falling: bool, counts: Floats | None = None) -> float:
    """Give one over the one-sided p-value of Student's test that the mean is not on the wrong side of 0.

    The same queries are measured again and again, so that looks do not add up: one over p goes into `e_bh` as it stands, which is
    then the procedure of Benjamini & Hochberg.
    """
    times = np.ones(len(differences)) if counts is None else counts
    count = float(times.sum())
    if count < 2:
        return 0.0
    signed = differences if falling else -differences
    mean = float(times @ signed) / count
    variance = float(times @ (signed - mean) ** 2) / (count - 1)
    if variance == 0:
        return math.inf if mean < 0 else 0.0
    p = student_cdf(mean / math.sqrt(variance / count), count - 1)
    return 1 / p if p > 0 else math.inf
