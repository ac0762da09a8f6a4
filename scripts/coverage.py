"""Write docs/coverage.md: for each row of the checklist its test, and whether that test notices when the feature is off.

Runs the acceptance tests twice, as they are and with each row's feature switched off. A row counts only if its tests pass, and
one of them fails without the feature. `--check` writes nothing, and fails where a row does not count or the page is not current.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "coverage.md"
ROW = re.compile(r"test_([a-z])(\d\d)_(\w+)")
HEAD = """# Coverage of the checklist

Made by `.venv/bin/python scripts/coverage.py` from `tests/acceptance`; not edited by hand. A row counts only if all of its tests
pass, and at least one of them fails when the row's feature is switched off (`tests/acceptance/switches.py` says how).

| row | what | tests | counts |
|---|---|---|---|
"""


def outcomes(*options: str) -> dict[str, str]:
    """Run the acceptance tests; give `passed`, `failed` (an assertion in the test itself) or `error` by test."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "--no-header", "--tb=no"]
        run = subprocess.run(
            [*command, f"--junit-xml={report}", *options, "tests/acceptance"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if not report.exists():
            raise SystemExit(f"The acceptance tests did not run:\n{run.stdout[-3000:]}{run.stderr[-3000:]}")
        found: dict[str, str] = {}
        for case in ET.parse(report).getroot().iter("testcase"):
            kinds = {child.tag for child in case}
            found[f"{case.get('classname')}::{case.get('name')}"] = (
                "error" if "error" in kinds else "failed" if "failure" in kinds else "passed"
            )
        return found


def rows(on: dict[str, str], off: dict[str, str]) -> dict[str, tuple[list[str], bool]]:
    """Give each row's tests, and whether it counts."""
    tests: dict[str, list[str]] = defaultdict(list)
    for test in on:
        match = ROW.search(test.rpartition("::")[2])
        if match is not None:
            tests[f"{match[1].upper()}{int(match[2])}"].append(test)
    return {
        row: (sorted(mine), all(on[t] == "passed" for t in mine) and any(off.get(t) == "failed" for t in mine))
        for row, mine in sorted(tests.items(), key=lambda item: (item[0][0], int(item[0][1:])))
    }


def title(row: str) -> str:
    """Give the first sentence of the row's test module."""
    path = ROOT / "tests" / "acceptance" / f"test_{row[0].lower()}{int(row[1:]):02d}.py"
    first = path.read_text().split('"""')[1].strip().splitlines()[0]
    return first.partition(": ")[2].rstrip(".")


def page(found: dict[str, tuple[list[str], bool]]) -> str:
    """Write the page."""
    lines = []
    for row, (tests, counts) in found.items():
        names = sorted({test.rpartition("::")[2].partition("[")[0] for test in tests})
        shown = "<br>".join(f"`{name}`" for name in names)
        lines.append(f"| {row} | {title(row)} | {shown} | {'yes' if counts else 'no'} |")
    return HEAD + "\n".join(lines) + "\n"


def main() -> int:
    """Write or check the page; give 1 where a row does not count or, with `--check`, the page is not current."""
    found = rows(outcomes(), outcomes("--switch-off"))
    idle = [row for row, (_, counts) in found.items() if not counts]
    if idle:
        print(f"These rows do not count: {', '.join(idle)}.")
    made = page(found)
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(made)
    elif not PAGE.exists() or PAGE.read_text() != made:
        print("docs/coverage.md is not current; run scripts/coverage.py.")
        return 1
    return 1 if idle else 0


if __name__ == "__main__":
    sys.exit(main())
