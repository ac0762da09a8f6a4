"""PostgreSQL is away, cut off, empty, older or newer: calls go on, and each process says what to do.

That it ends its connections again and again, and that a cut is survived in the small, is in `tests.survival`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from meliora.store.migrate import head_revision
from meliora.testing import FakeProvider
from tests.postgres.conftest import Schema
from tests.postgres.machine import Machine, Site
from tests.survival.cable import Cable
from tests.survival.load import Load, compare

AWAY = 15.0
"""Seconds for which the database cannot be reached."""


def test_the_database_is_away_for_a_while_and_two_machines_go_on(
    tmp_path: Path, provider: FakeProvider, schema: Schema
) -> None:
    """One machine only loses its cable, the other has also all its processes started anew meanwhile."""
    with (
        Cable((schema.dsn.host or "127.0.0.1", schema.dsn.port or 5432)) as wire,
        Site(tmp_path, provider, schema) as site,
    ):
        url = schema.through("127.0.0.1", wire.port)
        steady, restarted = (site.machine(name, store_url=url).prepare() for name in ("steady", "restarted"))
        site.run((steady, restarted), "control", "gateway", "worker")
        key = steady.ask("POST", "/api/v1/keys", {"name": "k", "budget_day_micros": 10**9}).body
        for machine in (steady, restarted):
            machine.until(
                lambda machine=machine: machine.ask("GET", "/v1/models", secret=key["secret"]).status == 200, "no key"
            )
        loads = [
            Load(machine.port, key["secret"], clients=2, pause=0.02, prefix=f"{machine.root.name}-")
            for machine in (steady, restarted)
        ]
        with loads[0].running(), loads[1].running():
            steady.until(lambda: all(len(load.answered) > 5 for load in loads), "no calls")
            wire.cut()
            away = time.monotonic()
            restarted.kill("gateway", "worker", "control")
            restarted.spawn("gateway")
            restarted.spawn("control")
            restarted.wait_ready()
            known = [len(load.answered) for load in loads]
            restarted.until(lambda: not restarted.alive("control"), "control starts without its store")
            assert "cannot be used" in (restarted.layout.logs / "control.log").read_text()
            steady.until(
                lambda: all(len(load.answered) > before + 20 for load, before in zip(loads, known, strict=True)),
                "calls stop with the store",
            )
            assert steady.health().get("status") == "unhealthy"
            time.sleep(max(0.0, away + AWAY - time.monotonic()))
            wire.mend()
            restarted.spawn("control")
            restarted.spawn("worker")
            for machine in (steady, restarted):
                machine.until(lambda machine=machine: _store(machine) == "healthy", "the store is not found again", 20)
        for machine in (steady, restarted):
            machine.settle(15)
        compare(steady, *loads)
        assert not any(load.refused for load in loads), [load.refused for load in loads]
        assert "Traceback" not in steady.logs() + restarted.logs()


def _store(machine: Machine) -> str | None:
    return machine.health().get("parts", {}).get("store", {}).get("status")


def test_what_does_not_fit_is_refused_with_the_command(tmp_path: Path, provider: FakeProvider, schema: Schema) -> None:
    """An empty database, an older and a newer one; several upgrades of an empty one at once come to the same."""
    with Site(tmp_path, provider, schema) as site:
        here = site.machine("here")
        said = _refusal(here, "worker")
        assert "is empty" in said and "Run `meliora db upgrade`" in said
        command = [sys.executable, "-m", "meliora.cli", "--config", str(here.config), "db", "upgrade"]
        both = [
            subprocess.Popen(
                command, cwd=here.root, env=here.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        assert [one.communicate(timeout=60) for one in both] == [(f"The database is at {head_revision()}.\n", "")] * 2
        here.prepare()

        site.execute("DELETE FROM alembic_version")
        assert "Run `meliora db upgrade`" in _refusal(here, "control")
        site.execute("INSERT INTO alembic_version VALUES ('9999')")
        site.execute("UPDATE deployment SET value = '7.1.0' WHERE name = 'schema_version'")
        said = _refusal(here, "worker")
        assert "made by Meliora 7.1.0" in said and "Install Meliora 7.1.0 or newer here" in said
        done = here.meliora("up", "--detach")
        assert done.returncode != 0 and "Install Meliora 7.1.0" in done.stderr and "Traceback" not in done.stderr


def _refusal(here: Machine, name: str) -> str:
    """Start a process, which must end, and give what it said last."""
    here.spawn(name)
    here.until(lambda: not here.alive(name), f"{name} starts over a database that does not fit")
    assert here.processes.pop(name).returncode == 1
    return (here.layout.logs / f"{name}.log").read_text().strip().splitlines()[-1]
