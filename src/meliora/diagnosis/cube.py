"""Calls of two windows, grouped by what is known of them: the table that a scan reads. Holds counts, never a single call.

An attribute that a call lacks has the value `unknown`, which is a value like any other and is never left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from meliora.diagnosis.records import Measured

UNKNOWN = "unknown"
BEFORE, NOW = 0, 1
"""Places of the two windows along the first axis of counts."""

Counted = Literal["calls", "errors", "timed", "slow", "judged", "dissatisfied", "priced", "cost", "cost_capped"]
"""`timed` calls have a latency, of which `slow` are above a threshold; `judged` have a word of feedback or another reward;
`cost` is the sum over `priced` calls in micro-dollars, `cost_capped` the same with each call counted up to a cap."""
COUNTED: tuple[Counted, ...] = get_args(Counted)

Array = NDArray[np.float64]


def sums(codes: NDArray[np.integer[Any]], weights: Array, size: int) -> Array:
    """Add up weights by code."""
    return np.bincount(codes, weights, size).astype(np.float64, copy=False)


@dataclass(frozen=True)
class Problem:
    """Hits and what they are expected from, a row each combination of values: what `scan` explains.

    `hits` and `exposure` are [2, rows], before and now. With `per_time` exposure is not calls: as many hits are expected of each row
    as it had before, times `lasting`, so that more calls are a reason too.
    """

    attributes: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    codes: NDArray[np.int32]
    """[attributes, rows]: which of its attribute's values a row has."""
    hits: Array
    exposure: Array
    calls: Array
    marks: frozenset[str] = frozenset()
    """Attributes that only hits have, such as the class of an error: they part the hits, not the calls."""
    amounts: Array | None = None
    """[2, rows] what is told, in micro-dollars, where the measure is money; None where it is a count of hits."""
    per_time: bool = False
    dispersion: float = 1.0
    """How many times more the counts vary from window to window than those of independent events."""
    lasting: float = 1.0
    """How long the window now lasted, over how long the one before did."""

    def __post_init__(self) -> None:
        rows = self.codes.shape[1]
        if len(self.attributes) != len(self.codes) or len(self.values) != len(self.codes):
            raise ValueError(
                f"{len(self.attributes)} attributes, {len(self.values)} lists of values, {len(self.codes)} rows of codes"
            )
        for name, table in (("hits", self.hits), ("exposure", self.exposure), ("calls", self.calls)):
            if table.shape != (2, rows):
                raise ValueError(f"{name} is {table.shape}, not (2, {rows}): give before and now of each row")
            if not np.isfinite(table).all() or (table < 0).any():
                raise ValueError(f"{name} holds what is no count: numbers from 0 up")
        if not np.isfinite(self.lasting) or self.lasting <= 0:
            raise ValueError(f"lasting is {self.lasting}: a window has a length")
        if not np.isfinite(self.dispersion) or self.dispersion < 1:
            raise ValueError(f"dispersion is {self.dispersion}: independent events have 1, others more")


@dataclass(frozen=True)
class Cube:
    """Counts of two windows by attributes, `counts[name]` being [2, rows], before and now; a name that is not there was not measured."""

    attributes: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    codes: NDArray[np.int32]
    counts: Mapping[Counted, Array]
    marks: frozenset[str] = frozenset()
    lasting: float = 1.0
    cost_cap: float = 1.0
    """Micro-dollars up to which a call counts in `cost_capped`."""
    partial: bool = False
    """There were more calls than were looked at."""
    looked_at: tuple[int, int] = field(default=(0, 0))
    """Calls behind the counts, before and now."""

    @classmethod
    def of(
        cls,
        attributes: Sequence[str],
        rows: Iterable[tuple[Sequence[str | None], int, Sequence[float]]],
        counted: Sequence[Counted] = COUNTED,
        *,
        marks: Iterable[str] = (),
        lasting: float = 1.0,
        cost_cap: float = 1.0,
        partial: bool = False,
    ) -> Cube:
        """Gather rows of (values, window, counts) into a cube; rows with the same values are added up.

        `window` is `BEFORE` or `NOW`. Raises `ValueError` for a row of another length.
        """
        coders: list[dict[str, int]] = [{} for _ in attributes]
        places: dict[tuple[int, ...], int] = {}
        added: list[tuple[int, int, Sequence[float]]] = []
        for named, window, numbers in rows:
            if len(named) != len(attributes) or len(numbers) != len(counted):
                raise ValueError(f"a row of {len(named)} values and {len(numbers)} counts")
            key = tuple(
                coder.setdefault(UNKNOWN if value is None or value == "" else value, len(coder))
                for coder, value in zip(coders, named, strict=True)
            )
            added.append((places.setdefault(key, len(places)), window, numbers))
        codes = np.array(list(places), dtype=np.int32).reshape(len(places), len(attributes)).T
        table = np.zeros((2, len(places), len(counted)))
        for place, window, numbers in added:
            table[window, place] += numbers
        counts: dict[Counted, Array] = {name: table[:, :, at].copy() for at, name in enumerate(counted)}
        looked = counts["calls"].sum(axis=1) if "calls" in counts else np.zeros(2)
        return cls(
            tuple(attributes),
            tuple(tuple(coder) for coder in coders),
            np.ascontiguousarray(codes),
            counts,
            frozenset(marks),
            lasting,
            cost_cap,
            partial,
            (int(looked[BEFORE]), int(looked[NOW])),
        )

    def problem(self, measured: Measured, dispersion: float = 1.0) -> Problem:
        """Give the table for one measure. Raises `KeyError` where it was not counted.

        Money is counted in caps: a sum of numbers from 0 to 1 is bounded as a Poisson count is, whatever their distribution
        (Hoeffding, Journal of the American Statistical Association 58, 1963, theorem 1). Attributes that only failed calls have are
        left out of all measures but `errors`.
        """
        money = measured in ("cost", "spend")
        hits, exposure = (self.counts[name] for name in _TAKEN[measured])
        marks = self.marks if measured == "errors" else frozenset[str]()
        kept = [at for at, name in enumerate(self.attributes) if name not in self.marks or marks]
        return Problem(
            attributes=tuple(self.attributes[at] for at in kept),
            values=tuple(self.values[at] for at in kept),
            codes=self.codes[kept],
            hits=hits / self.cost_cap if money else hits,
            exposure=exposure,
            calls=self.counts["calls"],
            marks=marks,
            amounts=self.counts["cost"] if money else None,
            per_time=measured == "spend",
            dispersion=dispersion,
            lasting=self.lasting,
        )


_TAKEN: dict[Measured, tuple[Counted, Counted]] = {
    "errors": ("errors", "calls"),
    "slow": ("slow", "timed"),
    "dissatisfied": ("dissatisfied", "judged"),
    "cost": ("cost_capped", "priced"),
    "spend": ("cost_capped", "priced"),
}
