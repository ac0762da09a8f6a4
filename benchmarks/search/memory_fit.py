"""The weights of recall's signals from conversations of LoCoMo, and what others are recalled of by them.

Softmax regression: of all turns, those that answer a question are to have the most of exp(score). A little L2 keeps the weights apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize

from benchmarks.intervals import Estimate, ratio_of_sums
from benchmarks.search.locomo import Question, Talk, remembered
from meliora.knowledge.memory.choose import COVERED, Chosen, choose
from meliora.knowledge.memory.dates import said_dates
from meliora.knowledge.memory.scope import Scope
from meliora.knowledge.memory.signals import WEIGHTS, signals
from meliora.knowledge.memory.terms import read_query
from meliora.knowledge.memory.wanted import Wanted

L2 = 0.01
Example = tuple[np.ndarray, np.ndarray]
"""The signals of all turns of a conversation, a row a turn, and the rows that answer a question."""


def indexed(talk: Talk) -> Scope:
    """Give the recall index of a conversation."""
    _, shelf = remembered([talk])
    scope = Scope()
    scope.add(shelf.follow("t", talk.name, 0, len(talk.turns)))
    return scope


def examples(talk: Talk) -> list[Example]:
    """Give, for each question, the signals of all turns and the rows that answer it."""
    scope = indexed(talk)
    everywhere = np.ones(scope.size, dtype=bool)
    found = []
    for one in talk.questions:
        query = read_query(one.text, frozenset(scope.names))
        values = signals(scope, query, said_dates(one.text), None, everywhere).values
        rows = np.array(sorted(one.turns)) - 1
        found.append((np.stack([values[name] for name in WEIGHTS], axis=1), rows))
    return found


def fit(data: Sequence[Example]) -> np.ndarray:
    """Give a weight a signal."""

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total, slope = 0.0, np.zeros_like(weights)
        for values, rows in data:
            scores = values @ weights
            each = np.exp(scores - scores.max())
            each /= each.sum()
            total -= float(np.mean(np.log(each[rows] + 1e-300)))
            slope -= values[rows].mean(axis=0) - each @ values
        n = len(data)
        return total / n + L2 * float(weights @ weights) / 2, slope / n + L2 * weights

    return np.asarray(minimize(loss, np.zeros(len(WEIGHTS)), jac=True, method="L-BFGS-B").x)


def shares(talk: Talk, weights: np.ndarray, limit: int, covered: float = COVERED) -> np.ndarray:
    """Give, a row a question, the share of its turns and of its sessions that `limit` turns chosen by some weights have."""
    scope, by_name = indexed(talk), dict(zip(WEIGHTS, map(float, weights), strict=True))
    now_us = max(turn.at_us or 0 for turn in talk.turns)
    wanted = (Wanted(query=one.text, limit=limit) for one in talk.questions)
    given = (choose(scope, one, now_us, by_name, covered) for one in wanted)
    return np.array([_share(one, chosen) for one, chosen in zip(talk.questions, given, strict=True)])


def refitted(talks: Sequence[Talk], limit: int) -> tuple[Estimate, Estimate]:
    """Fit on each two conversations that follow each other, the last and the first too, and ask the others.

    A question counts by its mean over the fits; the interval is that of a mean of clusters, of which each conversation is one.
    """
    data = [examples(talk) for talk in talks]
    by_talk: list[list[np.ndarray]] = [[] for _ in talks]
    for at in range(len(talks)):
        pair = (at, (at + 1) % len(talks))
        weights = fit([example for one in pair for example in data[one]])
        for other, talk in enumerate(talks):
            if other not in pair:
                by_talk[other].append(shares(talk, weights, limit))
    means = [np.mean(found, axis=0) for found in by_talk]
    counts = [float(len(found)) for found in means]
    turns, sessions = (ratio_of_sums([float(found[:, side].sum()) for found in means], counts) for side in (0, 1))
    return turns, sessions


def _share(one: Question, chosen: Chosen) -> tuple[float, float]:
    turns = {hit.place[1] for hit in chosen.turns}
    sessions = {hit.session for hit in chosen.turns}
    return len(one.turns & turns) / len(one.turns), len(one.sessions & sessions) / len(one.sessions)
