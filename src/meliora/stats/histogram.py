"""Mergeable histograms with logarithmic buckets: any quantile within half a percent, in a few hundred numbers.

The buckets are those of DDSketch (Masson, Rim, Lee, PVLDB 12(12), 2019): bucket i holds (g^(i-1), g^i] with
g = (1 + a) / (1 - a), and its representative 2 g^i / (g + 1) is within a of each value in it. Here a = 0.005.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

ACCURACY = 0.005
"""Largest relative error of a quantile."""

_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_SCALE = 1 / math.log(_GAMMA)
_LEAST = 1e-9
"""Magnitudes below count as zero."""

_FORMAT = 1


class LogHistogram:
    """Counts of values by magnitude, with exact count, sum, least and greatest.

    Quantiles interpolate between neighbouring ranks as numpy does by default (Hyndman and Fan, 1996, type 7), so they can be
    held against exact ones. Values of both signs, and zero, may be mixed. Merging is exact: no order of merges matters but
    for the rounding of `total`.
    """

    __slots__ = ("count", "greatest", "least", "negative", "positive", "total", "zeros")

    def __init__(self) -> None:
        self.count = 0
        self.zeros = 0
        self.total = 0.0
        self.least = math.inf
        self.greatest = -math.inf
        self.positive: dict[int, int] = {}
        self.negative: dict[int, int] = {}

    def __eq__(self, other: object) -> bool:
        """Tell whether both counted the same."""
        return isinstance(other, LogHistogram) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment] # it changes

    def add(self, value: float, times: int = 1) -> None:
        """Count a value. Raises `ValueError` for one that is not finite."""
        if value > _LEAST:
            buckets, magnitude = self.positive, value
        elif value < -_LEAST:
            buckets, magnitude = self.negative, -value
        else:
            buckets, magnitude = None, 0.0
        if buckets is None:
            if value != value:
                raise ValueError("a histogram holds finite numbers only, not nan")
            self.zeros += times
        elif magnitude == math.inf:
            raise ValueError(f"a histogram holds finite numbers only, not {value}")
        else:
            bucket = math.ceil(math.log(magnitude) * _SCALE)
            buckets[bucket] = buckets.get(bucket, 0) + times
        self.count += times
        self.total += value * times
        if value < self.least:
            self.least = value
        if value > self.greatest:
            self.greatest = value

    def merge(self, other: LogHistogram) -> None:
        """Add all that `other` counted."""
        for mine, theirs in ((self.positive, other.positive), (self.negative, other.negative)):
            for bucket, times in theirs.items():
                mine[bucket] = mine.get(bucket, 0) + times
        self.count += other.count
        self.zeros += other.zeros
        self.total += other.total
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)

    def merge_json(self, plain: dict[str, Any]) -> None:
        """Add what `to_json` gave, without making a histogram of it first. Raises `ValueError` for another format."""
        _check_format(plain)
        count = plain["n"]
        if not count:
            return
        self.count += count
        self.total += plain["sum"]
        self.zeros += plain.get("zero", 0)
        self.least = min(self.least, plain["min"])
        self.greatest = max(self.greatest, plain["max"])
        for name, buckets in (("pos", self.positive), ("neg", self.negative)):
            flat = plain.get(name)
            if flat:
                held = buckets.get
                for bucket, times in zip(flat[::2], flat[1::2], strict=True):
                    buckets[bucket] = held(bucket, 0) + times

    def mean(self) -> float | None:
        """Give the exact mean; None where nothing was counted."""
        return self.total / self.count if self.count else None

    def quantile(self, q: float) -> float | None:
        """Give the value below which a share `q` lies; None where nothing was counted. Raises `ValueError` outside 0..1."""
        found = self.quantiles((q,))
        return found[0] if found else None

    def quantiles(self, shares: Iterable[float]) -> list[float]:
        """Give several quantiles, for shares in ascending order, in one pass; empty where nothing was counted."""
        shares = list(shares)
        if any(not 0 <= q <= 1 for q in shares) or shares != sorted(shares):
            raise ValueError(f"shares are ascending numbers from 0 to 1, not {shares}")
        if not self.count:
            return []
        ranks = sorted({rank for q in shares for rank in self._neighbours(q)})
        values = dict(zip(ranks, self._at(ranks), strict=True))
        found = []
        for q in shares:
            below, above = self._neighbours(q)
            part = q * (self.count - 1) - below
            low, high = values[below], values[above]
            found.append(low if low == high else low * (1 - part) + high * part)
        return found

    def _neighbours(self, q: float) -> tuple[int, int]:
        place = q * (self.count - 1)
        below = min(int(place), self.count - 1)
        return below, min(below + 1, self.count - 1) if place > below else below

    def _at(self, ranks: list[int]) -> list[float]:
        """Give the values at these ranks (ascending, from 0)."""
        found: list[float] = []
        passed = 0
        for value, times in self._ascending():
            passed += times
            while len(found) < len(ranks) and ranks[len(found)] < passed:
                rank = ranks[len(found)]
                exact = self.least if rank == 0 else self.greatest if rank == self.count - 1 else None
                found.append(min(max(value, self.least), self.greatest) if exact is None else exact)
        return found

    def _ascending(self) -> Iterable[tuple[float, int]]:
        for bucket in sorted(self.negative, reverse=True):
            yield -_representative(bucket), self.negative[bucket]
        if self.zeros:
            yield 0.0, self.zeros
        for bucket in sorted(self.positive):
            yield _representative(bucket), self.positive[bucket]

    def pairs(self) -> list[tuple[float, int]]:
        """Give the values in ascending order, each within half a percent, with how often each was counted."""
        held = ((min(max(value, self.least), self.greatest), times) for value, times in self._ascending())
        return list(held)

    def to_json(self) -> dict[str, Any]:
        """Give plain data: lists of bucket, count, bucket, count. Empty parts are left out."""
        plain: dict[str, Any] = {"v": _FORMAT, "n": self.count}
        if self.count:
            plain |= {"sum": self.total, "min": self.least, "max": self.greatest}
        if self.zeros:
            plain["zero"] = self.zeros
        for name, buckets in (("pos", self.positive), ("neg", self.negative)):
            if buckets:
                plain[name] = [number for pair in sorted(buckets.items()) for number in pair]
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> LogHistogram:
        """Read `to_json` back. Raises `ValueError` for another format."""
        made = cls()
        made.merge_json(plain)
        return made


def _check_format(plain: dict[str, Any]) -> None:
    if plain.get("v") != _FORMAT:
        raise ValueError(f"a histogram of format {plain.get('v')}, not {_FORMAT}")


def _representative(bucket: int) -> float:
    # Above the largest float the bucket's own value does not exist; `_at` holds it to the greatest value seen.
    exponent = bucket / _SCALE
    return math.exp(exponent) * 2 / (_GAMMA + 1) if exponent < 709 else math.inf
