"""The savings again on other splits of the same prompts: one split of a few hundred test prompts tells little by itself.

Each split is learned from and judged as the first one is. Splits share prompts, so their mean is no surer than its spread says.
"""

from __future__ import annotations

import numpy as np

from benchmarks.report import Figure, Report
from benchmarks.routing.data import Set, Split, joined, placed
from benchmarks.routing.measure import judged, saving
from meliora.routing.learning.fit import fit
from meliora.routing.learning.trunk import Corpus, read_all


def measure(report: Report, parts: Split, floors: dict[str, float], splits: int) -> None:
    """Add `SET.saveNN_resplit` for every set with prices: the mean saving over `splits` other splits."""
    for name in sorted(set(parts.train) & set(parts.test)):
        whole = joined(parts.train[name], parts.test[name])
        if whole.priced:
            report.add(_over(whole, floors.get(name, 0.98), splits))


def _over(whole: Set, floor: float, splits: int) -> Figure:
    corpus = read_all(whole.outcomes.prompts)
    found = [_one(whole, corpus, floor, number) for number in range(1, splits + 1)]
    savings = np.array([one.value for one in found])
    quality = np.array([one.beside["quality"] for one in found])
    low, high = np.quantile(savings, (0.025, 0.975))
    beside = {
        "quality": float(quality.mean()),
        "quality_sd": float(quality.std(ddof=1)) if splits > 1 else 0.0,
        "saving_sd": float(savings.std(ddof=1)) if splits > 1 else 0.0,
        "counts": float(np.mean([one.beside["counts"] for one in found])),
        "zero": float(np.mean([one.beside["zero"] for one in found])),
    }
    note = "mean over other splits of the same prompts; low and high are between them"
    name = f"{whole.name}.save{100 * floor:.0f}_resplit"
    return Figure(name, float(savings.mean()), "share", float(low), float(high), splits, beside, note)


def _one(whole: Set, corpus: Corpus, floor: float, number: int) -> Figure:
    test = placed(whole, salt=str(number))
    train, rest = np.flatnonzero(~test), np.flatnonzero(test)
    inside, outside = whole.outcomes.take(train), whole.outcomes.take(rest)
    here, rows = judged(inside, outside)
    policy = fit(inside, corpus=corpus.take(train))
    return saving("", policy, corpus.take(rest).take(rows), here, floor)
