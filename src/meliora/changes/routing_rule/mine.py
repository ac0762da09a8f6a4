"""Finds a pattern and a model that answers such prompts better than what was served. What it finds is to be proved on other decisions.

Patterns are words, pairs of words, and lengths: what the rules engine can say. A word counts only where several people used it, so
that nobody's name becomes a rule. The interval of the best one is as wide as the number of pairs that were tried asks for (Bonferroni).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import re2
from numpy.typing import NDArray

from meliora.changes.routing_rule.rows import LEAST_CHANCE, Array, Rows, people_of

ALPHA = 0.05
_WORDS = 400
"""Words and pairs that are looked into, the most frequent."""
_WIDEST = 0.8
"""Share of all prompts above which a pattern tells none apart."""
_HITS = 10
"""Answers of the model itself among the matching prompts, at least."""
_SHORT, _LONG = (40, 80, 160, 320, 640), (160, 320, 640, 1000)
_WORD = re.compile(r"(?<![^\W_])[a-z]{3,20}(?![^\W_])")
_MASK = re.compile(r"\[(?:KEY|EMAIL|CARD|PHONE|MASKED)\]")
_FREQUENT = """
the and for you are was were that this with from have has had not but can what when how why who does did will would should could
please there their they them then than into about your our out all any its his her she him
"""
_COMMON = frozenset(_FREQUENT.split())


@dataclass(frozen=True, slots=True)
class Found:
    """A rule to propose; figures are of the decisions that it was mined from, and flatter it."""

    pattern: str
    model: str
    support: int
    people: int
    gain: float
    """Utility a matching call."""
    reward: float
    """Mean of the model's own answers to such prompts."""
    low: float
    """Of an interval that holds for all pairs that were tried together."""
    tried: int


def mine(rows: Rows, pay: float, *, least: int, people: int) -> Found | None:
    """Give the best rule whose gain is above nought whatever was tried beside it; None where there is none.

    `least` prompts must match, of `people` people.
    """
    rows = rows.priced(pay)
    if len(rows) < least:
        return None
    patterns = list(_candidates(rows, least))
    hits = matches(patterns, rows.texts)
    wide = hits.sum(axis=0) <= _WIDEST * len(rows)
    enough = np.array([people_of(rows, np.flatnonzero(column)) >= people for column in hits.T], bool)
    usable = np.flatnonzero(wide & enough & (hits.sum(axis=0) >= least))
    found: list[tuple[float, float, int, str, str, int]] = []
    tried = 0
    for index, model in enumerate(rows.models):
        scores, tells, own = _scores(rows, rows.utility(pay), index)
        for column in usable:
            those = hits[:, column] & tells
            count = int(those.sum())
            if count < max(least, 0.8 * hits[:, column].sum()) or (those & own).sum() < _HITS:
                continue
            tried += 1
            value, error = float(scores[those].mean()), float(scores[those].std(ddof=1)) / count**0.5
            found.append((value, error, count, patterns[column], model, int(column)))
    if not found:
        return None
    z = NormalDist().inv_cdf(1 - ALPHA / (2 * tried))
    value, error, count, pattern, model, column = max(found, key=lambda one: (one[0] - z * one[1], one[3], one[4]))
    low = value - z * error
    if not low > 0:
        return None
    own = hits[:, column] & (rows.action == rows.models.index(model))
    behind = people_of(rows, np.flatnonzero(hits[:, column]))
    return Found(pattern, model, count, behind, value, float(rows.reward[own].mean()), low, tried)


def _candidates(rows: Rows, least: int) -> Iterator[str]:
    counts: Counter[str] = Counter()
    for text in rows.texts:
        words = _WORD.findall(_MASK.sub(" ", text).lower())
        said = {word for word in words if word not in _COMMON}
        said |= {f"{one} {other}" for one, other in pairwise(words) if {one, other} - _COMMON}
        counts.update(said)
    frequent = sorted((-count, word) for word, count in counts.items() if count >= least)
    for _, word in frequent[:_WORDS]:
        yield rf"(?i)\b{word.replace(' ', ' +')}\b"
    for most in _SHORT:
        yield rf"(?s)\A.{{0,{most}}}\z"
    for few in _LONG:
        yield rf"(?s)\A.{{{few}}}"


def matches(patterns: Sequence[str], texts: Sequence[str]) -> NDArray[np.bool_]:
    """Search all patterns in each text, as the rules engine does; [texts, patterns]."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = 64 << 20
    together = re2.Set.SearchSet(options)
    for pattern in patterns:
        together.Add(pattern)
    together.Compile()
    hits = np.zeros((len(texts), len(patterns)), bool)
    for row, text in enumerate(texts):
        hits[row, together.Match(text.encode("utf-8", "replace")) or []] = True
    return hits


def ruled(patterns: Sequence[str], texts: Sequence[str]) -> NDArray[np.bool_]:
    """Tell which texts any of the patterns matches."""
    return np.array([bool(row.any()) for row in matches(patterns, texts)], bool)


def _scores(rows: Rows, value: Array, model: int) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Give each row's doubly robust score of sending it to a model instead, which rows can tell, and which it answered.

    A model's value is guessed by its mean over the other rows.
    """
    index = np.arange(len(rows))
    own = rows.action == model
    counts = np.bincount(rows.action, minlength=len(rows.models)).astype(float)
    sums = np.bincount(rows.action, weights=value, minlength=len(rows.models))
    guess = np.tile(sums / np.maximum(counts, 1), (len(rows), 1))
    guess[index, rows.action] = (sums[rows.action] - value) / np.maximum(counts[rows.action] - 1, 1)
    chance = rows.served[:, model]
    tells = chance >= LEAST_CHANCE
    ratio = np.where(own, 1.0 / np.where(tells, chance, 1.0), 0.0) - 1.0
    expected = guess[:, model] - (rows.served * guess).sum(axis=1)
    return expected + ratio * (value - guess[index, rows.action]), tells, own
