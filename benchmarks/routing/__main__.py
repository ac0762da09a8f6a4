"""Run the routing benchmark: print its figures as they come, then the table; `--json FILE` keeps them, plots go beside it."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault(
    "OPENBLAS_NUM_THREADS", "1"
)  # before numpy is loaded: small matrices, threads only get in each other's way
os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.report import ControlFailed, Report, conclude
from benchmarks.routing.data import Split, load, pair, split
from benchmarks.routing.decision import measure as measure_decision
from benchmarks.routing.offline import FLOORS, Offline, check_parts
from benchmarks.routing.online import measure as measure_online
from benchmarks.routing.ope import measure as measure_ope
from benchmarks.routing.preferences import measure as measure_preferences
from benchmarks.routing.prior import measure as measure_prior
from benchmarks.routing.resplit import measure as measure_resplit
from meliora.routing.learning.embedding import WordVectors

PARTS = ("offline", "leave-out", "preferences", "decision", "online", "ope")
USERS, USERS_QUICK = 1000, 100
"""Planted users at each gap of their preferences."""


def main(argv: Sequence[str]) -> int:
    """Measure; 1 where the benchmark's own control failed (what was found until then is printed and kept)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routing", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of outcomes, split here by a hash of the prompt")
    parser.add_argument("--train", type=Path, help="folder of outcomes to learn from and to fix every setting on")
    parser.add_argument("--test", type=Path, help="folder of outcomes to judge by")
    parser.add_argument("--quick", action="store_true", help="within 50 seconds: fewer sources are left out")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=PARTS, help="parts to run")
    parser.add_argument("--prior", action="store_true", help="also what a prior computed without each set brings to it")
    parser.add_argument("--splits", type=int, default=0, help="also the mean saving over so many other splits")
    parser.add_argument("--sets", nargs="*", help="sets to run; default: all that are there")
    parser.add_argument(
        "--vectors", type=Path, help="word vectors as text, folded into the policies of the offline parts"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--plots", type=Path, help="folder for the plots; default: beside the JSON file")
    asked = parser.parse_args(argv)
    if (asked.data is None) == (asked.train is None) or (asked.train is None) != (asked.test is None):
        parser.error("give --data DIR, or both --train DIR and --test DIR")
    report = Report("routing", asked.seed)
    start = time.monotonic()
    failed = ""
    try:
        _measure(report, _parts(asked), asked)
    except ControlFailed as error:
        failed = str(error)
    return conclude(report, time.monotonic() - start, asked.json, failed)


def _measure(report: Report, parts: Split, asked: argparse.Namespace) -> None:
    check_parts(parts)
    folder = asked.plots or (asked.json.parent if asked.json else None)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    offline = Offline(parts, report, asked.quick, folder, _vectors(asked.vectors, parts))
    offline.run(figures="offline" in asked.only, leave_out="leave-out" in asked.only)
    if asked.splits > 0:
        measure_resplit(report, parts, FLOORS, asked.splits)
    if "preferences" in asked.only:
        figures, _ = measure_preferences(USERS_QUICK if asked.quick else USERS, asked.seed)
        for found in figures:
            report.add(found)
    if "decision" in asked.only:
        measure_decision(report, asked.seed, quick=asked.quick)
    if "online" in asked.only:
        measure_online(report, parts, quick=asked.quick, folder=folder)
    if "ope" in asked.only:
        measure_ope(report, parts, quick=asked.quick, seed=asked.seed)
    if asked.prior:
        measure_prior(report, parts, quick=asked.quick, folder=folder)


def _vectors(file: Path | None, parts: Split) -> WordVectors | None:
    if file is None:
        return None
    return WordVectors.read(file, [prompt for part in parts.train.values() for prompt in part.outcomes.prompts])


def _parts(asked: argparse.Namespace) -> Split:
    parts = split(load(asked.data)) if asked.data else pair(load(asked.train), load(asked.test))
    if asked.sets:
        parts = Split(
            {name: part for name, part in parts.train.items() if name in asked.sets},
            {name: part for name, part in parts.test.items() if name in asked.sets},
            parts.dropped,
        )
    if parts.dropped:
        print(f"{parts.dropped} training rows are left out: their prompts are in the test part")
    return parts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
