"""`meliora up` as a person meets it: it starts, answers the printed call, starts only once, and stops."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meliora.settings.models import Server, Settings
from meliora.supervisor.detach import stop
from meliora.supervisor.layout import Layout, read_pids, write_pids
from tests.survival.house import quiet_port

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MELIORA_")}
    environ["MELIORA_SERVER__PORT"] = str(quiet_port())

    def meliora(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "meliora.cli", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env={**environ, **more}, capture_output=True, text=True, check=False, timeout=100
        )

    yield meliora
    meliora("down")


def test_up_answers_the_call_it_prints_starts_once_keeps_its_key_and_goes_down(run: Run, tmp_path: Path) -> None:
    first = run("up", "--detach")
    assert first.returncode == 0, first.stderr
    key = tmp_path / "var" / "admin.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and "var/admin.key" in first.stdout
    secret = key.read_text()
    url = re.search(r"curl (http://\S+)", first.stdout)
    body = re.search(r"-d '(.*)'", first.stdout)
    assert url and body
    headers = {"authorization": f"Bearer {secret.strip()}", "content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url[1], body[1].encode(), headers), timeout=10) as answer:
        said = json.loads(answer.read())["choices"][0]["message"]["content"]
    assert "84" in said and said.startswith("[simulated]")

    again = run("up", "--detach")
    assert again.returncode == 0 and "runs already" in again.stdout
    status = run("status", "--json")
    assert status.returncode == 0 and json.loads(status.stdout)["ready"] is True

    elsewhere = run("up", "--detach", MELIORA_SERVER__STATE_DIR=str(tmp_path / "other"))
    assert elsewhere.returncode == 2 and "MELIORA_SERVER__PORT" in elsewhere.stderr
    assert len(elsewhere.stderr.strip().splitlines()) == 1

    pids = read_pids(Layout(tmp_path / "var"))
    down = run("down")
    assert down.returncode == 0, down.stderr
    assert not any(pids.alive(name) for name in pids.pids)
    assert key.read_text() == secret and run("status").returncode == 1


def test_settings_that_are_wrong_end_the_start_with_2_and_the_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "meliora.toml").write_text("[server]\nprot = 1\n")
    done = run("up", "--detach")
    assert done.returncode == 2 and "meliora.toml:2" in done.stderr
    assert not (tmp_path / "var").exists()


LINGERING = """
import fcntl, os, signal, sys, time
lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
def leave(*_):
    os.close(lock)
    time.sleep(0.5)
    os._exit(0)
signal.signal(signal.SIGTERM, leave)
print("holds", flush=True)
while True:
    time.sleep(60)
"""


def test_down_has_ended_when_the_supervisor_is_gone_and_not_when_its_lock_is(tmp_path: Path) -> None:
    """Whoever starts something in its place next must not meet it."""
    layout = Layout(tmp_path)
    command = [sys.executable, "-c", LINGERING, str(layout.lock_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as supervisor:
        assert supervisor.stdout is not None and supervisor.stdout.readline() == b"holds\n"
        write_pids(layout, {"supervisor": supervisor.pid}, "http://x")
        assert stop(Settings(server=Server(state_dir=tmp_path)))
        assert read_pids(layout).supervisor is None
