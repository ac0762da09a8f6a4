"""Run the gateway's benchmark: print its figures as they come, then the table; `--json FILE` keeps them."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gateway.run import Run, Sizes
from benchmarks.report import ControlFailed, Report, conclude


def main(argv: Sequence[str]) -> int:
    """Measure; 1 where the benchmark's own control failed (what was found until then is printed and kept)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="within 50 seconds, wider intervals")
    parser.add_argument("--peers", action="store_true", help="also TensorZero, Portkey and LiteLLM, installed by name")
    parser.add_argument(
        "--peers-dir", type=Path, help="folder they are installed in and kept; default: a temporary one"
    )
    parser.add_argument("--only", nargs="*", default=(), help="parts to run: speed latency memory ingest million peers")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    asked = parser.parse_args(argv)
    report = Report("gateway", asked.seed)
    start = time.monotonic()
    failed = ""
    with tempfile.TemporaryDirectory(prefix="meliora-bench-") as folder:
        run = Run(report, Path(folder), Sizes.quick() if asked.quick else Sizes.full(), asked.seed)
        try:
            run.all(asked.only, asked.peers, asked.peers_dir)
        except ControlFailed as error:
            failed = str(error)
    return conclude(report, time.monotonic() - start, asked.json, failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
