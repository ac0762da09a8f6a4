"""What a judge's scores are worth beside people's labels: a monotone map from the one to the other, and how far it can be trusted.

Few labels get a logistic curve (Platt, Advances in Large Margin Classifiers, 1999, with his smoothed targets), many an isotonic
one (pool adjacent violators; Ayer et al., Annals of Mathematical Statistics 26, 1955): Niculescu-Mizil & Caruana (ICML 2005)
find the latter better from about a thousand on.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

MANY = 1000
"""Labels from which the isotonic curve is fitted."""
_RIDGE = 1e-3
_STEPS = 50


@dataclass(frozen=True)
class Calibration:
    """Maps a score to what people would have said, both in [0, 1]; straight between its points and level beyond them."""

    method: Literal["logistic", "isotonic"]
    labels: int
    scores: tuple[float, ...]
    values: tuple[float, ...]
    error_before: float
    error_after: float
    """Mean squared distance to the labels; `after` by the other half, each half mapped by a curve fitted on the other."""

    def value(self, score: float) -> float:
        """Give what a score is worth."""
        place = bisect_right(self.scores, score)
        if place == 0:
            return self.values[0]
        if place == len(self.scores):
            return self.values[-1]
        low, high = self.scores[place - 1], self.scores[place]
        share = (score - low) / (high - low)
        return self.values[place - 1] * (1 - share) + self.values[place] * share


def calibrated(scores: Sequence[float], labels: Sequence[float], needed: int) -> Calibration | None:
    """Fit the map from pairs of score and label; None where there are fewer than `needed`, or all scores are the same."""
    if len(scores) < needed or len(set(scores)) < 2:
        return None
    pairs = list(zip(scores, labels, strict=True))
    halves = pairs[::2], pairs[1::2]
    off = 0.0
    for fitted_on, held_out in (halves, halves[::-1]):
        curve = _curve(fitted_on)
        off += math.fsum((_at(curve, score) - label) ** 2 for score, label in held_out)
    points = _curve(pairs)
    return Calibration(
        method="isotonic" if len(pairs) >= MANY else "logistic",
        labels=len(pairs),
        scores=tuple(score for score, _ in points),
        values=tuple(value for _, value in points),
        error_before=math.fsum((score - label) ** 2 for score, label in pairs) / len(pairs),
        error_after=off / len(pairs),
    )


Points = list[tuple[float, float]]


def _curve(pairs: Points) -> Points:
    return _isotonic(pairs) if len(pairs) >= MANY // 2 else _logistic(pairs)


def _at(points: Points, score: float) -> float:
    return Calibration("logistic", 0, tuple(s for s, _ in points), tuple(v for _, v in points), 0, 0).value(score)


def _logistic(pairs: Points) -> Points:
    """Fit value = 1 / (1 + exp(-(a + b * score))) by Newton's method, b not below 0; give it at 21 scores."""
    count = len(pairs)
    total = math.fsum(label for _, label in pairs)
    # Platt's targets: nobody is certain of what a few labels say.
    low, high = 1 / (count - total + 2), (total + 1) / (total + 2)
    targets = [(score, low + (high - low) * label) for score, label in pairs]
    a, b = 0.0, 0.0
    for _ in range(_STEPS):
        gradient_a, gradient_b = -_RIDGE * a, -_RIDGE * b
        aa, ab, bb = _RIDGE, 0.0, _RIDGE
        for score, target in targets:
            value = _sigmoid(a + b * score)
            slope = value * (1 - value)
            gradient_a += target - value
            gradient_b += (target - value) * score
            aa += slope
            ab += slope * score
            bb += slope * score * score
        determinant = aa * bb - ab * ab
        step_a = (bb * gradient_a - ab * gradient_b) / determinant
        step_b = (aa * gradient_b - ab * gradient_a) / determinant
        size = max(1.0, (abs(step_a) + abs(step_b)) / 4)
        a, b = a + step_a / size, b + step_b / size
        if abs(step_a) + abs(step_b) < 1e-9:
            break
    if b < 0:  # a judge that people contradict says nothing, rather than the contrary
        a, b = _odds(total / count), 0.0
    return [(step / 20, _sigmoid(a + b * step / 20)) for step in range(21)]


def _isotonic(pairs: Points) -> Points:
    """Give the nondecreasing step function nearest to the labels, as its blocks' middles."""
    by_score: dict[float, list[float]] = {}
    for score, label in sorted(pairs):
        by_score.setdefault(score, []).append(label)
    blocks: list[list[float]] = []  # sum of labels, count, sum of scores
    for score, labels in by_score.items():
        blocks.append([math.fsum(labels), len(labels), score * len(labels)])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            last = blocks.pop()
            blocks[-1] = [one + other for one, other in zip(blocks[-1], last, strict=True)]
    return [(scores / count, labels / count) for labels, count, scores in blocks]


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _odds(share: float) -> float:
    share = min(max(share, 1e-3), 1 - 1e-3)
    return math.log(share / (1 - share))
