"""Whether units came into the arms in the proportions they were assigned by: an e-value that may be looked at after every unit.

Lindon & Malek, Anytime-valid inference for multinomial count data, NeurIPS 2022: a Dirichlet mixture over all other allocations
against the declared one. A ramp's stages are apart, each with its own allocation, and their e-values multiply. Count units, never
calls: how often a unit comes back is an outcome. A trial whose split is wrong has no result, whatever its other figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from meliora.stats.special import Numbers, log_gamma

CONCENTRATION = 100.0
"""How near the declared allocation the others are looked for: as if so many units had been seen."""
ALPHA = 0.001
"""Chance, over all looks of a trial together, of calling a right split wrong."""


@dataclass(frozen=True, slots=True)
class Split:
    """The units of each arm while one allocation held. Counts may be arrays, one element a trial."""

    units: tuple[Numbers, ...]
    shares: tuple[float, ...]
    """Declared chance of each arm; positive, together 1."""

    def __post_init__(self) -> None:
        """Refuse what is no allocation."""
        if len(self.units) != len(self.shares) or len(self.shares) < 2:
            raise ValueError(
                f"{len(self.units)} counts and {len(self.shares)} shares: give one of each an arm, two or more"
            )
        if not all(share > 0 for share in self.shares) or abs(sum(self.shares) - 1) > 1e-9:
            raise ValueError(f"the shares of a split are positive and add up to 1, not {self.shares}")
        if any(not np.all(np.asarray(units) >= 0) for units in self.units):
            raise ValueError("units are counted, so they are not negative")


def log_e_value(splits: Sequence[Split], concentration: float = CONCENTRATION) -> Numbers:
    """Give the log of the evidence that the units were not assigned as declared; 0 where there are none."""
    total: Numbers = 0.0
    for split in splits:
        seen = sum(split.units[1:], start=np.asarray(split.units[0], dtype=float))
        part = log_gamma(concentration) - log_gamma(concentration + seen)
        for units, share in zip(split.units, split.shares, strict=True):
            start = concentration * share
            part = part + log_gamma(start + units) - log_gamma(start) - units * np.log(share)
        total = total + part
    return float(total) if np.ndim(total) == 0 else total


def mismatch(splits: Sequence[Split], alpha: float = ALPHA) -> bool:
    """Tell whether the split is wrong, at this chance over all looks of calling a right one so."""
    return bool(log_e_value(splits) >= -np.log(alpha))
