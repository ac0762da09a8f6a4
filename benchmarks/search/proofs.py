"""How often the proof of a change of searches passes: where nothing is better, where it is by so much, and where other queries suffer.

Scores are those of one right document at a place among fifteen, seen to place 10, drawn anew for each proof; the rule is the shipped one
(`changes.comparing`). Run: `python -m benchmarks.search.proofs`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.intervals import Estimate
from benchmarks.report import Report, conclude, figure
from meliora.changes.comparing import ALPHA, Compared, compared, decided
from meliora.changes.query_repair.crossed import Methods, Tried
from meliora.stats.proportion import wilson

PROOFS, PROOFS_QUICK = 1_000, 100
SIZES = (12, 60, 150)
"""Queries that a change is for."""
OTHERS = 100
GRADES = np.concatenate([1 / np.log2(np.arange(1, 11) + 1), np.zeros(5)])
"""NDCG@10 by place."""

Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
"""Gives the scores before and after."""


def measure(report: Report, seed: int, quick: bool = False) -> None:
    """Add how often a proof passes, for each way that scores may differ."""
    count = PROOFS_QUICK if quick else PROOFS
    for name, (wanted, others) in SCENARIOS.items():
        for size in SIZES:
            rng = np.random.default_rng([seed, size])
            passed, gain = 0, 0.0
            for at in range(count):
                own = wanted(rng, size, at)
                gain += own.result.difference or 0.0
                if own.p_gain is None or own.p_gain >= ALPHA:
                    continue
                old, new = others(rng, OTHERS)
                rest = compared(list(old), list(new), at)
                passed += decided(own, rest)[0] == "passed"
            share = Estimate(passed / count, *wilson(passed, count), count)
            report.add(figure(f"{name}_{size}", "share", share, beside={"mean gain": gain / count}))


def reordered(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """No effect: half of the queries are answered in another order, no better and no worse on average."""
    places = rng.integers(0, 15, (2, count))
    before = GRADES[places[0]]
    return before, np.where(rng.random(count) < 0.5, GRADES[places[1]], before)


def paid_for(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """No effect on average: nine in ten gain 0.05, and one in ten loses 0.45."""
    before = np.full(count, 0.5)
    return before, before + np.where(rng.random(count) < 0.1, -0.45, 0.05)


def lifted(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """0.05 better: a quarter is answered in another order, and 7% by the right document first."""
    places = rng.integers(0, 15, (2, count))
    before = GRADES[places[0]]
    after = np.where(rng.random(count) < 0.25, GRADES[places[1]], before)
    return before, np.where(rng.random(count) < 0.07, 1.0, after)


def repaired(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """As words that no document has are answered at last: two in three were answered by nothing, half of these are answered first."""
    lost = rng.random(count) < 2 / 3
    before = np.where(lost, 0.0, GRADES[rng.integers(0, 15, count)])
    return before, np.where(lost & (rng.random(count) < 0.5), 1.0, before)


def unharmed(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Others are answered as before, but for 5% in another order."""
    places = rng.integers(0, 15, (2, count))
    before = GRADES[places[0]]
    return before, np.where(rng.random(count) < 0.05, GRADES[places[1]], before)


def harmed(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Others lose 0.02, the margin: 8% of them 0.25 each."""
    before = np.full(count, 0.5)
    return before, before - np.where(rng.random(count) < 0.08, 0.25, 0.0)


def best_of_three(rng: np.random.Generator, count: int, seed: int) -> Compared:
    """No effect: three repairs that reorder, of which the best is chosen as a change of queries chooses it."""
    before, first = reordered(rng, count)
    others = [np.where(rng.random(count) < 0.5, GRADES[rng.integers(0, 15, count)], before) for _ in range(2)]
    tried = Tried(list(before), {how: list(after) for how, after in zip(_HOW, (first, *others), strict=True)})
    return tried.proved(tried.chosen()[1], seed)


_HOW: tuple[Methods, ...] = (("spelling",), ("expansion",), ("spelling", "expansion"))


def drawn(draw: Draw) -> Callable[[np.random.Generator, int, int], Compared]:
    """Compare the scores that are drawn."""

    def wanted(rng: np.random.Generator, count: int, seed: int) -> Compared:
        before, after = draw(rng, count)
        return compared(list(before), list(after), seed)

    return wanted


SCENARIOS: dict[str, tuple[Callable[[np.random.Generator, int, int], Compared], Draw]] = {
    "none_reordered": (drawn(reordered), unharmed),
    "none_paid_for": (drawn(paid_for), unharmed),
    "none_chosen": (best_of_three, unharmed),
    "gain_005": (drawn(lifted), unharmed),
    "repair": (drawn(repaired), unharmed),
    "repair_others_harmed": (drawn(repaired), harmed),
}


def main(argv: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help=f"{PROOFS_QUICK} proofs a figure in place of {PROOFS}")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    asked = parser.parse_args(argv)
    report, began = Report("proofs of searches", asked.seed), time.monotonic()
    measure(report, asked.seed, asked.quick)
    return conclude(report, time.monotonic() - began, asked.json, "")


if __name__ == "__main__":
    sys.exit(main())
