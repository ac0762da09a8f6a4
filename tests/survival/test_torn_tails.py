"""Segments that a crash left damaged: what is whole is recorded, once; what is not is skipped, counted and shouted."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import msgspec

from meliora.telemetry.records import CallBegun, CallFinished, Record
from meliora.telemetry.spool import HEADER, MAGIC, SpoolReader
from meliora.testing import FakeProvider
from tests.survival.house import House
from tests.survival.load import Load, compare


def _finished(spool: Path) -> set[str]:
    """Give the marks of the calls whose finish is whole in the spool."""
    reader = SpoolReader(spool)
    decode = msgspec.json.Decoder(Record).decode
    marks: set[str] = set()
    for segment in reader.segments():
        offset = 0
        while True:
            chunk = reader.read(segment, offset, 1 << 24)
            for record in map(decode, chunk.payloads):
                if isinstance(record, CallFinished) and record.outcome == "ok":
                    marks.add(record.message_id or "")
            if chunk.end <= offset:
                break
            offset = chunk.end
    return marks


def _spoil(path: Path, chance: random.Random) -> None:
    """Damage a segment as a crash or a failing disk does."""
    raw = path.read_bytes()
    at = chance.randrange(len(raw))
    junk = [
        raw[:at],
        raw[:at] + b"\0" * 4096,
        raw + chance.randbytes(500),
        raw + MAGIC,
        raw + HEADER.pack(MAGIC, 1 << 31, 0),
        raw + HEADER.pack(MAGIC, 100, 0) + b"x" * 50,
        raw[:at] + chance.randbytes(64) + raw[at + 64 :],
        raw + raw[: len(raw) // 2],
    ]
    path.write_bytes(chance.choice(junk))


def test_damaged_segments_lose_what_was_damaged_and_nothing_else(
    tmp_path: Path, provider: FakeProvider, chance: random.Random
) -> None:
    """Cut anywhere, zeroed, overwritten, doubled, garbage behind: round after round, with gateways that are killed."""
    with House(tmp_path, provider).prepare() as house:
        house.spawn("control")
        loads: list[Load] = []
        whole: set[str] = set()
        for number in range(3):
            house.spawn("gateway")
            house.wait_ready()
            load = Load(house.port, house.secret, clients=3, prefix=f"r{number}-")
            loads.append(load)
            with load.running():
                house.wait(lambda load=load: len(load.answered) > 25, 20, "no calls")
                house.kill("gateway")
            for segment in house.spool.glob("*.spool"):
                _spoil(segment, chance)
            whole |= _finished(house.spool)
            house.spawn("worker")
            house.wait_taken()
            house.kill("worker")
        assert not list(house.spool.glob("*.spool")), "dead segments are removed"
        answered = {mark for load in loads for mark in load.answered}
        compare(house, *loads, lost=len(answered - whole))
        with house.store() as connection:
            rows = connection.exec_driver_sql("SELECT message_id FROM calls WHERE state = 'finished'").all()
        assert {row[0] for row in rows} == whole
        log = [json.loads(line) for line in (house.layout.logs / "worker.log").read_bytes().splitlines()]
        skipped = sum(line.get("skipped_bytes", 0) for line in log)
        assert skipped > 0, "damage was passed over in silence"


def test_a_record_that_is_none_is_put_aside(tmp_path: Path, provider: FakeProvider) -> None:
    """Frames that are whole and make no sense are kept for a person, and stop nobody."""
    from meliora.telemetry.spool import SpoolWriter

    with House(tmp_path, provider).prepare() as house:
        house.spool.mkdir(mode=0o700)
        writer = SpoolWriter(house.spool)
        good = CallBegun("call_1", "default", "k", "g", time.time_ns() // 1000, "chat", "m")
        strange = [
            b"",
            b"{}",
            b"\xff\xff",
            b'{"t":"finished"}',
            b'{"t":"begun","id":1}',
            b"[" * 100_000,
            msgspec.json.encode(msgspec.structs.replace(good, id="call_2", started_us=2**70)),
            msgspec.json.encode(msgspec.structs.replace(good, id="call_3", started_us=-(2**70))),
        ]
        for payload in [*strange, msgspec.json.encode(good)]:
            assert writer.append(payload)
        writer.close()
        house.spawn("worker")
        house.wait_taken()
        with house.store() as connection:
            ids = [row[0] for row in connection.exec_driver_sql("SELECT id FROM calls").all()]
        [kept] = (house.spool / "quarantine").iterdir()
        assert ids == ["call_1"]
        assert len(kept.read_bytes().splitlines()) == len(strange)
        assert house.alive("worker") and "Traceback" not in house.logs()
