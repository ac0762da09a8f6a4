"""Fit the weights of recall's signals on two conversations of LoCoMo, and print them: `python -m benchmarks.search.memory_weights FILE`.

What a covered session is worth is not fitted: printed is what each worth brings when one of the two is asked by weights of the other.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.search.locomo import FITTED, Talk, read
from benchmarks.search.memory_fit import Example, examples, fit, shares
from meliora.knowledge.memory.choose import COVERED
from meliora.knowledge.memory.signals import WEIGHTS

WORTHS = (0.0, 0.5, 1.0, COVERED, 1.6, 2.0, 3.0)
LIMIT = 10


def main(argv: Sequence[str]) -> int:
    """Print the fitted weights beside those in use, and what ten turns have of the evidence by the worth of a session."""
    talks = [talk for talk in read(Path(argv[0])) if talk.name in FITTED]
    data = [examples(talk) for talk in talks]
    fitted = fit([example for of_one in data for example in of_one])
    for (name, used), weight in zip(WEIGHTS.items(), fitted, strict=True):
        print(f"{name:<16} {weight:6.2f}   in use {used:6.2f}")
    for worth in WORTHS:
        turns, sessions = crossed(talks, data, worth)
        print(f"a session covered is worth {worth:.1f}: turns {turns:.3f}, sessions {sessions:.3f}")
    return 0


def crossed(talks: Sequence[Talk], data: Sequence[Sequence[Example]], worth: float) -> tuple[float, float]:
    """Ask each of two conversations by weights of the other, and give the mean shares of turns and of sessions."""
    found = [shares(talks[at], fit(data[1 - at]), LIMIT, worth) for at in (0, 1)]
    turns, sessions = np.concatenate(found).mean(axis=0)
    return float(turns), float(sessions)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
