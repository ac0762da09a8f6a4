"""A full disk: calls and searches go on, what is lost is counted and shouted, and with room again everything goes on as before."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from meliora.supervisor.layout import CHILDREN, read_pids
from meliora.testing import FakeProvider
from tests.survival.documents import Shelf, check, documents, word
from tests.survival.house import House
from tests.survival.load import Load, compare
from tests.survival.wire import Answers, request, talk


def _metric(house: House, name: str) -> int:
    read, _ = talk(house.port, request("/metrics", b"", method="GET"))
    found = re.search(rf"^{name} (\S+)$", Answers(read).all[0].body.decode(), re.MULTILINE)
    assert found
    return int(float(found[1]))


def _spool(house: House) -> dict[str, str]:
    return house.health().get("parts", {}).get("spool", {})


def _shouts(house: House) -> list[dict[str, object]]:
    lines = (house.layout.logs / "gateway.log").read_bytes().splitlines()
    events = [json.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"}")]
    return [event for event in events if event.get("level") == "critical"]


def test_files_that_cannot_grow_lose_records_and_no_call(tmp_path: Path, provider: FakeProvider) -> None:
    """Every file of the gateway is limited, its log too; then the limit goes."""

    def tight() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, most))

    with House(tmp_path, provider).prepare() as house:
        house.spawn("control")
        house.spawn("worker")
        pid = house.spawn("gateway", preexec=tight)
        house.wait_ready()
        load = Load(house.port, house.secret, clients=3)
        with load.running():
            house.wait(lambda: _metric(house, "meliora_spool_dropped") > 10, 20, "the disk is not full")
            known = len(load.answered)
            house.wait(lambda: len(load.answered) > known + 20, 15, "calls stopped")
            house.wait(lambda: _spool(house).get("status") == "unhealthy", 10, "the health does not say it")
            assert "lost" in _spool(house)["reason"]
            [shout, *_] = _shouts(house)
            assert isinstance(shout["lost"], int) and shout["lost"] >= 1
            assert re.search("FBIG|part of a record", str(shout["reason"]))
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            kept = _metric(house, "meliora_spool_appended")
            house.wait(lambda: _metric(house, "meliora_spool_appended") > kept + 20, 10, "nothing is written again")
            house.wait(lambda: _spool(house).get("status") == "degraded", 10, "the health does not get better")
        dropped = _metric(house, "meliora_spool_dropped")
        appended = _metric(house, "meliora_spool_appended")
        house.settle()
        compare(house, load, lost=dropped)
    assert not load.refused and not load.cut
    assert appended + dropped == 2 * len(load.answered), "a record is neither written nor counted as lost"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system can only be mounted by root, where the system allows it")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def _fill(path: Path) -> None:
    """Take all the room there is, to the last byte."""
    for size in (1 << 20, 4096, 1):
        try:
            with path.open("ab", buffering=0) as file:
                while file.write(b"\0" * size):
                    pass
        except OSError:
            continue


def test_with_everything_on_a_full_disk_calls_go_on_and_the_processes_come_back(
    small_disk: Path, provider: FakeProvider
) -> None:
    """Database, logs, spool and pid file have no room; the gateway is even killed meanwhile."""
    ballast = small_disk / "ballast"
    with House(small_disk, provider) as house:
        done = house.meliora("up", "--detach")
        assert done.returncode == 0, done.stderr
        load = Load(house.port, house.secret, clients=3)
        with load.running():
            house.wait(lambda: len(load.answered) > 5, 15, "no calls")
            supervisor = read_pids(house.layout).supervisor
            assert supervisor is not None
            _fill(ballast)
            assert house.health()["parts"]["disk"]["status"] == "unhealthy", (
                "a full disk is not seen at the next request"
            )
            house.wait(lambda: _metric(house, "meliora_spool_dropped") > 5, 20, "the disk is not full")
            house.wait(lambda: _spool(house).get("status") == "unhealthy", 20, f"not said: {house.health()}")
            assert re.search("ENOSPC|part of a record", _spool(house)["reason"])
            lost = _metric(house, "meliora_spool_dropped")
            pid = read_pids(house.layout).alive("gateway")
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            house.wait(lambda: talk_ready(house), 20, "the gateway does not come back on a full disk")
            known = len(load.answered)
            house.wait(lambda: len(load.answered) > known + 20, 20, "calls stopped")
            ballast.unlink()
            kept = _metric(house, "meliora_spool_appended")
            house.wait(lambda: _metric(house, "meliora_spool_appended") > kept + 20, 20, "nothing is written again")
        assert read_pids(house.layout).supervisor == supervisor
        # Losses between the last look and the kill are only in the dead gateway's head: bounded by what it answered.
        lost += _metric(house, "meliora_spool_dropped") + len(load.answered)
        house.settle(60)
        compare(house, load, lost=lost)
        house.wait(
            lambda: all(read_pids(house.layout).alive(name) for name in CHILDREN), 15, "the pid file stays as it was"
        )
        assert house.meliora("down").returncode == 0
    assert not load.refused, load.refused


def talk_ready(house: House) -> bool:
    """Whether the gateway answers a call."""
    try:
        read, _ = talk(house.port, request("/ready", b"", method="GET"))
    except OSError:
        return False
    return read.startswith(b"HTTP/1.1 200")


def test_on_a_full_disk_documents_are_refused_by_name_and_those_that_were_kept_are_indexed_with_room_again(
    small_disk: Path, provider: FakeProvider
) -> None:
    """First there is no room at all, then some for documents and none for their index."""
    ballast = small_disk / "ballast"
    with House(small_disk, provider).prepare() as house:
        for name in ("control", "gateway", "worker"):
            house.spawn(name)
        house.wait_ready()
        shelf, old, late = Shelf(house), documents(100, "old"), documents(100, "late")
        house.wait(lambda: shelf.put(old)[0] == 200, 20, "documents are not taken")
        house.wait(shelf.up_to_date, 20, "the first documents are not indexed")

        _fill(ballast)
        # No call has come: nothing was lost that could be told.
        assert house.health()["parts"]["disk"]["status"] == "unhealthy"
        house.wait(lambda: house.health()["parts"]["store"]["status"] == "unhealthy", 20, "the store takes nothing")
        status, body = shelf.put(documents(100, "never"))
        assert (status, body["error"]["code"]) == (503, "store_unavailable"), body
        assert "full" in body["error"]["message"]
        assert "Make room" in body["error"]["hint"]
        status, body = shelf.search(word("old-7"))
        assert (status, body["results"][0]["document"]) == (200, "old-7"), body

        ballast.unlink()
        _leave(ballast, 6_000_000)
        assert shelf.put(late)[0] == 200
        _fill(ballast)
        done = house.meliora("knowledge", "rebuild")
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert re.search("No space left|is full", done.stderr)
        assert shelf.search(word("old-7"))[1]["results"][0]["document"] == "old-7"

        ballast.unlink()
        house.wait(shelf.up_to_date, 30, "the index does not go on with room again")
        check(shelf, [one["id"] for one in (*old, *late)])


def _leave(path: Path, room: int) -> None:
    """Take all the room there is but some bytes."""
    with path.open("wb") as file:
        file.write(b"\0" * max(0, shutil.disk_usage(path.parent).free - room))
