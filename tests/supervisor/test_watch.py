"""The supervisor keeps its processes alive, passes signals on, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from meliora.settings import Settings
from meliora.settings.models import Server
from meliora.supervisor import detach
from meliora.supervisor.layout import CHILDREN, Layout, is_locked, read_pids

TOYS = Path(__file__).with_name("toys.py")


def until(condition: Callable[[], object], what: str, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class Toys:
    """A running supervisor and what its processes noted."""

    def __init__(self, root: Path, *code: str) -> None:
        self.layout = Layout(root)
        self.settings = Settings(server=Server(state_dir=root, drain_seconds=5))
        self.process = subprocess.Popen(
            [sys.executable, str(TOYS), str(root), *code], stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def notes(self) -> list[str]:
        file = self.layout.root / "notes"
        return file.read_text().splitlines() if file.exists() else []

    def up(self) -> Toys:
        until(lambda: all(f"{name} up" in self.notes() for name in CHILDREN), "the toys start")
        until(lambda: len(read_pids(self.layout).pids) == 4, "the pids are written")
        return self

    def pid(self, name: str) -> int:
        return read_pids(self.layout).pids[name][0]

    def end(self) -> tuple[int, str]:
        said = self.process.communicate(timeout=20)[1]
        return self.process.returncode, said

    def clean(self) -> None:
        pids = [pid for name in CHILDREN if (pid := read_pids(self.layout).alive(name))]
        for pid in ([self.process.pid] if self.process.poll() is None else []) + pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def toys(tmp_path: Path) -> Iterator[Toys]:
    running = Toys(tmp_path / "var")
    yield running.up()
    running.clean()


def test_a_killed_process_comes_back_and_the_others_are_not_touched(toys: Toys) -> None:
    before = {name: toys.pid(name) for name in CHILDREN}
    os.kill(before["worker"], signal.SIGKILL)
    until(lambda: toys.notes().count("worker up") == 2, "the worker comes back")
    until(lambda: toys.pid("worker") != before["worker"], "its new pid is written")
    assert {name: toys.pid(name) for name in ("gateway", "control")} == {n: before[n] for n in ("gateway", "control")}
    toys.process.terminate()
    code, said = toys.end()
    assert code == 0 and "worker was ended by SIGKILL and starts again" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_the_gateway_first_and_leaves_nothing(toys: Toys, number: signal.Signals) -> None:
    pids = [toys.pid(name) for name in CHILDREN]
    toys.process.send_signal(number)
    assert toys.end()[0] == 0
    ends = [note.split()[0] for note in toys.notes() if note.endswith("SIGTERM")]
    assert ends[0] == "gateway" and sorted(ends) == ["control", "gateway", "worker"]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not toys.layout.pid_file.exists() and not is_locked(toys.layout)


def test_a_reload_keeps_the_gateway_and_starts_the_others_anew(toys: Toys) -> None:
    before = {name: toys.pid(name) for name in CHILDREN}
    assert detach.reload(toys.settings)
    until(lambda: toys.notes().count("worker up") == 2 and toys.notes().count("control up") == 2, "the others restart")
    until(lambda: "gateway SIGHUP" in toys.notes(), "the gateway is told")
    assert toys.pid("gateway") == before["gateway"] and toys.notes().count("gateway up") == 1


def test_a_reload_of_bad_settings_changes_nothing_and_is_shouted(toys: Toys) -> None:
    (toys.layout.root / "bad").touch()
    toys.process.send_signal(signal.SIGHUP)
    os.kill(toys.pid("worker"), signal.SIGKILL)
    until(lambda: toys.notes().count("worker up") == 2, "the signal was handled")
    toys.process.terminate()
    assert "nothing is reloaded: the file is bad" in toys.end()[1]
    assert "gateway SIGHUP" not in toys.notes()


def test_down_stops_what_the_pid_file_names(toys: Toys) -> None:
    assert detach.running(toys.settings) is not None
    assert detach.stop(toys.settings)
    assert toys.end()[0] == 0 and detach.running(toys.settings) is None
    assert not detach.stop(toys.settings)


def test_when_the_supervisor_is_killed_its_processes_go_on_until_the_next_stop(toys: Toys) -> None:
    pids = {name: toys.pid(name) for name in CHILDREN}
    toys.process.kill()
    toys.end()
    assert all(read_pids(toys.layout).alive(name) == pid for name, pid in pids.items())
    assert detach.running(toys.settings) is None
    assert detach.stop(toys.settings)
    assert [note for note in toys.notes() if note == "gateway SIGTERM"]
    assert not any(read_pids(toys.layout).alive(name) for name in CHILDREN)


def test_settings_that_no_process_can_start_with_end_everything_with_2(tmp_path: Path) -> None:
    running = Toys(tmp_path / "var", "import sys; sys.exit(2)")
    try:
        code, said = running.end()
        assert code == 2 and "gateway cannot start with these settings" in said
    finally:
        running.clean()
