"""What a long record costs: lists and status over ten thousand changes, and a tick of the loop in which nothing is due."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from benchmarks.loop.postgres import schema
from benchmarks.report import Figure, Report
from meliora.clock import SystemClock
from meliora.loop.front import Loop
from meliora.loop.states import State
from meliora.runtime.loop import loop_of
from meliora.settings.models import Server, Settings
from meliora.store.engine import connect, writing
from meliora.store.migrate import upgrade
from meliora.store.store import Store
from meliora.store.tables import change_edges, changes, cycles

CHANGES = 10_000
KINDS = ("routing_policy", "routing_rule", "model_choice")
PATH = ("diagnosed", "proposed", "proving", "proved", "trying", "trying", "trying", "delivering", "watching")
DAY_US = 86_400_000_000
TENANT = "default"


def measure(report: Report, *, quick: bool, seed: int, postgres: str) -> None:
    """Measure both figures on SQLite, PostgreSQL beside."""
    times = 20 if quick else 100
    with TemporaryDirectory(prefix="meliora-") as directory:
        here = _measured(f"sqlite:///{directory}/meliora.db", Path(directory), times, seed)
    try:
        with schema(postgres) as url, TemporaryDirectory(prefix="meliora-") as directory:
            there = _measured(url, Path(directory), times, seed)
    except OperationalError as error:
        report.echo(f"no PostgreSQL at --postgres: {str(error.orig).splitlines()[0]}")
        there = {}
    for name, asked in (("list_ms", _LISTED), ("idle_tick_ms", ("tick",))):
        slowest = max(asked, key=lambda one: float(np.median(here[one])))
        beside = {one: float(np.median(here[one])) for one in asked}
        beside |= {f"p95 {one}": float(np.quantile(here[one], 0.95)) for one in asked}
        beside |= {f"postgres {one}": float(np.median(there[one])) for one in asked if one in there}
        note = f"median of {slowest}, {CHANGES} changes; beside: medians and 95th percentiles on SQLite, medians on PostgreSQL"
        report.add(Figure(name, float(np.median(here[slowest])), "ms", n=len(here[slowest]), beside=beside, note=note))


_LISTED = ("list", "waiting", "of a kind", "last page", "status", "one change")


def _measured(url: str, state_dir: Path, times: int, seed: int) -> dict[str, list[float]]:
    engine = connect(url)
    upgrade(engine)
    settings = Settings(server=Server(state_dir=state_dir))
    with Store(engine, state_dir=state_dir) as store:
        _fill(store, np.random.default_rng(seed))
        loop = loop_of(settings, store, SystemClock(), "benchmark")
        loop.pulse.tick()  # what is due before anything was ever looked at
        asked: dict[str, Callable[[], Any]] = {
            "list": lambda: store.changes.list(TENANT, limit=50),
            "waiting": lambda: store.changes.list(TENANT, state=(State.WATCHING, State.PAUSED), limit=50),
            "of a kind": lambda: store.changes.list(TENANT, kind=KINDS[0], limit=50),
            "last page": _page(store),
            "status": lambda: loop.desk.status(TENANT),
            "one change": lambda: loop.desk.change(TENANT, "chg_0000005000"),
            "tick": lambda: _tick(loop),
        }
        return {name: [_ms(ask) for _ in range(times)] for name, ask in asked.items()}


def _tick(loop: Loop) -> None:
    assert not loop.engine.step(), "nothing is due"
    assert not loop.pulse.tick(), "nothing is opened"


def _page(store: Store) -> Callable[[], Any]:
    cursor = None
    for _ in range(CHANGES // 500 - 1):
        cursor = store.changes.list(TENANT, limit=500, cursor=cursor).next
    return lambda: store.changes.list(TENANT, limit=50, cursor=cursor)


def _ms(ask: Callable[[], Any]) -> float:
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1e3


def _fill(store: Store, rng: np.random.Generator) -> None:
    """Write a year of changes in which forty wait and ten are paused, with their edges and cycles."""
    now = time.time_ns() // 1000
    made, edges, of_cycles = [], [], []
    for number in range(CHANGES):
        created = now - round((CHANGES - number) / CHANGES * 365 * DAY_US)
        state = str(rng.choice(("kept", "rejected", "rolled_back")))
        if number >= CHANGES - 50:
            state = "watching" if number % 5 else "paused"
        id, kind = f"chg_{number:010}", KINDS[number % 3]
        cycle = f"si_{number // 3:010}"
        if number % 3 == 0:
            of_cycles.append(_cycle(cycle, created))
        path = (*PATH, *(() if state == "watching" else (state,)))
        made.append(
            {
                "id": id,
                "tenant": TENANT,
                "kind": kind,
                "target": f"target-{number % 40}",
                "surface": f"gateway-{number}",
                "environment": "production",
                "origin_kind": "gate",
                "origin_name": "error_rate",
                "state": state,
                "summary": "A routing policy in place of the one before.",
                "payload": {"snapshot": number, "sha256": "0" * 64},
                "baseline": f"policy-{number}",
                "candidate": f"policy-{number + 1}",
                "paused_from": "watching" if state == "paused" else None,
                "progress": {"check": 3, "passed": 3, "failed": 0},
                "cycle": cycle,
                "attempt": 20,
                "due_us": now + DAY_US if state == "watching" else None,
                "created_us": created,
                "updated_us": min(created + 3_600_000_000, now),
            }
        )
        edges += [
            {
                "change": id,
                "seq": seq,
                "tenant": TENANT,
                "source": source,
                "target": target,
                "at_us": created + seq * 60_000_000,
                "actor": "worker",
                "attempt": seq,
                "evidence": _EVIDENCE,
            }
            for seq, (source, target) in enumerate(zip(("observed", *path), path, strict=False), 1)
        ]
    with writing(store.engine) as connection:
        for table, rows in ((cycles, of_cycles), (changes, made), (change_edges, edges)):
            for at in range(0, len(rows), 2000):
                connection.execute(sa.insert(table), rows[at : at + 2000])
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _cycle(id: str, created: int) -> dict[str, Any]:
    return {
        "id": id,
        "tenant": TENANT,
        "environment": "production",
        "origin_kind": "gate",
        "origin_name": "error_rate",
        "subject": "error_rate",
        "kinds": list(KINDS),
        "opened_us": created,
        "closed_us": created + 7_200_000_000,
        "outcome": "improved",
        "notes": {},
    }


_EVIDENCE = '{"sentence":"' + "as measured over the calls of an hour; " * 20 + '"}'
