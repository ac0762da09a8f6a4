"""Run the search benchmark: print its figures as they come, then the table; `--json FILE` keeps them."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is loaded: a search has one core
os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.report import ControlFailed, Report, conclude
from benchmarks.search import augment, cause, ltr, memory, quality, repairs, speed, upkeep
from benchmarks.search.served import Served, serving
from benchmarks.search.sets import folders, load

LARGEST_QUICK = 10_000
"""Documents of the largest collection that is looked at with --quick."""
LARGEST_REPAIRED = 100_000
"""Documents of the largest collection whose index is spoiled and built again."""
TOLD = ("right_repair_share", "quiet_no_promotion_share")


@dataclass
class Run:
    """One run: what it was asked, and the collections, which are served once."""

    report: Report
    data: Path | None
    seed: int
    quick: bool
    open: ExitStack
    _sets: list[Served] | None = field(default=None)

    @property
    def sets(self) -> list[Served]:
        """Serve the collections under `data`, the first time; those that cannot be are told as missing."""
        if self._sets is None:
            self._sets = []
            for folder in folders(self.data):
                judged = load(folder)
                large = self.quick and len(judged.documents) > LARGEST_QUICK
                if large or not judged.queries:
                    why = f"{len(judged.documents):,} documents: not with --quick" if large else "no judged query"
                    for name in ("rrf_ndcg10", "bm25_ndcg10"):
                        self.report.miss(f"{judged.name}.{name}", why)
                else:
                    self._sets.append(self.open.enter_context(serving(judged)))
        return self._sets


def _quality(run: Run) -> None:
    if not run.sets and not any(name.endswith("ndcg10") for name in run.report.missing):
        for name in ("SET.rrf_ndcg10", "SET.bm25_ndcg10"):
            run.report.miss(name, "no folder with corpus.jsonl(.gz), queries.jsonl and qrels.tsv under --data")
    for one in run.sets:
        quality.measure(run.report, one, run.seed)


def _repairs(run: Run) -> None:
    small = [one for one in run.sets if len(one.judged.documents) <= LARGEST_REPAIRED]
    repairs.measure(run.report, small, run.seed, run.quick)


def _loop(run: Run) -> None:
    try:
        found = importlib.import_module("benchmarks.search.loop")
    except ModuleNotFoundError as error:
        if error.name != "benchmarks.search.loop":
            raise
        for name in TOLD:
            run.report.miss(name, "the loop over searches has no benchmark here yet")
        return
    found.measure(run.report, run.data, run.seed, run.quick)


SECTIONS: dict[str, Callable[[Run], None]] = {
    "speed": lambda run: speed.measure(run.report, run.seed, run.quick),
    "memory": lambda run: memory.measure(run.report, run.data, run.seed, run.quick),
    "upkeep": lambda run: upkeep.measure(run.report, run.seed, run.quick),
    "quality": _quality,
    "reranker": lambda run: ltr.measure(run.report, run.sets, run.seed, run.quick),
    "augment": lambda run: augment.measure(run.report, run.sets, run.seed, run.quick),
    "repairs": _repairs,
    "cause": lambda run: cause.measure(run.report, run.data, run.seed, run.quick),
    "loop": _loop,
}
"""In the order in which they run: what is timed comes first, while nothing else is in memory."""


def main(argv: Sequence[str]) -> int:
    """Measure; 1 where the benchmark's own control failed (what was found until then is printed and kept)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with `ir`, or that itself: judged collections and LoCoMo")
    parser.add_argument("--quick", action="store_true", help="within 50 seconds, wider intervals")
    parser.add_argument("--only", nargs="*", choices=list(SECTIONS), default=list(SECTIONS), help="sections to run")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    asked = parser.parse_args(argv)
    report = Report("search", asked.seed)
    start = time.monotonic()
    failed = ""
    with ExitStack() as opened:
        run = Run(report, asked.data, asked.seed, asked.quick, opened)
        try:
            for name in (one for one in SECTIONS if one in asked.only):
                SECTIONS[name](run)
        except ControlFailed as error:
            failed = str(error)
        return conclude(report, time.monotonic() - start, asked.json, failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
