"""The record of a search goes from the spool to the store once, and one who does not know it leaves it where it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from meliora.errors import StoreUnavailable
from meliora.store import Store
from meliora.store.engine import connect
from meliora.store.migrate import upgrade
from meliora.telemetry.ingest import Ingester, _version
from meliora.telemetry.records import FORMAT, CallBegun, CallFinished, SearchDone, Shadow, ShadowBegun
from meliora.telemetry.spool import SpoolReader
from tests.telemetry.test_ingest import NOW_US, Memory, clock, finished, ingester, spooled


def searched(id: str, **over) -> SearchDone:
    values = {
        "id": id,
        "tenant": "t",
        "key_id": "k",
        "gateway": "c1",
        "collection": "c",
        "started_us": NOW_US,
        "ended_us": NOW_US + 5,
        "outcome": "ok",
        "content": "redacted",
        "query": "where",
        "terms": ("where",),
        "shown": ("a", "b"),
        "v": FORMAT,
    }
    return SearchDone(**values | over)


class Searching(Memory):
    """Keeps searches too."""

    def __init__(self) -> None:
        super().__init__()
        self.searches: list[SearchDone] = []

    def take(self, batch):
        taken = super().take(batch)
        self.searches += batch.searches
        return taken


@pytest.fixture
def store(tmp_path: Path):
    engine = connect(f"sqlite:///{tmp_path / 'meliora.db'}")
    upgrade(engine)
    with Store(engine, clock_us=clock) as store:
        yield store


def test_searches_and_calls_of_one_segment_are_taken_together(tmp_path: Path) -> None:
    sink = Searching()
    records = [searched("s1"), finished("a"), searched("s2", query="nul \0")]
    spooled(tmp_path, [msgspec.json.encode(one) for one in records]).close()
    sink.away = True
    with pytest.raises(StoreUnavailable):
        ingester(tmp_path, sink).step()
    sink.away = False
    report = ingester(tmp_path, sink).step()
    assert (report.records, report.finished, report.quarantined, report.deleted) == (3, 1, 0, 1)
    assert [one.id for one in sink.searches] == ["s1", "s2"]
    assert sink.searches[0] == searched("s1")
    assert sink.searches[1].query == "nul \ufffd"


def test_an_ingester_that_knows_no_searches_leaves_their_segment() -> None:
    """It refuses what it cannot decode only where the record is of its own format or an older one."""
    payload = msgspec.json.encode(searched("s1"))
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(payload, type=CallBegun | CallFinished | ShadowBegun | Shadow)
    assert _version(payload) == FORMAT == 3


def test_a_search_is_kept_once_however_often_its_batch_comes(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "spool"
    payloads = [msgspec.json.encode(searched(f"s{at}")) for at in range(5)]
    spooled(folder, payloads).close()
    spooled(folder, payloads).close()
    report = Ingester(SpoolReader(folder), store.sink, clock).step()
    assert (report.records, report.quarantined) == (10, 0)
    found = store.searches.window("t", "c", NOW_US, NOW_US + 1)
    assert sorted(one.id for one in found) == [f"s{at}" for at in range(5)]


def test_a_process_that_is_killed_behind_its_answer_loses_no_search(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "spool"
    code = (
        "import sys, time, msgspec\n"
        "from pathlib import Path\n"
        "from meliora.telemetry.spool import SpoolWriter\n"
        "from tests.telemetry.test_searches import searched\n"
        "writer = SpoolWriter(Path(sys.argv[1]))\n"
        "assert all(writer.append(msgspec.json.encode(searched(f's{at}'))) for at in range(3))\n"
        "print('answered', flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "answered\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    assert Ingester(SpoolReader(folder), store.sink, clock).step().records == 3
    assert len(store.searches.window("t", "c", NOW_US, NOW_US + 1)) == 3


def test_a_search_that_the_store_refuses_is_put_aside_and_the_rest_is_kept(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "spool"
    records = [searched("s1"), searched("s2", snapshot=2**63), searched("s3")]
    spooled(folder, [msgspec.json.encode(one) for one in records]).close()
    report = Ingester(SpoolReader(folder), store.sink, clock).step()
    assert (report.records, report.quarantined) == (2, 1)
    assert len(store.searches.window("t", "c", NOW_US, NOW_US + 1)) == 2
