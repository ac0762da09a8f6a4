"""What a source gives about a gate: the figure, its interval and what it rests on, or the reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from meliora.loop.gates.gate import Gate
from meliora.loop.gates.metrics import Form
from meliora.stats.exceedance import Floats
from meliora.stats.gate_bounds import mean_bound, quantile_bound
from meliora.stats.histogram import LogHistogram
from meliora.stats.proportion import wilson
from meliora.stats.sums import Sums

LOOKBACK = 6
"""Evidence is gathered over so many windows; the value shown is that of the last."""
CELLS = 12
"""Parts of a window, each no shorter than `LEAST_CELL_US`."""
LEAST_CELL_US = 300_000_000
_NONE: Floats = np.empty(0)


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A part of the time: `hits` of `n` for a rate; for a mean or quantile the values in the metric's unit, and how often each was."""

    start_us: int
    n: int
    hits: int = 0
    values: Floats = field(default_factory=lambda: _NONE)
    counts: Floats = field(default_factory=lambda: _NONE)


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A figure. `cells` (in time order, further back than the window) are the sufficient statistics of what was sampled."""

    form: Form
    value: float
    n: int
    """Requests, observations or queries in the window."""
    at_us: int
    """What is later is not in it."""
    low: float | None = None
    """95% interval, None where nothing is sampled."""
    high: float | None = None
    cells: tuple[Cell, ...] = ()
    per_query: dict[str, float] = field(default_factory=dict)
    quantile: float | None = None


@dataclass(frozen=True, slots=True)
class NoData:
    """There is nothing to judge by, and why. It is never a pass."""

    reason: str
    n: int = 0


class Source(Protocol):
    """Where figures come from. May raise `StoreUnavailable`; what is wrong with the figures themselves is `NoData`."""

    def read(self, tenant: str, gate: Gate, now_us: int) -> Reading | NoData:
        """Give what is known of the gate's metric over its window, up to now."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """The time a gate looks at, in whole cells: evidence from `since_us`, the window from `window_us`, both up to `until_us`."""

    since_us: int
    window_us: int
    until_us: int
    width_us: int

    @classmethod
    def of(cls, gate: Gate, now_us: int) -> Span:
        """Give it. The cell that is not over yet is left out: it has the calls that were quick."""
        window = round(gate.window_seconds * 1e6)
        width = max(LEAST_CELL_US, window // CELLS // LEAST_CELL_US * LEAST_CELL_US)
        until = now_us - now_us % width
        cells = max(1, math.ceil(window / width))
        return cls(until - LOOKBACK * cells * width, until - cells * width, until, width)


def sampled(form: Form, cells: Iterable[Cell], span: Span, quantile: float | None = None) -> Reading | NoData:
    """Make a reading of cells: the value and its 95% interval over the window, and the cells as evidence."""
    held = tuple(sorted((cell for cell in cells if cell.n), key=lambda cell: cell.start_us))
    window = [cell for cell in held if cell.start_us >= span.window_us]
    n = sum(cell.n for cell in window)
    if not n:
        return NoData("nothing was recorded in the window")
    if form == "rate":
        hits = sum(cell.hits for cell in window)
        value, (low, high) = hits / n, wilson(hits, n)
    elif form == "quantile" and quantile is not None:
        value, low, high = _quantile(window, quantile)
    else:
        value, low, high = _mean(window)
    if not math.isfinite(value):
        return NoData("the values in the window are not finite", n)
    return Reading(form, value, n, span.until_us, low, high, held, quantile=quantile)


def spread_of(histogram: LogHistogram, scale: float) -> tuple[Floats, Floats]:
    """Give a histogram's values, divided by `scale`, and how often each was."""
    pairs = histogram.pairs()
    both = np.asarray(pairs, dtype=float).reshape(len(pairs), 2)
    return both[:, 0] / scale, both[:, 1]


def _mean(cells: Sequence[Cell]) -> tuple[float, float | None, float | None]:
    """Mean with Student's interval. The parts of the time are the units, so that what moves them all together widens it."""
    counts = [float(cell.counts.sum()) for cell in cells]
    totals = [float((cell.values * cell.counts).sum()) for cell in cells]
    bound = mean_bound(Sums.of(totals, counts), least=2)
    return math.fsum(totals) / math.fsum(counts), bound.low, bound.high


def _quantile(cells: Sequence[Cell], share: float) -> tuple[float, float | None, float | None]:
    """Quantile between the order statistics that bound it, None where the tail has not been seen."""
    together = LogHistogram()
    for cell in cells:
        for value, times in zip(cell.values.tolist(), cell.counts.tolist(), strict=True):
            together.add(value, int(times))
    value = together.quantile(share)
    bound = quantile_bound(together, share, least=1)
    return math.nan if value is None else value, bound.low, bound.high
