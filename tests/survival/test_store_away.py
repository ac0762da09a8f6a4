"""The store is away for a while: calls go on, `/health` says it, and afterwards everything is recorded, once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from meliora.store.engine import connect
from meliora.testing import FakeProvider
from tests.survival.cable import Cable
from tests.survival.house import House
from tests.survival.load import Load, compare

DEFAULT_DSN = "postgresql+psycopg://postgres@127.0.0.1:5432/test"
AWAY = float(os.environ.get("MELIORA_TEST_AWAY") or 0)
"""Seconds that the store stays away at least; the long run's 60 are more than every patience with it."""


@pytest.fixture
def cable() -> Iterator[tuple[Cable, str, sa.Engine]]:
    """A cable to PostgreSQL, the URL over it into a schema of its own, and the direct way."""
    dsn = sa.make_url(os.environ.get("MELIORA_TEST_POSTGRES", DEFAULT_DSN))
    admin = sa.create_engine(dsn, connect_args={"connect_timeout": 3})
    name = f"meliora_{uuid.uuid4().hex[:12]}"
    try:
        with admin.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    except exc.OperationalError as error:
        reason = f"no PostgreSQL at MELIORA_TEST_POSTGRES: {str(error.orig).splitlines()[0]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with Cable((dsn.host or "127.0.0.1", dsn.port or 5432)) as cable:
        over = dsn.set(host="127.0.0.1", port=cable.port).update_query_dict(
            {"options": f"-csearch_path={name}", "application_name": name}
        )
        yield cable, over.render_as_string(hide_password=False), admin
    with admin.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
    admin.dispose()


def _stay_away(house: House, load: Load, since: float) -> None:
    """Wait until the store was away for long enough; calls go on all the time."""
    while time.monotonic() - since < AWAY:
        known = len(load.answered)
        house.wait(lambda known=known: len(load.answered) > known + 10, 15, "calls stopped with the store")
        time.sleep(0.5)


@pytest.mark.timeout(AWAY + 120)
def test_postgresql_is_cut_off_and_comes_back(
    tmp_path: Path, provider: FakeProvider, cable: tuple[Cable, str, sa.Engine]
) -> None:
    """Also a gateway that starts meanwhile serves, by what it kept; a worker that starts says why it cannot."""
    wire, url, _ = cable
    with House(tmp_path, provider, store_url=url).prepare() as house:
        for name in ("control", "gateway", "worker"):
            house.spawn(name)
        house.wait_ready()
        load = Load(house.port, house.secret, clients=3)
        with load.running():
            house.wait(lambda: len(load.answered) > 10, 15, "no calls")
            wire.cut()
            since = time.monotonic()
            known = len(load.answered)
            house.wait(lambda: house.health().get("status") == "unhealthy", 15, "the health does not say it")
            assert house.health()["parts"]["store"]["status"] == "unhealthy"
            house.wait(lambda: len(load.answered) > known + 10, 15, "calls stopped with the store")
            house.kill("gateway", "worker")
            house.spawn("gateway")
            house.spawn("worker")
            house.wait_ready()
            known = len(load.answered)
            house.wait(lambda: len(load.answered) > known + 10, 15, "a new gateway does not serve")
            house.wait(lambda: not house.alive("worker"), 15, "a worker starts without its store")
            last = (house.layout.logs / "worker.log").read_text().strip().splitlines()[-1]
            assert "database cannot be used" in last and "Traceback" not in house.logs()
            _stay_away(house, load, since)
            wire.mend()
            house.spawn("worker")
            known = len(load.answered)
            house.wait(lambda: len(load.answered) > known + 10, 15, "calls do not go on")
        house.settle()
        house.wait(lambda: house.health().get("status") == "healthy", 20, f"not healthy again: {house.health()}")
        compare(house, load)
    assert not load.refused


def test_postgresql_ends_its_connections_again_and_again(
    tmp_path: Path, provider: FakeProvider, cable: tuple[Cable, str, sa.Engine], chance: random.Random
) -> None:
    """A transaction that is cut is taken again, whole; nobody dies of it."""
    _, url, admin = cable
    name = sa.make_url(url).query["application_name"]
    query = sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name")
    with House(tmp_path, provider, store_url=url).prepare() as house:
        for process in ("control", "gateway", "worker"):
            house.spawn(process)
        house.wait_ready()
        load = Load(house.port, house.secret, clients=3)
        ended = 0
        with load.running():
            until = time.monotonic() + 4
            while time.monotonic() < until:
                with admin.connect() as connection:
                    ended += len(connection.execute(query, {"name": name}).all())
                time.sleep(chance.uniform(0.02, 0.2))
        assert ended > 10
        house.settle()
        compare(house, load, exact=True)
        assert all(house.alive(process) for process in ("control", "gateway", "worker")), house.logs()
    assert not load.refused


def test_a_line_that_went_dead_without_a_word_is_noticed(cable: tuple[Cable, str, sa.Engine]) -> None:
    """A lost machine sends no farewell: the system is told to ask, and to give up; what the URL says stands."""
    _, url, _ = cable
    for given, expected in ((url, "30000"), (sa.make_url(url).update_query_dict({"tcp_user_timeout": "7000"}), "7000")):
        engine = connect(given)
        try:
            with engine.connect() as connection:
                driver: Any = connection.connection.driver_connection
                said = driver.info.get_parameters()
        finally:
            engine.dispose()
        assert said["tcp_user_timeout"] == expected
        assert int(said["keepalives_idle"]) + int(said["keepalives_interval"]) * int(said["keepalives_count"]) <= 30


LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


@pytest.mark.timeout(AWAY + 120)
def test_sqlite_is_locked_by_another_process(tmp_path: Path, provider: FakeProvider) -> None:
    """Nothing can be written for a while; a gateway that starts meanwhile serves."""
    with House(tmp_path, provider).prepare() as house:
        for name in ("control", "gateway", "worker"):
            house.spawn(name)
        house.wait_ready()
        load = Load(house.port, house.secret, clients=3)
        with load.running():
            house.wait(lambda: len(load.answered) > 5, 15, "no calls")
            with subprocess.Popen(
                [sys.executable, "-c", LOCK, str(house.layout.root / "meliora.db")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            ) as other:
                assert other.stdin is not None and other.stdout is not None
                assert other.stdout.readline() == b"locked\n"
                since = time.monotonic()
                known = len(load.answered)
                house.wait(lambda: len(load.answered) > known + 20, 15, "calls wait for the database")
                house.kill("gateway")
                house.spawn("gateway")
                house.wait_ready()
                known = len(load.answered)
                house.wait(lambda: len(load.answered) > known + 20, 15, "a new gateway does not serve")
                _stay_away(house, load, since)
                other.stdin.close()
        house.settle()
        compare(house, load)
    assert not load.refused
