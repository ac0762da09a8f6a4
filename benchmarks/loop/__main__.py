"""Run the loop's benchmark: print its figures as they come, then the table; `--json FILE` keeps them."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is loaded
os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.loop import postgres
from benchmarks.loop.gates import measure as measure_gates
from benchmarks.loop.kills import measure as measure_kills
from benchmarks.loop.reach import measure as measure_reach
from benchmarks.loop.record import measure as measure_record
from benchmarks.loop.regressions import measure as measure_regressions
from benchmarks.report import ControlFailed, Report, conclude

SECTIONS: dict[str, Callable[..., None]] = {
    "gates": measure_gates,
    "kills": measure_kills,
    "reach": measure_reach,
    "record": measure_record,
    "regressions": measure_regressions,
}
"""Each is called with the report, `quick` and `seed`, those of `SERVED` with `postgres` too."""
SERVED = {"kills", "reach", "record"}


def main(argv: Sequence[str]) -> int:
    """Measure; 1 where the benchmark's own control failed (what was found until then is printed and kept)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 50 seconds, wider intervals")
    parser.add_argument("--only", nargs="*", choices=sorted(SECTIONS), default=sorted(SECTIONS), help="sections to run")
    parser.add_argument("--postgres", default=postgres.DEFAULT, help="server for the sections that take one")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    asked = parser.parse_args(argv)
    report = Report("loop", asked.seed)
    start = time.monotonic()
    failed = ""
    try:
        for name in asked.only:
            more = {"postgres": asked.postgres} if name in SERVED else {}
            SECTIONS[name](report, quick=asked.quick, seed=asked.seed, **more)
    except ControlFailed as error:
        failed = str(error)
    return conclude(report, time.monotonic() - start, asked.json, failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
