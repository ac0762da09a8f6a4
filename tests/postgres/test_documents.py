"""Documents on several machines over one database: put on one, found on all, whatever becomes of a process or a connection."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from meliora.supervisor.layout import read_pids
from meliora.testing import FakeProvider
from tests.postgres.conftest import Schema
from tests.postgres.machine import MODELS, Machine, Site
from tests.survival.documents import People, Shelf, check, documents, word

WITHIN = 5.0
"""Seconds after which a document that one machine took must be found on the other; a second by itself, the rest for a busy machine."""


def _finds(shelf: Shelf, id: str) -> bool:
    status, body = shelf.search(word(id))
    assert status in (200, 404), body
    return status == 200 and id in [one["document"] for one in body["results"]]


@pytest.mark.parametrize("backend", ["embedded", "postgres"])
def test_two_machines_keep_search_and_repair_one_collection(
    tmp_path: Path,
    provider: FakeProvider,
    schema: Schema,
    record_property: Callable[[str, object], None],
    backend: str,
) -> None:
    """With an index on each machine, and with one in the database for both."""
    toml = f'{MODELS}\n[knowledge]\nbackend = "{backend}"\n'
    with Site(tmp_path, provider, schema, toml=toml) as site:
        machines = site.up("one", "other")
        one, other = (Shelf(machine) for machine in machines)
        record_property("seconds until found", f"{_seconds_until_found(machines, one, other):.2f} at most")

        body = other.search(word("here-3"))[1]
        opinion = {"search_id": body["id"], "type": "click", "document": "here-3", "position": 1}
        assert one.ask("POST", "/feedback", opinion)[0] == 200, "a search of one machine is not known on the other"

        old, late = documents(300, "old"), documents(300, "late")
        assert one.put(old)[0] == 200
        for machine, shelf in zip(machines, (one, other), strict=True):
            machine.until(shelf.up_to_date, "the index does not catch up", 60)
        people = People(other, old)
        searching = threading.Thread(target=people.searching, args=(1,))
        searching.start()
        try:
            writing = threading.Thread(target=people.putting, args=(late, 2))
            writing.start()
            _end_connections_and_kill(schema, machines[0])
            (tmp_path / "more.jsonl").write_text("\n".join(map(json.dumps, documents(200, "more"))))
            for command in (("index", str(tmp_path / "more.jsonl")), ("rebuild",)):
                done = machines[0].meliora("knowledge", *command)
                assert done.returncode == 0, done.stderr
            writing.join(60)
            assert not writing.is_alive()
        finally:
            people.stop.set()
            searching.join(30)
        assert not people.wrong, "\n".join(people.wrong[:20])
        for machine, shelf in zip(machines, (one, other), strict=True):
            machine.until(
                lambda shelf=shelf: shelf.standing().get("generation") == "2-by-hand", "it is not switched", 60
            )
            machine.until(shelf.up_to_date, "the index does not catch up", 60)
            kept = {one["id"] for some in (old, late, documents(200, "more")) for one in some} | {"here-3"}
            check(shelf, kept - people.deleted)
        for id in ("old-5", "late-200", "more-100"):
            said = [[hit["document"] for hit in shelf.search(word(id))[1]["results"]] for shelf in (one, other)]
            assert said[0] == said[1]


def _seconds_until_found(machines: list[Machine], one: Shelf, other: Shelf) -> float:
    """Documents go in by one machine and are found by the other, and go out again; give the most seconds that took."""
    took: list[float] = []
    for at, some in enumerate(documents(5, "here")):
        here, there, machine = (one, other, machines[1]) if at % 2 else (other, one, machines[0])
        id = some["id"]
        assert here.put([some])[0] == 200
        took.append(machine.until(lambda there=there, id=id: _finds(there, id), "it is not found"))
        if at == 3:
            continue
        assert here.ask("DELETE", "/documents", {"ids": [id]})[1] == {"deleted": 1}
        took.append(machine.until(lambda there=there, id=id: not _finds(there, id), "it is found still"))
    assert max(took) < WITHIN, took
    return max(took)


def _end_connections_and_kill(schema: Schema, machine: Machine) -> None:
    """The database ends all connections twice; between, gateway and worker of a machine are killed."""
    assert schema.end_connections()
    for name in ("gateway", "worker"):
        pid = read_pids(machine.layout).alive(name)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    machine.until(lambda: schema.end_connections() > 0, "nobody connects again", 20)
    machine.wait_ready()
