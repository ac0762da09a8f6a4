"""What governing an edge costs: a policy decision, an entry of the audit, its verification, a look at the kill switch.

python -m benchmarks.governance --json FILE
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.intervals import Estimate
from benchmarks.report import Figure, Report, conclude, figure

ENTRIES = 100_000
_IMPORT = (
    "import resource, time\n"
    "def mb(): return int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize() / 1e6\n"
    "before, began = mb(), time.perf_counter()\n"
    "import cedarpy\n"
    "print((time.perf_counter() - began) * 1e3, mb() - before)"
)


def main() -> int:
    """Measure, print, and write the JSON where it is wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    began = time.monotonic()
    report = Report("governance", 0)
    _imports(report)
    _decisions(report)
    with TemporaryDirectory(prefix="meliora-") as folder:
        _audit(report, Path(folder))
    return conclude(report, time.monotonic() - began, chosen.json, "")


def _imports(report: Report) -> None:
    runs = [
        subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True) for _ in range(7)
    ]
    pairs = [tuple(map(float, run.stdout.split())) for run in runs]
    report.add(figure("cedar_import_ms", "ms", median([ms for ms, _ in pairs])))
    report.add(figure("cedar_import_mb", "MB", median([mb for _, mb in pairs])))


def _decisions(report: Report) -> None:
    from meliora.loop.policy.bundle import own
    from meliora.loop.policy.decide import Policies
    from meliora.loop.policy.request import LOOP, Facts, Request, Target

    began = time.perf_counter()
    policies = Policies(own())
    report.add(
        Figure("policies_load_ms", (time.perf_counter() - began) * 1e3, "ms", note=f"{len(policies.rules)} policies")
    )
    facts = Facts(environment="production", proved=True, trial_won=True, rehearsed=True, auto_promote=True)
    request = Request(actor=LOOP, action="deliver", target=Target(id="routing", kind="routing"), facts=facts)
    _timed(report, "policy_decision_us", lambda: policies.decide(request), 2000)


def _audit(report: Report, folder: Path) -> None:
    import sqlalchemy as sa

    from meliora.loop.audit.entry import START, AuditNote, sealed
    from meliora.loop.audit.heads import Head
    from meliora.loop.control import KillFile, Switch
    from meliora.store import Store
    from meliora.store.engine import connect, database_url, writing
    from meliora.store.migrate import upgrade
    from meliora.store.tables import audit_entries, audit_head

    engine = connect(database_url("", folder))
    upgrade(engine)
    body = {"decision": "trial", "evidence": {f"figure_{n}": n / 7 for n in range(20)}, "outcome": {"won": True}}
    note = AuditNote(
        tenant="default", actor="system:loop", action="change.keep", subject="chg_0123456789abcdef", body=body
    )
    rows, prev = [], START
    for seq in range(1, ENTRIES + 1):
        row = sealed(note, seq=seq, at_us=seq, prev=prev)
        prev = row.hash
        rows.append({name: getattr(row, name) for name in row.__struct_fields__})
    with writing(engine) as connection:
        connection.execute(sa.insert(audit_entries), rows)
        connection.execute(sa.insert(audit_head).values(id=1, seq=ENTRIES, hash=prev))
    with Store(engine, state_dir=folder) as store:
        assert store.audit.heads is not None
        store.audit.heads.note(*(Head(row["seq"], row["hash"]) for row in rows))
        began = time.perf_counter()
        found = store.audit.verify()
        seconds = time.perf_counter() - began
        assert found.whole and found.entries == ENTRIES
        report.add(
            Figure("audit_verify_s", seconds, "s", n=ENTRIES, note="entries of 700 bytes, their heads outside too")
        )
        _timed(report, "audit_append_ms", lambda: store.audit.record(note), 200, scale=1e3)
        switch = Switch(store.control, KillFile(folder))
        _timed(report, "kill_switch_look_us", switch.halted, 2000)


def _timed(report: Report, name: str, act: Callable[[], object], count: int, *, scale: float = 1e6) -> None:
    for _ in range(20):
        act()
    samples = []
    for _ in range(count):
        began = time.perf_counter()
        act()
        samples.append((time.perf_counter() - began) * scale)
    report.add(figure(name, name.rpartition("_")[2], median(samples)))


def median(samples: list[float]) -> Estimate:
    """Give the median with its interval from order statistics, by the normal approximation to the binomial."""
    ordered, count = sorted(samples), len(samples)
    reach = 0.98 * math.sqrt(count)
    low, high = math.floor(count / 2 - reach), math.ceil(count / 2 + reach)
    return Estimate(ordered[count // 2], ordered[max(0, low)], ordered[min(count - 1, high)], count)


if __name__ == "__main__":
    sys.exit(main())
