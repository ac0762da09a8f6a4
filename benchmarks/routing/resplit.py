"""The savings again on other splits of the same prompts: one split of a few hundred test prompts tells little by itself.

Each split is learned from and judged as the first one is. Splits share prompts, so their mean is no surer than its spread says.
"""

from __future__ import annotations

import numpy as np

from benchmarks.report import Figure, Report
from benchmarks.routing import cascade
from benchmarks.routing.data import Set, Split, joined, placed
from benchmarks.routing.measure import judged, saved, saving
from meliora.routing.learning.fit import fit
from meliora.routing.learning.trunk import Corpus, read_all


def measure(report: Report, parts: Split, floors: dict[str, float], splits: int) -> None:
    """Add `SET.saveNN_resplit` for every set with prices: the mean saving over `splits` other splits.

    Where answers are known, also `SET.cascade_save100_resplit`, of the policy that may cascade.
    """
    for name in sorted(set(parts.train) & set(parts.test)):
        whole = joined(parts.train[name], parts.test[name])
        if whole.priced:
            _over(report, whole, floors.get(name, 0.98), splits)


def _over(report: Report, whole: Set, floor: float, splits: int) -> None:
    corpus = read_all(whole.outcomes.prompts)
    found = [_one(whole, corpus, floor, number) for number in range(1, splits + 1)]
    report.add(_summary(f"{whole.name}.save{100 * floor:.0f}_resplit", [alone for alone, _ in found]))
    if whole.answers:
        report.add(_summary(f"{whole.name}.cascade_save100_resplit", [wide for _, wide in found if wide is not None]))


def _summary(name: str, found: list[Figure]) -> Figure:
    savings = np.array([one.value for one in found])
    quality = np.array([one.beside["quality"] for one in found])
    low, high = np.quantile(savings, (0.025, 0.975))
    many = len(found) > 1
    beside = {
        "quality": float(quality.mean()),
        "quality_sd": float(quality.std(ddof=1)) if many else 0.0,
        "saving_sd": float(savings.std(ddof=1)) if many else 0.0,
        "counts": float(np.mean([one.beside["counts"] for one in found])),
        "zero": float(np.mean([one.beside["zero"] for one in found])),
    }
    note = "mean over other splits of the same prompts; low and high are between them"
    return Figure(name, float(savings.mean()), "share", float(low), float(high), len(found), beside, note)


def _one(whole: Set, corpus: Corpus, floor: float, number: int) -> tuple[Figure, Figure | None]:
    test = placed(whole, salt=str(number))
    train, rest = np.flatnonzero(~test), np.flatnonzero(test)
    inside, outside = whole.take(train), whole.take(rest)
    outcomes = cascade.answered(inside) if whole.answers else inside.outcomes
    here, rows = judged(outcomes, outside.outcomes)
    policy = fit(outcomes, corpus=corpus.take(train))
    there = corpus.take(rest).take(rows)
    alone = saving("", policy, there, here, floor)
    if not whole.answers:
        return alone, None
    wide = cascade.play(policy, cascade.answered(outside.take(rows)), there, 1.0)
    return alone, saved("", np.stack((wide.rewards, wide.costs), axis=1), here, 1.0)
