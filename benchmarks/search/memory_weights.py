"""Fit the weights of recall's signals on two conversations of LoCoMo, and print them: `python -m benchmarks.search.memory_weights FILE`.

Softmax regression: of all turns, those that answer a question are to have the most of exp(score). A little L2 keeps the weights apart.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from benchmarks.search.locomo import FITTED, Talk, read, remembered
from meliora.knowledge.memory.dates import said_dates
from meliora.knowledge.memory.scope import Scope
from meliora.knowledge.memory.signals import WEIGHTS, signals
from meliora.knowledge.memory.terms import read_query

L2 = 0.01


def main(argv: Sequence[str]) -> int:
    """Print the fitted weights beside those in use."""
    talks = [talk for talk in read(Path(argv[0])) if talk.name in FITTED]
    fitted = fit([example for talk in talks for example in examples(talk)])
    for (name, used), weight in zip(WEIGHTS.items(), fitted, strict=True):
        print(f"{name:<16} {weight:6.2f}   in use {used:6.2f}")
    return 0


def examples(talk: Talk) -> list[tuple[np.ndarray, np.ndarray]]:
    """Give, for each question, the signals of all turns and the rows that answer it."""
    _, shelf = remembered([talk])
    scope = Scope()
    scope.add(shelf.follow("t", talk.name, 0, len(talk.turns)))
    everywhere = np.ones(scope.size, dtype=bool)
    found = []
    for one in talk.questions:
        query = read_query(one.text, frozenset(scope.names))
        values = signals(scope, query, said_dates(one.text), None, everywhere).values
        rows = np.array(sorted(one.turns)) - 1
        found.append((np.stack([values[name] for name in WEIGHTS], axis=1), rows))
    return found


def fit(data: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Give a weight a signal."""

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total, slope = 0.0, np.zeros_like(weights)
        for values, rows in data:
            scores = values @ weights
            shares = np.exp(scores - scores.max())
            shares /= shares.sum()
            total -= float(np.mean(np.log(shares[rows] + 1e-300)))
            slope -= values[rows].mean(axis=0) - shares @ values
        n = len(data)
        return total / n + L2 * float(weights @ weights) / 2, slope / n + L2 * weights

    return np.asarray(minimize(loss, np.zeros(len(WEIGHTS)), jac=True, method="L-BFGS-B").x)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
