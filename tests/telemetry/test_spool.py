"""The spool loses nothing that was kept, survives damage anywhere, and never raises to the writer."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meliora.telemetry.spool import HEADER, MAGIC, OLDEST_SECONDS, SpoolReader, SpoolWriter, spool_bytes

RECORDS = [b'{"n":%d,"x":"%s"}' % (n, b"a" * (n * 7)) for n in range(8)]


def read_all(directory: Path, max_bytes: int = 100) -> list[bytes]:
    """Read every segment from its beginning, in small chunks."""
    reader = SpoolReader(directory)
    found: list[bytes] = []
    for segment in reader.segments():
        offset = 0
        while True:
            chunk = reader.read(segment, offset, max_bytes)
            if chunk.end == offset:
                break
            assert chunk.end > offset
            found += chunk.payloads
            offset = chunk.end
    return found


def written(directory: Path, records: list[bytes] = RECORDS, **options) -> SpoolWriter:
    writer = SpoolWriter(directory, **options)
    for record in records:
        assert writer.append(record)
    return writer


def only_segment(directory: Path) -> Path:
    (segment,) = SpoolReader(directory).segments()
    return directory / segment


def test_records_come_back_in_order_while_the_writer_lives_and_after(tmp_path: Path) -> None:
    writer = written(tmp_path)
    assert read_all(tmp_path) == RECORDS
    writer.close()
    assert read_all(tmp_path) == RECORDS
    assert writer.append(b"{}")
    assert read_all(tmp_path) == [*RECORDS, b"{}"]


def test_segments_are_closed_at_their_size_and_only_the_last_is_live(tmp_path: Path) -> None:
    writer = written(tmp_path, segment_bytes=120)
    reader = SpoolReader(tmp_path)
    segments = reader.segments()
    assert len(segments) > 3
    assert [reader.live(segment) for segment in segments] == [False] * (len(segments) - 1) + [True]
    assert read_all(tmp_path) == RECORDS
    writer.close()
    assert not reader.live(segments[-1])


def test_two_writers_never_share_a_segment(tmp_path: Path) -> None:
    written(tmp_path, [b"1"])
    written(tmp_path, [b"2"])
    assert sorted(read_all(tmp_path)) == [b"1", b"2"]
    assert len(SpoolReader(tmp_path).segments()) == 2


def test_files_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    written(tmp_path / "spool", [b"1"])
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    assert only_segment(tmp_path / "spool").stat().st_mode & 0o777 == 0o600


def test_a_record_larger_than_what_is_read_at_once_is_read_whole(tmp_path: Path) -> None:
    large = b"x" * 100_000
    written(tmp_path, [b"1", large, b"2"]).close()
    assert read_all(tmp_path, max_bytes=10) == [b"1", large, b"2"]


@pytest.mark.parametrize("live", [True, False], ids=["living writer", "dead writer"])
def test_a_segment_cut_at_any_byte_gives_all_whole_records_and_waits_only_for_the_living(
    tmp_path: Path, live: bool
) -> None:
    written(tmp_path).close()
    path = only_segment(tmp_path)
    whole = path.read_bytes()
    ends = [0]
    for record in RECORDS:
        ends.append(ends[-1] + HEADER.size + len(record))
    reader = SpoolReader(tmp_path)
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        with path.open("rb") as file:
            if live:
                fcntl.flock(file, fcntl.LOCK_EX)
            chunk = reader.read(path.name, 0, 10_000)
        complete = sum(end <= cut for end in ends[1:])
        assert chunk.payloads == RECORDS[:complete]
        assert chunk.end == (ends[complete] if live else cut)
        assert chunk.skipped == (0 if live else cut - ends[complete])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damage_anywhere_costs_only_the_records_it_touches(tmp_path: Path, data: st.DataObject) -> None:
    for path in tmp_path.iterdir():
        path.unlink()
    written(tmp_path).close()
    path = only_segment(tmp_path)
    whole = bytearray(path.read_bytes())
    start = data.draw(st.integers(0, len(whole) - 1))
    noise = data.draw(st.binary(min_size=1, max_size=40) | st.just(MAGIC) | st.just(MAGIC + b"\0\0\0\5"))
    if data.draw(st.booleans()):
        whole[start : start + len(noise)] = noise
        touched = range(start, start + len(noise))
    else:
        whole[start:start] = noise
        touched = range(start, start + 1)
    path.write_bytes(whole)
    found = read_all(tmp_path, max_bytes=data.draw(st.integers(1, 300)))
    at = 0
    for record in RECORDS:
        end = at + HEADER.size + len(record)
        if not any(at <= place < end for place in touched):
            assert record in found
        at = end
    assert [record for record in found if record in RECORDS] == [record for record in RECORDS if record in found]


def test_a_frame_written_in_two_parts_is_given_once_it_is_whole(tmp_path: Path) -> None:
    written(tmp_path).close()
    path = only_segment(tmp_path)
    whole = path.read_bytes()
    reader = SpoolReader(tmp_path)
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.truncate(path, len(whole) - 5)
        first = reader.read(path.name, 0, 10_000)
        file.seek(0, os.SEEK_END)
        file.write(whole[-5:])
        file.flush()
        second = reader.read(path.name, first.end, 10_000)
    assert first.payloads + second.payloads == RECORDS
    assert second.skipped == 0


def test_a_segment_that_is_gone_or_shorter_than_its_offset_has_no_records(tmp_path: Path) -> None:
    reader = SpoolReader(tmp_path / "none")
    assert reader.segments() == []
    assert (reader.read("x.spool", 7, 100).payloads, reader.read("x.spool", 7, 100).end) == ([], 7)
    written(tmp_path, [b"1"]).close()
    assert SpoolReader(tmp_path).read(only_segment(tmp_path).name, 10_000, 100).end == 10_000


class Disk:
    """Writes that fail as told; time that stands still until moved."""

    def __init__(self) -> None:
        self.error: OSError | None = None
        self.part: int | None = None
        self.now = 0.0

    def write(self, file: int, data: bytes) -> int:
        if self.error is not None:
            raise self.error
        return os.write(file, data if self.part is None else data[: self.part])

    def clock(self) -> float:
        return self.now


def test_a_full_disk_drops_counts_and_recovers_without_raising(tmp_path: Path) -> None:
    disk = Disk()
    writer = SpoolWriter(tmp_path, write=disk.write, clock=disk.clock)
    assert writer.append(b"1")
    disk.error = OSError(errno.ENOSPC, "No space left on device")
    assert not writer.append(b"2")
    assert writer.last_error is not None
    assert "ENOSPC" in writer.last_error
    disk.error = None
    assert not writer.append(b"3"), "it is not tried at once"
    disk.now = 1.0
    assert writer.append(b"4")
    assert (writer.dropped, writer.appended, writer.last_error) == (2, 2, None)
    assert read_all(tmp_path) == [b"1", b"4"]


@pytest.mark.parametrize("part", [0, 1, HEADER.size, HEADER.size + 3])
def test_a_part_of_a_frame_is_taken_back(tmp_path: Path, part: int) -> None:
    disk = Disk()
    writer = SpoolWriter(tmp_path, write=disk.write, clock=disk.clock)
    writer.append(b"first")
    disk.part = part
    assert not writer.append(b"second")
    assert only_segment(tmp_path).stat().st_size == HEADER.size + 5
    disk.part, disk.now = None, 1.0
    assert writer.append(b"third")
    writer.close()
    assert read_all(tmp_path) == [b"first", b"third"]


def test_a_directory_that_cannot_be_made_costs_records_and_not_calls(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    writer = SpoolWriter(tmp_path / "file" / "spool")
    assert not writer.append(b"1")
    assert writer.dropped == 1


def test_the_spool_stops_at_its_limit_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    disk = Disk()
    writer = SpoolWriter(tmp_path, segment_bytes=200, max_bytes=500, clock=disk.clock)
    while writer.append(b"x" * 50):
        pass
    assert spool_bytes(tmp_path) <= 500
    assert writer.last_error is not None
    assert "limit of 500" in writer.last_error
    reader = SpoolReader(tmp_path)
    reader.delete(reader.segments()[0])
    assert not writer.append(b"x" * 50), "others' deletions are looked for once a second"
    disk.now = 2.0
    assert writer.append(b"x" * 50)


def test_an_old_segment_is_closed_though_nothing_more_is_written_and_the_next_record_opens_another(
    tmp_path: Path,
) -> None:
    disk = Disk()
    writer, reader = SpoolWriter(tmp_path, clock=disk.clock), SpoolReader(tmp_path)
    writer.rest()
    assert reader.segments() == []
    writer.append(b"1")
    writer.note(b"2")
    disk.now = OLDEST_SECONDS - 1
    writer.rest()
    [first] = reader.segments()
    assert reader.live(first)
    disk.now = OLDEST_SECONDS
    writer.rest()
    assert not reader.live(first) and read_all(tmp_path) == [b"1", b"2"]
    writer.append(b"3")
    disk.now += OLDEST_SECONDS - 1
    writer.rest()
    assert [reader.live(one) for one in reader.segments()] == [False, True]


def test_the_limit_counts_what_other_writers_hold(tmp_path: Path) -> None:
    written(tmp_path, [b"x" * 400])
    assert not SpoolWriter(tmp_path, max_bytes=450).append(b"y" * 100)


def test_a_file_size_limit_of_the_system_is_survived(tmp_path: Path) -> None:
    code = f"""
import resource, signal, sys
from pathlib import Path
from meliora.telemetry.spool import SpoolWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {resource.RLIM_INFINITY}))
now = 0.0
writer = SpoolWriter(Path(sys.argv[1]), clock=lambda: now)
kept = [n for n in range(30) if writer.append(b"%03d" % n + b"x" * 60)]
resource.setrlimit(resource.RLIMIT_FSIZE, ({resource.RLIM_INFINITY}, {resource.RLIM_INFINITY}))
now = 5.0
kept += [n for n in range(30, 40) if writer.append(b"%03d" % n + b"x" * 60)]
print(len(kept), writer.dropped)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    kept, dropped = map(int, done.stdout.split())
    assert (kept, dropped) == (13 + 10, 17)
    assert len(read_all(tmp_path)) == kept


def test_a_killed_writer_leaves_whole_records_and_a_free_segment(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from meliora.telemetry.spool import SpoolWriter
writer = SpoolWriter(Path(sys.argv[1]))
n = 0
while True:
    writer.append(b"%d" % n)
    n += 1
    if n == 1000:
        print("go", flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    reader = SpoolReader(tmp_path)
    assert reader.live(reader.segments()[-1])
    process.kill()
    process.wait()
    process.stdout.close()
    found = read_all(tmp_path, max_bytes=1 << 20)
    assert found == [b"%d" % n for n in range(len(found))]
    assert len(found) >= 1000
    assert not reader.live(reader.segments()[-1])


def test_the_spool_is_usable_without_a_database_driver() -> None:
    code = (
        "import sys, meliora.telemetry.spool, meliora.telemetry.ids, meliora.telemetry.records\n"
        "assert not {'sqlalchemy', 'alembic', 'sqlite3', 'fastapi'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
