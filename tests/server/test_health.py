"""How the deployment is: what is not known is never called healthy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from meliora.server.context import DiskSeen, SpoolSeen
from meliora.server.health import worst
from meliora.telemetry.processes import WorkerBeat, note
from tests.server.house import ROOMY, House, control_house


def _beat(house: House, **fields: Any) -> None:
    beat = {"id": "g1", "version": "1", "record_format": 1, "host": "h", "pid": 7, **fields}
    assert house.gateway().post("/internal/heartbeat", json=beat).status_code == 200


def _work(house: House, **fields: Any) -> None:
    given = {"host": "h", "version": "1", "pid": 8, "seen_us": house.clock.now_us(), "spool_bytes": 0, **fields}
    note(house.store.deployment, WorkerBeat(**given))


def _parts(house: House) -> dict[str, str]:
    return {name: part["status"] for name, part in house.client().get("/health").json()["parts"].items()}


@contextmanager
def _full(engine: sa.Engine) -> Iterator[None]:
    """Let the database grow by no page."""

    def limit(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count=1")

    sa.event.listen(engine, "begin", limit)
    yield
    sa.event.remove(engine, "begin", limit)
    engine.dispose()  # the limit is a connection's


def test_what_has_never_reported_is_unknown(house: House) -> None:
    answer = house.client().get("/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "unknown"
    unknown = {"gateway": "unknown", "worker": "unknown", "spool": "unknown"}
    assert _parts(house) == {"control": "healthy", "store": "healthy", "disk": "healthy", **unknown}


def test_with_all_parts_reporting_it_is_healthy(house: House) -> None:
    _beat(house)
    _work(house)
    answer = house.client().get("/health")
    assert answer.json()["status"] == "healthy", answer.text


def test_a_gateway_and_a_worker_that_fell_silent_are_unhealthy(house: House) -> None:
    _beat(house)
    _work(house)
    house.clock.advance(120)
    answer = house.client().get("/health")
    assert answer.status_code == 503
    assert _parts(house)["gateway"] == _parts(house)["worker"] == "unhealthy"


def test_a_worker_that_fell_silent_beside_a_lively_one_is_named(house: House) -> None:
    """Two state directories on one machine are two workers."""
    _work(house, state_dir="/one")
    house.clock.advance(120)
    _work(house, state_dir="/two")
    detail = house.client().get("/health").json()["parts"]["worker"]["detail"]
    assert (detail["alive"], detail["silent"]) == (1, ["h:/one"])


@pytest.mark.parametrize(
    ("beat", "work", "part", "status"),
    [
        ({"breakers": {"p/m": {"state": "open"}}}, {}, "gateway", "degraded"),
        ({"breakers": {"p/m": {"state": "closed"}}}, {}, "gateway", "healthy"),
        ({"counters": {"policy_troubles": {"t": "Routing snapshot 2 does not serve."}}}, {}, "gateway", "degraded"),
        ({"counters": {"spool_dropped": 3}}, {}, "spool", "unhealthy"),
        ({}, {"error": "the store is away"}, "worker", "degraded"),
        ({}, {"spool_bytes": 4 * 1024**3}, "spool", "degraded"),
        ({}, {"spool_bytes": None}, "spool", "unknown"),
        ({}, {"quarantined": 1}, "spool", "degraded"),
    ],
)
def test_what_is_wrong_shows_in_its_part(house: House, beat, work, part: str, status: str) -> None:
    _beat(house, **beat)
    _work(house, **work)
    assert _parts(house)[part] == status


def test_the_spool_of_this_machine_is_looked_at(tmp_path: Path) -> None:
    seen = SpoolSeen(bytes_waiting=10, segments=1, quarantined=2)
    with control_house(tmp_path, spool=lambda: seen) as house:
        part = house.client().get("/health").json()["parts"]["spool"]
        assert part["detail"] == {"bytes_waiting": 10, "dropped": 0, "quarantined": 2}


@pytest.mark.parametrize(
    ("room", "status"),
    [
        ({}, "healthy"),
        ({"free_bytes": 0}, "unhealthy"),
        ({"free_bytes": 900_000}, "unhealthy"),
        ({"free_files": 0}, "unhealthy"),
        ({"free_bytes": 50_000_000}, "degraded"),
        ({"free_files": 100}, "degraded"),
        ({"free_files": None}, "healthy"),
    ],
)
def test_a_disk_without_room_shows_at_the_next_request_though_nothing_was_lost_yet(
    tmp_path: Path, room: dict[str, Any], status: str
) -> None:
    seen = [ROOMY]
    with control_house(tmp_path, disks=lambda: seen) as house:
        assert _parts(house)["disk"] == "healthy"
        seen.append(msgspec.structs.replace(ROOMY, path="/spool", **room))
        part = house.client().get("/health").json()["parts"]["disk"]
        assert part["status"] == status
        assert ("/spool" in part["reason"]) == (status != "healthy")


def test_of_a_disk_that_cannot_be_looked_at_nothing_is_known(tmp_path: Path) -> None:
    with control_house(tmp_path, disks=tuple[DiskSeen, ...]) as house:
        assert _parts(house)["disk"] == "unknown"


def test_a_store_that_answers_and_takes_nothing_is_unhealthy_until_it_takes_something(house: House) -> None:
    """SQLite itself says that it is full: it may not grow by a page."""
    _beat(house)
    with _full(house.store.engine):
        beat = {
            "id": "g2",
            "version": "1",
            "record_format": 1,
            "host": "h",
            "pid": 7,
            "counters": {"long": "x" * 50_000},
        }
        assert house.gateway().post("/internal/heartbeat", json=beat).status_code == 503
        answer = house.client().get("/health")
        assert answer.status_code == 503
        store = answer.json()["parts"]["store"]
        assert store["status"] == "unhealthy" and "full" in store["reason"]
    house.clock.advance(1)
    _beat(house, id="g1")  # the one that was refused may be gone, and never heard again
    assert _parts(house)["store"] == "healthy"


def test_without_the_store_nothing_is_called_healthy_that_cannot_be_seen(house: House) -> None:
    with house.store.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE deployment")
    answer = house.client().get("/health")
    assert answer.status_code == 503
    parts = {name: part["status"] for name, part in answer.json()["parts"].items()}
    assert parts["store"] == "unhealthy"
    assert parts["gateway"] == parts["worker"] == "unknown"
    assert house.client().get("/ready").status_code == 503
    assert house.client().get("/live").status_code == 200


def test_the_worst_part_decides() -> None:
    assert worst(["healthy", "unknown"]) == "unknown"
    assert worst(["degraded", "unknown", "healthy"]) == "degraded"
    assert worst(["unhealthy", "degraded"]) == "unhealthy"
    assert worst([]) == "unknown"
