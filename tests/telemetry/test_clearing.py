"""An erasure is done on a machine once nothing that was begun before it lies in the spool there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from meliora.telemetry.clearing import Clearing, standing
from meliora.telemetry.processes import WorkerBeat
from meliora.telemetry.spool import SpoolReader, SpoolWriter


class Erasures:
    """When somebody was erased last."""

    at = 0

    def __call__(self) -> int:
        return self.at


@pytest.fixture
def wrote(tmp_path: Path) -> Callable[[int], SpoolWriter]:
    """Give what writes one record that began at a time."""

    def write(started_us: int) -> SpoolWriter:
        writer = SpoolWriter(tmp_path)
        assert writer.append(msgspec.json.encode({"started_us": started_us}))
        return writer

    return write


def taken(reader: SpoolReader) -> None:
    """Do what the ingester does: delete what nobody writes to."""
    for one in reader.segments():
        if not reader.live(one):
            reader.delete(one)


def test_it_waits_for_what_was_begun_before_and_not_for_what_came_after(
    tmp_path: Path, wrote: Callable[[int], SpoolWriter]
) -> None:
    reader, erased = SpoolReader(tmp_path), Erasures()
    clearing = Clearing(reader, erased)
    before = wrote(50)
    clearing.step()
    assert clearing.done_us == 0
    erased.at = 100
    after = wrote(101)
    clearing.step()
    assert clearing.done_us == 0, "a segment of the time before is written to still"
    before.close()
    taken(reader)
    clearing.step()
    assert clearing.done_us == 100 and len(reader.segments()) == 1
    erased.at = 200
    clearing.step()
    assert clearing.done_us == 100
    after.close()
    taken(reader)
    clearing.step()
    assert clearing.done_us == 200


def test_a_worker_that_starts_counts_what_lies_there(tmp_path: Path, wrote: Callable[[int], SpoolWriter]) -> None:
    wrote(50).close()
    (tmp_path / f"{'0' * 32}-00000000.spool").write_bytes(b"no record")
    erased = Erasures()
    erased.at = 100
    clearing = Clearing(SpoolReader(tmp_path), erased)
    clearing.step()
    assert clearing.done_us is None
    taken(SpoolReader(tmp_path))
    clearing.step()
    assert clearing.done_us == 100


def test_what_a_worker_never_said_is_not_done() -> None:
    beats = [
        WorkerBeat(host=host, state_dir="/s", version="1", pid=1, seen_us=7, erased_us=at)
        for host, at in (("old", None), ("behind", 99), ("there", 100))
    ]
    assert [one.done for one in standing(100, beats).spools] == [False, False, True]
    assert standing(None, beats).erased_us is None
