"""Whether a diagnosis names the words that were planted and the right repair first, and recommends nothing in quiet windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.intervals import Estimate
from benchmarks.report import Figure, Report, figure
from benchmarks.search.traffic import Shift, Traffic, made
from meliora.diagnosis.search.diagnose import diagnose_search
from meliora.diagnosis.search.finding import SearchFinding
from meliora.stats.proportion import wilson

RUNS, RUNS_QUICK = 100, 16
_RIGHT: dict[Shift, str | None] = {"typos": "spelling", "jargon": "expansion", "index": "reindex", "none": None}


def measure(report: Report, data: Path | None, seed: int, quick: bool) -> None:
    """Add `weak_token_p10`, `repair_first_share` and `quiet_nothing_share`. `data` is not read: the traffic is made."""
    del data
    rng = np.random.default_rng(seed)
    runs = RUNS_QUICK if quick else RUNS
    _weak(report, rng, max(4, runs // 5))
    right = dict.fromkeys(_RIGHT, 0)
    shifts = list(_RIGHT)
    for at in range(runs):
        shift = shifts[at % len(shifts)]
        found = _found(made(rng, shift, int(rng.integers(200, 401)), float(rng.uniform(0.3, 0.8))))
        right[shift] += first(found) == _RIGHT[shift]
    of_each = {str(shift): right[shift] / len(range(at, runs, len(shifts))) for at, shift in enumerate(shifts)}
    report.add(_share("repair_first_share", sum(right.values()), runs, of_each))
    quiet = sum(
        not _found(made(rng, "none", int(rng.integers(200, 401)), float(rng.uniform(0.3, 0.8)))).recommended
        for _ in range(runs)
    )
    report.add(_share("quiet_nothing_share", quiet, runs, {}))


def first(finding: SearchFinding) -> str | None:
    """Give the first repair's method or kind; None where nothing is recommended."""
    return next(((one.method or one.kind) for one in finding.recommended), None)


def _weak(report: Report, rng: np.random.Generator, runs: int) -> None:
    hits = named = believed = wrong = 0
    for _ in range(runs):
        traffic = made(rng, "mixed", 3000, 0.5)
        top = _found(traffic).weak[:10]
        named += 10
        hits += sum(one.term in traffic.planted for one in top)
        believed += sum(one.believed for one in top)
        wrong += sum(one.believed and one.term not in traffic.planted for one in top)
    report.add(_share("weak_token_p10", hits, named, {"believed": believed / named, "wrong": wrong / max(believed, 1)}))


def _found(traffic: Traffic) -> SearchFinding:
    return diagnose_search(traffic.seen, traffic, id="f", at_us=0)


def _share(name: str, hits: int, n: int, beside: dict[str, float]) -> Figure:
    return figure(name, "share", Estimate(hits / n, *wilson(hits, n), n), beside=beside)
