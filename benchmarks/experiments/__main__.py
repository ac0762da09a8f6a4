"""Run the benchmark of live trials: print its figures as they come, then the table; `--json FILE` keeps them."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is loaded
os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.experiments.measure import FULL, QUICK, Experiments
from benchmarks.report import ControlFailed, Report, conclude


def main(argv: Sequence[str]) -> int:
    """Measure; 1 where a level is not held or a control holds one (what was found until then is printed and kept)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.experiments", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="within 50 seconds: 2,000 trials for 10,000, a look after ten units for two",
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    asked = parser.parse_args(argv)
    report = Report("experiments", asked.seed)
    start = time.monotonic()
    failed = ""
    try:
        Experiments(report, QUICK if asked.quick else FULL).run()
    except ControlFailed as error:
        failed = str(error)
    return conclude(report, time.monotonic() - start, asked.json, failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
