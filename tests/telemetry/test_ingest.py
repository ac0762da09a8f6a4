"""Each record reaches the sink once, whatever is torn, malformed, newer, refused or killed in between."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meliora.errors import Conflict, StoreError, StoreUnavailable
from meliora.store import Store
from meliora.store.engine import connect
from meliora.store.migrate import upgrade
from meliora.telemetry.ingest import Batch, Ingester, Taken
from meliora.telemetry.records import FORMAT, CallBegun, CallFinished
from meliora.telemetry.spool import SpoolReader, SpoolWriter

NOW_US = 1_795_219_200_000_000


def clock() -> int:
    return NOW_US


def begun(id: str) -> CallBegun:
    return CallBegun(
        id=id, tenant="t", key_id="k", gateway="g", started_us=NOW_US, dialect="chat", model_asked="auto", user="ann"
    )


def finished(id: str, **over) -> CallFinished:
    values = {
        "id": id,
        "tenant": "t",
        "key_id": "k",
        "gateway": "g",
        "started_us": NOW_US,
        "ended_us": NOW_US + 5,
        "dialect": "chat",
        "model_asked": "auto",
        "outcome": "ok",
        "status": 200,
    }
    return CallFinished(**values | over)


def spooled(directory: Path, payloads: list[bytes], **options) -> SpoolWriter:
    writer = SpoolWriter(directory, **options)
    for payload in payloads:
        writer.append(payload)
    return writer


def encoded(*records: CallBegun | CallFinished) -> list[bytes]:
    return [msgspec.json.encode(record) for record in records]


class Memory:
    """A sink in memory that keeps to the protocol, and fails as told."""

    def __init__(self) -> None:
        self.at: dict[str, int] = {}
        self.kept: list[str] = []
        self.tasks: list[str | None] = []
        self.finished_segments: list[str] = []
        self.away = False
        self.refused: set[str] = set()
        self.moved = False

    def offsets(self) -> dict[str, int]:
        if self.away:
            raise StoreUnavailable("away")
        return dict(self.at)

    def take(self, batch: Batch) -> Taken:
        if self.away:
            raise StoreUnavailable("away")
        if self.moved or self.at.get(batch.segment, 0) != batch.start:
            raise Conflict("moved")
        ids = [record.id for record in (*batch.begun, *batch.finished)]
        if self.refused & set(ids):
            raise StoreError("refused")
        self.at[batch.segment] = batch.end
        self.kept += ids
        self.tasks += [record.task for record in batch.finished]
        return Taken(len(batch.begun), len(batch.finished), 0)

    def done(self, segment: str) -> None:
        self.finished_segments.append(segment)

    def lose(self, before_us: int) -> int:
        return before_us


def ingester(directory: Path, sink: Memory, **options) -> Ingester:
    return Ingester(SpoolReader(directory), sink, clock, **options)


def test_a_task_that_the_gateway_left_open_is_told_before_the_record_is_kept(tmp_path: Path) -> None:
    sink = Memory()
    spooled(tmp_path, encoded(finished("a", request_text="one"), finished("b", task="code"), finished("c")))
    ingester(tmp_path, sink, task_of=lambda record: record.request_text and "chat").step()
    assert sink.tasks == ["chat", "code", None]


def test_records_are_taken_and_only_closed_segments_removed(tmp_path: Path) -> None:
    sink = Memory()
    writer = spooled(tmp_path, encoded(begun("a"), finished("a"), finished("b")), segment_bytes=300)
    report = ingester(tmp_path, sink).step()
    assert (report.records, report.begun, report.finished) == (3, 1, 2)
    assert sink.kept == ["a", "a", "b"]
    assert len(SpoolReader(tmp_path).segments()) == 1, "the one that is written to stays"
    writer.close()
    assert ingester(tmp_path, sink).step().deleted == 1
    assert SpoolReader(tmp_path).segments() == []
    assert ingester(tmp_path, sink).step().records == 0


def test_nothing_is_lost_while_the_store_is_away(tmp_path: Path) -> None:
    sink = Memory()
    spooled(tmp_path, encoded(finished("a"))).close()
    sink.away = True
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            ingester(tmp_path, sink).step()
    sink.away = False
    assert ingester(tmp_path, sink).step().finished == 1


def test_a_batch_that_another_ingester_took_is_left_alone(tmp_path: Path) -> None:
    sink = Memory()
    spooled(tmp_path, encoded(finished("a"))).close()
    sink.moved = True
    report = ingester(tmp_path, sink).step()
    assert (report.conflicts, report.records, sink.kept) == (1, 0, [])


def test_a_malformed_record_is_put_aside_once_and_counted(tmp_path: Path) -> None:
    sink = Memory()
    bad = [
        b"not json",
        b'{"t":"finished","id":1}',
        b'{"t":"unheard of","v":1}',
        b'"' + b"\xed\xa0\x80" + b'"',
        b"[" * 100_000,
    ]
    good = encoded(finished("a"), finished("b"))
    spooled(tmp_path, [good[0], *bad, good[1]]).close()
    work = ingester(tmp_path, sink)
    sink.moved = True
    work.step()
    sink.moved = False
    report = work.step()
    assert report.quarantined == len(bad)
    assert sink.kept == ["a", "b"]
    (file,) = (tmp_path / "quarantine").iterdir()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [base64.b64decode(line["payload"]) for line in lines] == bad
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_record_of_a_newer_format_stops_its_segment_and_stays(tmp_path: Path) -> None:
    sink = Memory()
    newer = [
        msgspec.json.encode(finished("b", v=FORMAT + 1)),
        b'{"t":"finished","id":"c","v":%d,"cost_micros":"changed its type"}' % (FORMAT + 2),
    ]
    for payload in newer:
        spooled(tmp_path, [*encoded(finished("a")), payload, *encoded(finished("z"))]).close()
    work = ingester(tmp_path, sink)
    for _ in range(2):
        report = work.step()
        assert sorted(report.newer.values()) == [FORMAT + 1, FORMAT + 2]
        assert sink.kept == ["a", "a"]
    assert len(SpoolReader(tmp_path).segments()) == 2


def test_one_record_that_the_store_refuses_does_not_hold_up_the_others(tmp_path: Path) -> None:
    sink = Memory()
    sink.refused = {"id7", "id23"}
    names = [f"id{place}" for place in range(40)]
    spooled(tmp_path, encoded(*[finished(name) for name in names])).close()
    report = ingester(tmp_path, sink).step()
    assert (report.quarantined, report.finished, report.deleted) == (2, 38, 1)
    assert sorted(sink.kept) == sorted(set(names) - sink.refused)


def test_a_step_is_bounded_and_says_that_there_is_more(tmp_path: Path) -> None:
    sink = Memory()
    spooled(tmp_path, encoded(*[finished(f"id{place}") for place in range(50)])).close()
    work = ingester(tmp_path, sink, batch_bytes=500, step_records=10)
    reports = [work.step() for _ in range(8)]
    assert [report.more for report in reports] == sorted([report.more for report in reports], reverse=True)
    assert sum(report.records for report in reports) == 50
    assert max(report.records for report in reports) < 20


def test_nul_characters_are_replaced_and_written_out_ones_are_not(tmp_path: Path) -> None:
    seen: list[CallFinished] = []
    sink = Memory()
    take = sink.take
    sink.take = lambda batch: (seen.extend(batch.finished), take(batch))[1]
    spooled(tmp_path, encoded(finished("a", response_text="x\0y", tags={"k\0": "\\u0000"}))).close()
    ingester(tmp_path, sink).step()
    assert (seen[0].response_text, seen[0].tags) == ("x\ufffdy", {"k\ufffd": "\\u0000"})


def test_a_disk_that_refuses_the_quarantine_keeps_the_record_in_the_spool(tmp_path: Path) -> None:
    sink = Memory()
    spooled(tmp_path, [b"bad"]).close()
    (tmp_path / "quarantine").write_text("a file is in the way")
    with pytest.raises(StoreUnavailable, match="put aside"):
        ingester(tmp_path, sink).step()
    assert sink.at == {}
    (tmp_path / "quarantine").unlink()
    assert ingester(tmp_path, sink).step().quarantined == 1


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_whatever_fails_in_between_each_record_arrives_once(tmp_path: Path, data: st.DataObject) -> None:
    """Interleaves writing, rotating, ingesting by two, losing the store and moving the offsets under their feet."""
    for path in [*tmp_path.glob("*/*"), *tmp_path.glob("*.spool")]:
        path.unlink()
    sink = Memory()
    writer = SpoolWriter(tmp_path, segment_bytes=600)
    both = [ingester(tmp_path, sink, batch_bytes=data.draw(st.integers(1, 1000)), step_records=3) for _ in range(2)]
    count = 0
    for act in data.draw(
        st.lists(st.sampled_from(["write", "write", "close", "step", "other", "away", "back"]), max_size=30)
    ):
        if act == "write":
            writer.append(encoded(finished(f"id{count}"))[0])
            count += 1
        elif act == "close":
            writer.close()
        elif act in ("away", "back"):
            sink.away = act == "away"
        else:
            try:
                both[act == "other"].step()
            except StoreUnavailable:
                assert sink.away
    sink.away = False
    writer.close()
    while both[0].step().records:
        pass
    assert sink.kept == [f"id{place}" for place in range(count)]


def test_two_ingesters_at_once_count_nothing_twice(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'meliora.db'}")
    upgrade(engine)
    store = Store(engine)
    for part in range(4):
        spooled(tmp_path / "spool", encoded(*[finished(f"call-{part}-{place}") for place in range(150)])).close()

    def run() -> None:
        work = Ingester(SpoolReader(tmp_path / "spool"), store.sink, clock, batch_bytes=3000)
        while SpoolReader(tmp_path / "spool").segments():
            work.step()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.analytics.total("t").calls == 600
    assert len(store.calls.tail("t", 0, limit=500).calls) == 500
    store.close()


INGEST = """
import sys, time
from pathlib import Path
from meliora.store import Store
from meliora.store.engine import connect
from meliora.telemetry.ingest import Ingester
from meliora.telemetry.spool import SpoolReader
store = Store(connect("sqlite:///" + sys.argv[1] + "/meliora.db"))
work = Ingester(SpoolReader(Path(sys.argv[1]) / "spool"), store.sink, lambda: time.time_ns() // 1000, batch_bytes=20_000)
print("go", flush=True)
while True:
    work.step()
"""


def test_a_killed_ingester_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    """Kills it in the middle of its batches, tears the spool's tail, and lets the next one finish."""
    engine = connect(f"sqlite:///{tmp_path / 'meliora.db'}")
    upgrade(engine)
    store = Store(engine)
    spool = tmp_path / "spool"
    writer = SpoolWriter(spool, segment_bytes=200_000)
    total = 0
    for round in range(4):
        for _ in range(1500):
            writer.append(encoded(begun(f"call-{total}"))[0])
            writer.append(encoded(finished(f"call-{total}", cost_micros=3, response_text="x" * 500))[0])
            total += 1
        process = subprocess.Popen([sys.executable, "-c", INGEST, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        before = store.analytics.total("t").calls
        while store.analytics.total("t").calls < min(total, before + 100 + 150 * round):
            assert process.poll() is None
        process.kill()
        process.wait()
        process.stdout.close()
    writer.append(b"torn")
    writer.close()
    last = spool / SpoolReader(spool).segments()[-1]
    os.truncate(last, last.stat().st_size - 2)
    work = Ingester(SpoolReader(spool), store.sink, clock)
    while SpoolReader(spool).segments():
        work.step()
    usage = store.analytics.total("t")
    assert (usage.calls, usage.cost_micros) == (total, 3 * total)
    assert store.model_performances.list("t") == ()
    seen: set[str] = set()
    after = 0
    while tail := store.calls.tail("t", after, limit=500).calls:
        assert all(call.state == "finished" for call in tail)
        seen |= {call.id for call in tail}
        after = tail[-1].seq
    assert len(seen) == total
    store.close()
