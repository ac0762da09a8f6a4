"""Play the story, print what happened, draw it, and say where the record lies."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from pathlib import Path

import structlog

from examples.demo.drive import TENANT
from examples.demo.plot import plotted
from examples.demo.report import table
from examples.demo.story import Story, settings_in

PLOT = "demo.svg"


def main() -> int:
    """Run it; 0 where all went as told."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--state-dir", type=Path, default=Path("var/demo"), help="a directory that is not there yet")
    parser.add_argument("--calls-an-hour", type=int, default=480)
    given = parser.parse_args()
    if given.state_dir.exists() and any(given.state_dir.iterdir()):
        print(f"{given.state_dir} is not empty. Remove it, or name another with --state-dir.", file=sys.stderr)
        return 2
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    began = time.monotonic()
    story = Story(settings_in(given.state_dir), given.seed, given.calls_an_hour, lambda line: print(line, flush=True))
    played, here = asyncio.run(story.play())
    with here.store:
        print(table(played, here.store, TENANT))
        rolled_back = played.changes["turned"]
    (given.state_dir / PLOT).write_text(plotted(played), encoding="utf-8")
    calls, seconds = played.calls, time.monotonic() - began
    meliora = f"{Path(sys.executable).with_name('meliora')} --config {given.state_dir / 'meliora.toml'}"
    print(
        f"\n{calls:,} calls in {played.spans[-1].hour:.0f} hours, played in {seconds:.0f} seconds (seed {given.seed})."
    )
    print(f"\nThe picture: {given.state_dir / PLOT}\nThe record:")
    for command in ("loop history", f"changes show {rolled_back}", f"audit replay {rolled_back}", "audit verify"):
        print(f"  {meliora} {command}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
