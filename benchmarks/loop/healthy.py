"""Days of healthy traffic as gates see it: eight metrics, each at some distance from its bound, by parts of five minutes.

What is healthy is written out here, since false alarms depend on it: errors at half their bound, mean latency at 64% and the share
of slow calls at 68% of theirs, cost at 80%, satisfaction 4.3 of 5 from every twentieth user, quality unchanged but for 0.1 of noise
a query, ingest with a spike over its bound once in a thousand minutes, a GPU at 60% with bursts. Traffic swells and falls by half
each day.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from meliora.loop.gates.gate import Baseline, Gate, defaults
from meliora.loop.gates.metrics import Form
from meliora.loop.gates.reading import Cell, Reading, Span, sampled

CELL_US = 300_000_000
DAY = 288
"""Parts of a day."""
START_US = 1_795_219_200_000_000
BINS = 32
QUERIES = 500
LEVELS = (25, 100, 400, 1600)
"""Requests in 15 minutes."""
HEALTHY_ERRORS = 0.005
Counts = NDArray[np.int64]


def gates() -> dict[str, Gate]:
    """Give the shipped gates that are measured, by name."""
    wanted = ("errors", "latency", "latency_p95", "cost", "satisfaction", "ndcg_drop", "ingest", "gpu")
    return {gate.name: gate for gate in defaults() if gate.name in wanted}


@dataclass
class Spread:
    """A lognormal cut into bins of equal chance, so that a part of five minutes is one multinomial draw."""

    mean: float
    sigma: float
    values: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        normal = np.sort(np.random.default_rng(1).normal(size=BINS * 4000)).reshape(BINS, -1)
        drawn = np.exp(self.sigma * normal).mean(axis=1)
        self.values = drawn * (self.mean / drawn.mean())

    def draw(self, rng: np.random.Generator, n: Counts) -> Counts:
        """Give how many of `n` fall into each bin."""
        return rng.multinomial(n, np.full(BINS, 1 / BINS))


LATENCY, COST = Spread(320.0, 0.6), Spread(0.4, 1.0)
STARS = np.array([1.0, 5.0])
THUMBS_UP = 0.825


@dataclass
class Days:
    """Drawn figures; the first axis of each is the part of the time."""

    n: Counts
    errors: Counts
    latency: Counts
    cost: Counts
    thumbs: Counts
    lag: NDArray[np.float64]
    """One a minute."""
    gpu: NDArray[np.float64]
    quality: NDArray[np.float64]
    """Differences to the frozen values, a row a day."""

    @classmethod
    def draw(cls, rng: np.random.Generator, level: int, days: int) -> Days:
        """Draw them."""
        parts = days * DAY
        swell = 1 + 0.5 * np.sin(2 * np.pi * np.arange(parts) / DAY)
        n = rng.poisson(level / 3 * swell)
        told = rng.binomial(n, 0.05)
        up = rng.binomial(told, THUMBS_UP)
        gpu = np.empty(parts)
        gpu[0], noise = 0.6, rng.normal(0, 0.05, parts)
        for at in range(1, parts):
            gpu[at] = 0.6 + 0.7 * (gpu[at - 1] - 0.6) + noise[at]
        return cls(
            n=n,
            errors=rng.binomial(n, HEALTHY_ERRORS),
            latency=LATENCY.draw(rng, n),
            cost=COST.draw(rng, n),
            thumbs=np.stack([told - up, up], 1),
            lag=np.where(rng.random(parts * 5) < 1e-3, 90.0, rng.exponential(5.0, parts * 5)),
            gpu=np.clip(gpu, 0, 1),
            quality=rng.normal(0, 0.1, (days, QUERIES)),
        )


BASELINE = Baseline(
    id="base_1",
    metric="ndcg@10",
    value=0.8,
    n=QUERIES,
    since_us=0,
    until_us=0,
    per_query=dict.fromkeys(map(str, range(QUERIES)), 0.8),
)


def cells_of(gate: Gate, days: Days, until: int, span: Span) -> list[Cell]:
    """Give what the store would have for a gate at the end of part `until`."""
    parts = span.width_us // CELL_US
    first = until - (span.until_us - span.since_us) // CELL_US
    found = []
    for start in range(first, until, parts):
        here = slice(max(start, 0), start + parts)
        at = span.since_us + (start - first) * CELL_US
        if gate.name == "errors":
            found.append(Cell(at, int(days.n[here].sum()), int(days.errors[here].sum())))
            continue
        values, counts = _spread(gate, days, here)
        found.append(Cell(at, int(counts.sum()), values=values, counts=counts.astype(float)))
    return found


def reading_of(gate: Gate, days: Days, until: int) -> Reading:
    """Give what a source would say at the end of part `until`."""
    now = START_US + until * CELL_US
    if gate.name == "ndcg_drop":
        row = days.quality[until // DAY - 1]
        values = {str(query): 0.8 + float(row[query]) for query in range(QUERIES)}
        return Reading("paired", float(np.mean(list(values.values()))), QUERIES, now, per_query=values)
    span = Span.of(gate, now)
    shift = (now - span.until_us) // CELL_US
    form: Form = gate.of().form
    found = sampled(form, cells_of(gate, days, until - shift, span), span, gate.of().quantile)
    assert isinstance(found, Reading)
    return found


def _spread(gate: Gate, days: Days, here: slice) -> tuple[NDArray[np.float64], Counts]:
    drawn = {
        "latency": (LATENCY.values, days.latency),
        "latency_p95": (LATENCY.values, days.latency),
        "cost": (COST.values, days.cost),
        "satisfaction": (STARS, days.thumbs),
    }
    values, counts = drawn[gate.name]
    return values, counts[here].sum(axis=0)
