"""Two models, or two endpoints, on the calls that both of them had: same task, same length of prompt.

The strata weigh as the present model's calls do (post-stratification: Cochran, Sampling Techniques, 1977, 5A.9). Calls were not
given to models by chance, so a difference may be that of the calls: it is reason for a trial, which is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from meliora.changes.model_choice.shelf import Cell, Sums, Tried

_Z = 1.959964
_EACH = 5
"""Calls of either in a stratum, below which it compares nothing."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The other less the present, with its 95% interval; nan where there is nothing to compare."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    present: int = 0
    other: int = 0
    """Calls that were compared."""
    covered: float = 0.0
    """Share of the present one's calls that lie in strata which both had."""

    @property
    def known(self) -> bool:
        """Whether there is anything."""
        return math.isfinite(self.value)


def between_models(cells: Sequence[Cell], present: str, other: str, column: str) -> Difference:
    """Compare two models by a column of `Cell`."""
    mine, theirs = _strata(cells, present, column), _strata(cells, other, column)
    return _stratified(mine, theirs, is_share=column == "errors")


def between_endpoints(tries: Mapping[str, Tried], present: str, other: str, column: str) -> Difference:
    """Compare two endpoints by a column of `Tried`."""
    mine, theirs = (getattr(tries.get(name, Tried()), column) for name in (present, other))
    return _stratified({(): mine}, {(): theirs}, is_share=column == "errors")


def mean(sums: Iterable[Sums]) -> float:
    """Give the mean of all; nan of none."""
    found = list(sums)
    count = sum(one.n for one in found)
    return sum(one.total for one in found) / count if count else math.nan


def _strata(cells: Sequence[Cell], model: str, column: str) -> dict[tuple[object, ...], Sums]:
    return {(cell.task, cell.bucket): getattr(cell, column) for cell in cells if cell.model == model}


def _stratified(
    mine: Mapping[tuple[object, ...], Sums], theirs: Mapping[tuple[object, ...], Sums], *, is_share: bool
) -> Difference:
    both = [(mine[key], theirs[key]) for key in sorted(mine, key=str) if key in theirs]
    both = [(one, other) for one, other in both if min(one.n, other.n) >= _EACH]
    everything, common = sum(one.n for one in mine.values()), sum(one.n for one, _ in both)
    if not common:
        return Difference()
    value = variance = 0.0
    for one, other in both:
        weight = one.n / common
        value += weight * (other.total / other.n - one.total / one.n)
        variance += weight**2 * (_variance(one, is_share) / one.n + _variance(other, is_share) / other.n)
    reach = _Z * math.sqrt(variance)
    count = sum(other.n for _, other in both)
    return Difference(value, value - reach, value + reach, common, count, common / everything)


def _variance(sums: Sums, is_share: bool) -> float:
    if is_share:  # two more of each, so that none in thirty is not none ever (Agresti & Coull, 1998)
        share = (sums.total + 2) / (sums.n + 4)
        return share * (1 - share)
    return max(0.0, (sums.squares - sums.total**2 / sums.n) / (sums.n - 1))
