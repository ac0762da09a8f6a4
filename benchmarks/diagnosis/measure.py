"""The figures: planted causes found, quiet periods left alone, and how long a scan takes.

A cause counts as found where the calls that are named and those that were planted are the same to 95%, whatever they are called, and
where the effect is right: worse, or only more of them. Of two causes both have to be among the three for `cause_top3`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from benchmarks.diagnosis.planted import NAMES, SHAPES, Case, Condition, planted, quiet
from benchmarks.intervals import Estimate, quantile
from benchmarks.report import ControlFailed, Figure, Report, figure
from meliora.diagnosis.cube import BEFORE, NOW, Cube, sums
from meliora.diagnosis.rates import overdispersion
from meliora.diagnosis.records import Explained, Measured
from meliora.diagnosis.slices import scan
from meliora.stats.proportion import wilson

CASES, CASES_QUICK = 60, 8
"""Cases of each shape."""
MEASURED: tuple[Measured, ...] = ("errors", "errors", "slow", "dissatisfied", "cost")
SAME = 0.95
_SPEED_ROWS = 200_000


@dataclass
class _Found:
    first: int = 0
    all: int = 0
    simple: int = 0
    n: int = 0


def causes(report: Report, cases: int, seed: int) -> None:
    """Plant each shape so many times."""
    rng = np.random.default_rng(seed)
    total = _Found()
    first: dict[str, float] = {}
    every: dict[str, float] = {}
    for shape in SHAPES:
        found = _Found()
        for at in range(cases):
            case = planted(rng, shape, MEASURED[at % len(MEASURED)], int(rng.integers(2000, 12_000)))
            hits = _hits(case, explain(case))
            found.first += bool(hits[0])
            found.all += hits[1]
            found.simple += any(same_calls(case.cube, simplest(case), cause) for cause in case.causes)
            found.n += 1
        first[shape], every[shape] = found.first / found.n, found.all / found.n
        for name in ("first", "all", "simple", "n"):
            setattr(total, name, getattr(total, name) + getattr(found, name))
    beside = {"one value of most excess": total.simple / total.n}
    report.add(_share("cause_top1", total.first, total.n, beside | first))
    report.add(_share("cause_top3", total.all, total.n, every))


def quiet_periods(report: Report, cases: int, seed: int) -> None:
    """Let so many periods pass without a cause."""
    rng = np.random.default_rng(seed)
    silent = 0
    for at in range(cases):
        silent += not explain(quiet(rng, MEASURED[at % len(MEASURED)], int(rng.integers(300, 12_000)))).slices
    report.add(_share("quiet_no_cause_share", silent, cases, {}))


def speed(report: Report, seed: int) -> None:
    """Time scans of a cube that 200,000 calls come to, and of one that has 200,000 rows that are all different."""
    rng = np.random.default_rng(seed)
    case = planted(rng, "endpoint and task", "errors", _SPEED_ROWS // 9)
    times = [_timed(case.cube) for _ in range(7)]
    codes = np.stack([rng.integers(8, size=_SPEED_ROWS) for _ in NAMES]).astype(np.int32)
    calls = np.ones((2, _SPEED_ROWS))
    rates = np.where((codes[0] == 1) & (codes[3] == 2), 0.2, 0.01)
    errors = np.stack([rng.random(_SPEED_ROWS) < 0.01, rng.random(_SPEED_ROWS) < rates]).astype(float)
    values = tuple(tuple(map(str, range(8))) for _ in NAMES)
    wide = Cube(NAMES, values, codes, {"calls": calls, "errors": errors})
    slow = [_timed(wide) for _ in range(3)]
    times.sort()
    note = f"CPU; 200,000 calls, {case.cube.codes.shape[1]:,} rows; beside: 200,000 rows"
    found = Figure(
        "classify_ms", quantile(times, 0.5), "ms", times[0], times[-1], len(times), {"rows_200k": min(slow)}, note
    )
    report.add(found)


def control(report: Report) -> None:
    """Fail where naming the value with most excess does as well: then the planted causes are too easy to tell anything."""
    found = report.get("cause_top1")
    if found is not None and found.beside["one value of most excess"] > 0.8:
        raise ControlFailed("the value with most excess alone names four causes of five")


def explain(case: Case) -> Explained:
    """Scan a case as a diagnosis would, with what its past says of chance."""
    hits, calls = case.slots
    unit = case.cube.cost_cap if case.measured in ("cost", "spend") else 1.0
    return scan(case.cube.problem(case.measured, overdispersion((hits / unit).tolist(), calls.tolist())))


def simplest(case: Case) -> Condition:
    """Give the single value whose hits grew most over its own past: what one would look at first."""
    problem = case.cube.problem(case.measured)
    best: tuple[float, Condition] = (-1.0, {})
    for at, (name, values) in enumerate(zip(problem.attributes, problem.values, strict=True)):
        if name in problem.marks:
            continue
        hits, calls = (
            [sums(problem.codes[at], table[when], len(values)) for when in (BEFORE, NOW)]
            for table in (problem.hits, problem.exposure)
        )
        excess = hits[NOW] - hits[BEFORE] * calls[NOW] / np.maximum(calls[BEFORE], 1.0)
        value = int(excess.argmax())
        best = max(best, (float(excess[value]), {name: values[value]}), key=lambda each: each[0])
    return best[1]


def same_calls(cube: Cube, one: Condition, other: Condition) -> bool:
    """Tell whether two descriptions are of the same calls, to 95%; the class of an error describes no calls."""
    calls = cube.counts["calls"].sum(axis=0)
    these, those = _rows(cube, one), _rows(cube, other)
    return float(calls[these & those].sum()) >= SAME * float(calls[these | those].sum())


def _rows(cube: Cube, condition: Condition) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    rows = np.ones(cube.codes.shape[1], dtype=bool)
    for name, value in condition.items():
        if name not in cube.marks:
            at = cube.attributes.index(name)
            rows &= cube.codes[at] == cube.values[at].index(value)
    return rows


def _hits(case: Case, found: Explained) -> tuple[bool, bool]:
    effect = "more" if case.shifted else "worse"
    named = [
        [one.effect == effect and same_calls(case.cube, one.attributes, cause) for cause in case.causes]
        for one in found.slices
    ]
    return bool(named) and any(named[0]), all(any(row[at] for row in named) for at in range(len(case.causes)))


def _timed(cube: Cube) -> float:
    start = time.process_time()
    scan(cube.problem("errors"))
    return (time.process_time() - start) * 1e3


def _share(name: str, hits: int, n: int, beside: dict[str, float]) -> Figure:
    return figure(name, "share", Estimate(hits / n, *wilson(hits, n), n), beside=beside)
