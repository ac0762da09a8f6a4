"""The one shape of every benchmark: figures with their intervals, what is missing and why, as JSON and as a table.

Refuses to fill anything in: a figure is measured, or it is named under `missing` with the reason.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.intervals import Estimate


class ControlFailed(Exception):
    """The benchmark's own control failed, so none of its figures can be believed. Says which, by how much."""


@dataclass(frozen=True)
class Figure:
    """One measured number. `low` and `high` are a 95% interval; None where nothing was sampled."""

    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    n: int | None = None
    beside: dict[str, float] = field(default_factory=dict)
    """What was measured in the same run, for comparison."""
    note: str = ""


def figure(
    name: str, unit: str, estimate: Estimate, *, beside: dict[str, float] | None = None, note: str = ""
) -> Figure:
    """Make a figure of an estimate."""
    return Figure(name, estimate.value, unit, estimate.low, estimate.high, estimate.n, beside or {}, note)


@dataclass
class Report:
    """What one run found. Figures are printed as they come, so that a long run shows that it lives."""

    benchmark: str
    seed: int
    figures: list[Figure] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    echo: Callable[[str], None] = print

    def add(self, found: Figure) -> None:
        """Keep a figure."""
        self.figures.append(found)
        self.echo(_line(found))

    def miss(self, name: str, reason: str) -> None:
        """Say that a figure could not be measured, and why."""
        self.missing[name] = reason
        self.echo(f"{name:<28} missing: {reason}")

    def get(self, name: str) -> Figure | None:
        """Give the figure of that name, None where it is missing."""
        return next((found for found in self.figures if found.name == name), None)

    def as_json(self, seconds: float) -> str:
        """Give the whole report as JSON; `seconds` is how long the run took."""
        shape = {
            "benchmark": self.benchmark,
            "version": version(),
            "seed": self.seed,
            "seconds": round(seconds, 1),
            "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
            "figures": [_plain(found) for found in self.figures],
            "missing": self.missing,
        }
        return json.dumps(shape, indent=1)

    def table(self) -> str:
        """Give the figures and the missing ones as a table to read."""
        head = f"{'figure':<28} {'value':>12} {'low':>12} {'high':>12} unit    beside / note"
        lines = [head, "-" * len(head), *(_line(found) for found in self.figures)]
        lines += [f"{name:<28} missing: {reason}" for name, reason in self.missing.items()]
        return "\n".join(lines)


def conclude(report: Report, seconds: float, file: Path | None, failed: str) -> int:
    """Print the table, keep the figures in `file`, and give the exit status: 1 where the control `failed`, with its words."""
    print(f"\n{report.table()}\n{seconds:.1f} s, {os.cpu_count()} cores")
    if file is not None:
        file.write_text(report.as_json(seconds) + "\n")
    if failed:
        print(f"The benchmark's control failed, so do not use these figures: {failed}", file=sys.stderr)
    return 1 if failed else 0


def version() -> str:
    """Give `git describe` of the code that was measured; `unknown` outside a checkout."""
    try:
        asked = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--tags"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return asked.stdout.strip()


def _plain(found: Figure) -> dict[str, object]:
    plain = asdict(found)
    for name in ("value", "low", "high"):
        if plain[name] is not None:
            plain[name] = _rounded(plain[name])
    plain["beside"] = {name: _rounded(value) for name, value in found.beside.items()}
    return {name: value for name, value in plain.items() if value is not None}


def _rounded(value: float) -> float:
    return round(value, 4) if abs(value) < 10 else round(value, 2)


def _line(found: Figure) -> str:
    def cell(value: float | None) -> str:
        return "" if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"

    beside = ", ".join(f"{name} {cell(value)}" for name, value in found.beside.items())
    tail = " | ".join(part for part in (beside, found.note) if part)
    numbers = f"{cell(found.value):>12} {cell(found.low):>12} {cell(found.high):>12}"
    return f"{found.name:<28} {numbers} {found.unit:<7} {tail}".rstrip()
