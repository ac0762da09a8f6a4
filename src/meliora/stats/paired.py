"""Two systems on the same frozen queries: the mean difference with Student's interval, and a sign-flip permutation test.

Pairing takes out how hard each query is. The permutation test assumes nothing of the differences' shape but that, were there no
effect, each sign were as likely (Fisher 1935; for search Smucker, Allan & Carterette, CIKM 2007). Where many small gains are paid for
by a few large losses they are not, and it finds gains that there are none: `skewed` allows for that. Pure: seeded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from meliora.stats.special import student_cdf, student_quantile

LEAST_PAIRS = 10
_EXACT = 12
"""Pairs up to which all sign patterns are counted instead of drawn."""


@dataclass(frozen=True, slots=True)
class PairedResult:
    """What the pairs say. All but `pairs` is None where they are fewer than were asked for."""

    pairs: int
    difference: float | None
    """Mean of after minus before."""
    low: float | None
    high: float | None
    p_better: float | None
    """Permutation p-value against "not better than before by more than the margin", one-sided."""
    p_different: float | None
    """The same on two sides."""


def compare(
    before: Sequence[float],
    after: Sequence[float],
    *,
    confidence: float = 0.95,
    margin: float = 0.0,
    least: int = LEAST_PAIRS,
    rounds: int = 9999,
    seed: int = 7,
) -> PairedResult:
    """Compare scores of the same queries; `margin` moves what "better" must exceed (negative: non-inferiority).

    Raises `ValueError` for unequal lengths or numbers that are not finite: a query that could not be scored is left out of both.
    """
    old, new = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    if old.shape != new.shape or not (np.isfinite(old).all() and np.isfinite(new).all()):
        raise ValueError(f"{old.size} and {new.size} scores: give two finite ones a query")
    differences = new - old
    count = len(differences)
    if count < max(least, 2):
        return PairedResult(count, None, None, None, None, None)
    mean = float(differences.mean())
    reach = student_quantile((1 + confidence) / 2, count - 1) * float(differences.std(ddof=1)) / math.sqrt(count)
    better, _ = sign_flip(differences - margin, rounds=rounds, seed=seed)
    _, different = sign_flip(differences, rounds=rounds, seed=seed)
    return PairedResult(count, mean, mean - reach, mean + reach, better, different)


def skewed(differences: Sequence[float] | np.ndarray) -> float:
    """Give the one-sided p-value against "the mean is not above 0" of Student's t, corrected for the skewness of what was seen.

    The monotone transformation of Hall (J. R. Statist. Soc. B 54, 1992, 221-228). 1 for fewer than two differences.
    """
    values = np.asarray(differences, dtype=float)
    count = len(values)
    if count < 2:
        return 1.0
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    if spread <= 1e-12 * abs(mean):
        return 0.0 if mean > 0 else 1.0
    skewness = float(((values - mean) ** 3).mean()) / spread**3
    ratio = mean / spread
    corrected = ratio + skewness * ratio**2 / 3 + skewness**2 * ratio**3 / 27 + skewness / (6 * count)
    return 1.0 - student_cdf(math.sqrt(count) * corrected, count - 1)


def sign_flip(differences: np.ndarray, *, rounds: int = 9999, seed: int = 7) -> tuple[float, float]:
    """Give the one-sided and the two-sided p-value of the sum under random signs; never 0 (Phipson & Smyth 2010)."""
    values = differences[differences != 0]
    count = len(values)
    if not count:
        return 1.0, 1.0
    seen = float(values.sum())
    slack = 1e-9 * float(np.abs(values).sum())
    if count <= _EXACT:
        patterns = np.arange(2**count)[:, None] >> np.arange(count) & 1
        sums = (1 - 2 * patterns) @ values
        return float((sums >= seen - slack).mean()), float((np.abs(sums) >= abs(seen) - slack).mean())
    above = beyond = 0
    for signs in _signs(count, rounds, seed):
        sums = signs @ values
        above += int((sums >= seen - slack).sum())
        beyond += int((np.abs(sums) >= abs(seen) - slack).sum())
    return (above + 1) / (rounds + 1), (beyond + 1) / (rounds + 1)


def best_flip(chosen: np.ndarray, beside: Sequence[np.ndarray] = (), *, rounds: int = 9999, seed: int = 7) -> float:
    """Give the one-sided p-value of the sum of `chosen` under random signs, it being the best of several; never 0.

    The signs are drawn for each query, the same for all that it was chosen among (single-step maximum of Westfall and Young 1993), so
    that what is tried costs only what it adds: with nothing beside it, or only what is equal, it is `sign_flip`.
    """
    columns = [one for one in (chosen, *beside) if np.any(one)]
    if not np.any(chosen):
        return 1.0
    scaled = np.stack([one / np.sqrt(np.square(one).sum()) for one in columns], axis=1)
    seen = float(scaled[:, 0].sum())
    above = 0
    for signs in _signs(len(chosen), rounds, seed):
        above += int(((signs @ scaled).max(axis=1) >= seen - 1e-9).sum())
    return (above + 1) / (rounds + 1)


def _signs(count: int, rounds: int, seed: int) -> Iterator[np.ndarray]:
    """Give random signs, a row a round, in blocks that fit into memory."""
    rng = np.random.default_rng(seed)
    step = max(1, 4_000_000 // count)
    for start in range(0, rounds, step):
        yield 1.0 - 2.0 * rng.integers(0, 2, (min(step, rounds - start), count), dtype=np.int8)
