"""Whatever happens to a writer, what was served is served on, whole; and the next writer comes to what there should be."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from meliora.errors import Conflict, StoreError
from meliora.knowledge.index.embedded import Embedded, Settings
from meliora.testing import FrozenClock
from tests.knowledge.index.contract import all_of, animals, chunk, found, many, put
from tests.knowledge.index.falling import CHANGES, STEPS, full_at, opened

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def wanted(tmp_path_factory) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """Give what an index tells before and after the changes."""
    index = opened(tmp_path_factory.mktemp("whole") / "index")
    index.apply(many(80))
    before = all_of(index.view())
    index.apply(CHANGES)
    return before, all_of(index.view())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Give an index that has something."""
    opened(tmp_path / "index").apply(many(80))
    return tmp_path / "index"


def fallen(directory: Path, what: str, step: str) -> int:
    """Let a process fall, and give how it ended."""
    given = [sys.executable, "-m", "tests.knowledge.index.falling", str(directory), what, step]
    return subprocess.run(given, cwd=ROOT, timeout=60, check=False).returncode


@pytest.mark.parametrize("step", ["words", "parts", "manifest", "renamed", "point", "pointed"])
def test_a_writer_that_is_killed_while_applying_breaks_nothing(directory: Path, wanted, step: str) -> None:
    before, after = wanted
    reader = opened(directory)
    open_view = reader.view()
    assert fallen(directory, "apply", step) == -signal.SIGKILL
    assert all_of(open_view) == before
    expected = after if step == "pointed" else before
    assert all_of(reader.view()) == expected
    assert all_of(opened(directory).view()) == expected
    assert opened(directory).apply(CHANGES) == 329
    assert all_of(reader.view()) == after
    assert "engine" in reader.view().vocabulary() or found(reader.view(), "piston", "dense")


@pytest.mark.parametrize("step", ["manifest", "renamed"])
def test_a_writer_that_is_killed_while_building_breaks_nothing(directory: Path, wanted, step: str) -> None:
    before, after = wanted
    assert fallen(directory, "build", step) == -signal.SIGKILL
    index = opened(directory)
    assert all_of(index.view()) == (after if step == "pointed" else before)
    index.build([*many(80), *CHANGES], "2")
    index.switch("2")
    assert all_of(index.view()) == after


def test_half_a_generation_is_removed_by_the_next_writer(directory: Path) -> None:
    assert fallen(directory, "midway", "-") == -signal.SIGKILL
    assert (directory / "2").is_dir()
    assert opened(directory).view().generation == "1"
    opened(directory).apply([])
    assert not (directory / "2").exists()


@pytest.mark.parametrize("step", STEPS[:-1])
def test_a_full_disk_is_told_and_what_served_serves_on(directory: Path, wanted, step: str) -> None:
    before, after = wanted
    full = opened(directory, full_at(step))
    with pytest.raises(OSError, match="No space left") as caught:
        full.apply(CHANGES)
    assert caught.value.errno == errno.ENOSPC
    assert all_of(full.view()) == before
    with pytest.raises(OSError, match="No space left"):
        full.build(many(60), "9")
        full.switch("9")
    assert all_of(full.view()) == before
    assert opened(directory).apply(CHANGES) == 329
    assert all_of(full.view()) == after


@pytest.mark.parametrize("room", [100, 3_000, 20_000])
def test_a_disk_that_takes_no_more_bytes_is_an_error_of_the_system(directory: Path, wanted, room: int) -> None:
    before, after = wanted
    big = [put(at, f"big{at}", f"unheard{at} of{at} words{at} " * 20) for at in range(400, 600)]
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            opened(directory).apply(big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert all_of(opened(directory).view()) == before
    opened(directory).apply(CHANGES)
    assert all_of(opened(directory).view()) == after


def test_the_second_of_two_writers_is_told_who_holds_it(directory: Path) -> None:
    second = opened(directory)
    told: list[str] = []

    def meanwhile(name: str) -> None:
        if name == "words":
            for refused in (lambda: second.apply(CHANGES), lambda: second.build([], "3"), lambda: second.switch("1")):
                with pytest.raises(Conflict) as caught:
                    refused()
                told.append(str(caught.value))

    opened(directory, meanwhile).apply(CHANGES)
    assert len(told) == 3
    assert all(f"process {os.getpid()} (apply)" in one for one in told)
    assert second.apply(CHANGES) == 329


def test_readers_see_one_state_or_the_next_while_it_is_written_and_switched(directory: Path) -> None:
    wrong: list[object] = []
    done = threading.Event()

    def read(reader: Embedded) -> None:
        try:
            while not done.is_set():
                view = reader.view()
                names = [f"{one}#0" for one in found(view, "engine oil", limit=200)]
                if None in view.stored(names) or view.documents != len(dict(view.hashes())):
                    wrong.append((view.generation, view.watermark))
        except Exception as error:  # noqa: BLE001 - whatever it is, the test has to tell it
            wrong.append(error)

    readers = [threading.Thread(target=read, args=(opened(directory),)) for _ in range(3)]
    for one in readers:
        one.start()
    writer = opened(directory)
    for round_ in range(6):
        seq = writer.view().watermark + 1
        writer.apply([put(seq, f"d{round_}", f"engine oil {round_}"), *many(3, first=seq + 1)])
    writer.build(many(70), "2")
    writer.switch("2")
    writer.apply(many(3, first=100))
    done.set()
    for one in readers:
        one.join()
    assert wrong == []


def test_many_small_steps_leave_few_files_and_lose_nothing(tmp_path: Path) -> None:
    stepwise, at_once = opened(tmp_path / "a"), opened(tmp_path / "b")
    changes = [*many(60), *[put(100 + at, f"d{at % 20}", f"word{at} engine oil") for at in range(40)]]
    for at in range(0, len(changes), 3):
        stepwise.apply(changes[at : at + 3])
    at_once.apply(changes)
    assert all_of(stepwise.view()) == all_of(at_once.view())
    for where in ({"at": {"gt": 30}}, {"id": "d7"}, {"at": 44}):
        expected = sorted(found(at_once.view(), "engine oil", where=where, limit=100))
        assert sorted(found(stepwise.view(), "engine oil", where=where, limit=100)) == expected
    assert found(stepwise.view(), "oil", "dense", where={"id": "d7"}) == ["d7"]
    assert len(list((tmp_path / "a" / "1").iterdir())) < 50


def test_dead_rows_are_left_out_once_they_are_more_than_the_living(tmp_path: Path) -> None:
    index = Embedded(tmp_path / "index", chunk=chunk, clock=FrozenClock(), settings=Settings(dead_rows=100))
    index.apply([*many(60), put(61, "two", "first part\n\nsecond part", metadata={"kind": "cut"})])
    for round_ in range(1, 6):
        index.apply([put(100 * round_ + at, f"d{at}", f"engine oil round{round_}") for at in range(1, 41)])
    once = opened(tmp_path / "once")
    once.apply([*many(60), put(61, "two", "first part\n\nsecond part", metadata={"kind": "cut"})])
    once.apply([put(500 + at, f"d{at}", f"engine oil round{5}") for at in range(1, 41)])
    view = index.view()
    assert all_of(view) == all_of(once.view())
    assert found(view, "part", where={"kind": "cut"}, limit=5) == ["two", "two"]
    assert sum(1 for _ in (tmp_path / "index" / "1").glob("records-*")) <= 2
    assert max(int(one.name.partition("-")[2]) for one in (tmp_path / "index" / "1").glob("records-*")) > 0
    assert found(view, "flour", "dense")


def test_a_damaged_file_is_named(directory: Path) -> None:
    victim = next(directory.glob("1/counts-*"))
    body = bytearray(victim.read_bytes())
    body[len(body) // 2] ^= 0xFF
    victim.write_bytes(body)
    with pytest.raises(StoreError, match="checksum"):
        opened(directory).view().vocabulary()
    (directory / "1" / "records-0").write_bytes(b"short")
    with pytest.raises(StoreError, match="records-0 is damaged"):
        opened(directory).view()


def test_an_index_of_another_version_serves_nothing_and_is_built_again(directory: Path) -> None:
    manifest = next(directory.glob("1/*/manifest.json"))
    manifest.write_bytes(manifest.read_bytes().replace(b'"schema":1', b'"schema":0'))
    index = opened(directory)
    assert (index.view().generation, index.view().documents) == ("", 0)
    index.build(animals(), "1")
    index.switch("1")
    assert found(index.view(), "fox") == ["fox"]


def test_a_writer_takes_up_a_directory_that_was_removed(directory: Path) -> None:
    index = opened(directory)
    assert index.view().documents == 80
    (directory / "CURRENT").unlink()
    assert index.view().documents == 0
    index.apply(animals())
    assert index.view().documents == 3


class TestEmbeddings:
    """Vectors that a provider gives."""

    def index(self, directory: Path, dimension: int = 4, embed=None) -> Embedded:
        """Open an index with embeddings by the letters of a text."""

        def letters(texts):
            return [[text.lower().count(one) + 0.01 for one in "etaoinsh"[:dimension]] for text in texts]

        return Embedded(directory, chunk=chunk, clock=FrozenClock(), embed=embed or letters)

    def test_they_are_searched_by_the_text_of_a_query(self, tmp_path: Path) -> None:
        index = self.index(tmp_path)
        index.apply([put(1, "a", "eee e"), put(2, "b", "ttt t"), put(3, "c", "aaa a")])
        assert found(index.view(), "tt", "dense")[0] == "b"
        index.apply([put(4, "d", "tttttttt")])
        assert "d" in found(index.view(), "tt", "dense", limit=2)

    def test_another_number_of_dimensions_is_refused(self, tmp_path: Path) -> None:
        self.index(tmp_path).apply(animals())
        other = self.index(tmp_path, dimension=6)
        with pytest.raises(Conflict, match="6 dimensions, those of the index 4"):
            other.apply([put(9, "x", "text")])
        with pytest.raises(Conflict, match="6 dimensions"):
            found(other.view(), "fox", "dense")
        assert found(other.view(), "fox") == ["fox"]

    def test_an_index_with_vectors_of_its_own_takes_none(self, directory: Path) -> None:
        with pytest.raises(Conflict, match="configured otherwise"):
            self.index(directory).apply([put(900, "x", "text")])
        plain = opened(directory)
        self.index(directory).build(many(10), "2")
        plain.switch("2")
        with pytest.raises(Conflict, match="none is configured"):
            found(plain.view(), "engine", "dense")

    @pytest.mark.parametrize("said", [[], [[1.0]], [[float("nan")]] * 3, [[]] * 3, 7])
    def test_what_is_no_vector_a_text_is_refused(self, tmp_path: Path, said) -> None:
        index = self.index(tmp_path, embed=lambda texts: said)
        with pytest.raises(Conflict, match="embeddings"):
            index.apply(animals())
        assert index.view().documents == 0
