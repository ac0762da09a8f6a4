"""Run the diagnosis benchmark: print its figures as they come, then the table; `--json FILE` keeps them."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is loaded: small tables, threads only get in the way

from benchmarks.diagnosis.measure import CASES, CASES_QUICK, causes, control, quiet_periods, speed
from benchmarks.intervals import Estimate
from benchmarks.report import ControlFailed, Report, conclude, figure
from meliora.diagnosis.classes import classify
from meliora.stats.proportion import wilson


def main(argv: Sequence[str]) -> int:
    """Measure; 1 where the benchmark's own control failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diagnosis", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with llm_errors.jsonl: messages of errors and their labels")
    parser.add_argument("--quick", action="store_true", help="within 50 seconds: fewer cases")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    asked = parser.parse_args(argv)
    report = Report("diagnosis", asked.seed)
    start = time.monotonic()
    failed = ""
    cases = CASES_QUICK if asked.quick else CASES
    try:
        causes(report, cases, asked.seed)
        quiet_periods(report, 4 * cases, asked.seed + 1)
        speed(report, asked.seed)
        _classes(report, asked.data)
        control(report)
    except ControlFailed as error:
        failed = str(error)
    return conclude(report, time.monotonic() - start, asked.json, failed)


def _classes(report: Report, data: Path | None) -> None:
    """Quota alone: that is what the rules read of a message; the gateway gives them a code and a status, which the data lacks."""
    file = data / "llm_errors.jsonl" if data is not None else None
    if file is None or not file.is_file():
        report.miss("quota_by_words", "no llm_errors.jsonl under --data")
        return
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    told = [classify(None, 429, row["text"]) == "quota" for row in rows]
    meant = [row["label"] == "quota" for row in rows]
    hits, wrong = (sum(a and b is kind for a, b in zip(told, meant, strict=True)) for kind in (True, False))
    n = sum(meant)
    report.add(
        figure("quota_by_words", "share", Estimate(hits / n, *wilson(hits, n), n), beside={"false": float(wrong)})
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
