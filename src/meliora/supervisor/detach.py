"""Start, stop and look from outside: what `meliora up`, `down`, `reload` and `status` do.

Ends a process only after checking that its pid is still ours.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from meliora.errors import MelioraError, SettingsError
from meliora.settings import Settings
from meliora.settings.load import as_error, read
from meliora.supervisor.layout import CHILDREN, Layout, Running, address, free_port, is_locked, locked, read_pids
from meliora.supervisor.watch import Plan, Supervisor

READY_SECONDS = 60.0
LAST_LINES = 20


class NotReady(MelioraError):
    """Report a start that did not come to answering, with what the logs say."""

    code = "not_ready"


def prepare_apart(config: str | None) -> None:
    """Make what a start needs in a process of its own, so that the supervisor stays small. Raises as `prepare` does."""
    command = [sys.executable, "-m", "meliora.cli", "prepare", *(["--config", config] if config else [])]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().removeprefix("meliora: ") or f"The preparation ended with {done.returncode}."
        raise (SettingsError if done.returncode == 2 else NotReady)(lines)


def supervise(settings: Settings, config: str | None, *, to_stdout: bool, announce: Callable[[str], None]) -> int:
    """Run the three processes in the foreground until told to stop; give the exit code.

    Raises `Conflict` where Meliora runs already, `SettingsError` where the port or the directory cannot be used.
    """
    os.umask(0o077)  # what the processes write is for their owner alone
    layout = Layout.of(settings)
    layout.make()
    with locked(layout):
        _end_orphans(layout, settings.server.drain_seconds, held=True)
        port = free_port(settings.server.host, settings.server.port)
        prepare_apart(config)
        url = address(settings.server.host, port)
        announce(url)
        arguments = [config] if config else []
        plan = Plan(
            layout=layout,
            url=url,
            commands={name: [sys.executable, "-m", "meliora.supervisor.child", name, *arguments] for name in CHILDREN},
            drain=settings.server.drain_seconds,
            check=lambda: _wrong(config),
            environ={"MELIORA_SERVER__PORT": str(port)},
            to_stdout=to_stdout,
        )
        return Supervisor(plan).run()


def _wrong(config: str | None) -> str:
    loaded = read(config)
    return "" if loaded.settings is not None else str(as_error(loaded))


def start(settings: Settings, config: str | None) -> str:
    """Start in the background and give the URL once everything answers.

    Raises `SettingsError` or `NotReady` with the last lines of the log, after `READY_SECONDS` at most.
    """
    layout = Layout.of(settings)
    layout.make()
    _end_orphans(layout, settings.server.drain_seconds)
    free_port(settings.server.host, settings.server.port)
    log = layout.logs / "supervisor.log"
    begin = log.stat().st_size if log.exists() else 0
    command = [sys.executable, "-m", "meliora.cli", "up", *(["--config", config] if config else [])]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        code = process.poll()
        if code is not None:
            text = _tail(log, begin) or f"The start ended with {code}."
            said = text.rpartition("meliora: ")[2] if code == 2 else text
            raise (SettingsError if code == 2 else NotReady)(said + _last_words(layout, settled=code == 2))
        running = read_pids(layout)
        if running.supervisor == process.pid and running.url and ask(running.url, "/ready")[0] == 200:
            _await_control(running.url, deadline)
            return running.url
        time.sleep(0.1)
    process.terminate()
    raise NotReady(f"It did not answer within {READY_SECONDS:g} seconds, and is stopped.{_last_words(layout)}")


def _await_control(url: str, deadline: float) -> None:
    """Wait for the API too; without it calls are served all the same, so there is nothing to stop."""
    while ask(url, "/openapi.json")[0] != 200 and time.monotonic() < deadline:
        time.sleep(0.1)


def _last_words(layout: Layout, *, settled: bool = False) -> str:
    """Give the last lines of each process's log; nothing where the reason is known already."""
    if settled and not any((layout.logs / f"{name}.log").exists() for name in CHILDREN):
        return ""
    parts = [(layout.logs / f"{name}.log", name) for name in CHILDREN]
    texts = [f"\n--- {path}\n{_tail(path, 0)}" for path, _ in parts if path.exists() and _tail(path, 0)]
    return "".join(texts)


def _tail(path: Path, begin: int) -> str:
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(begin, end - 16384))
        return "\n".join(file.read().decode(errors="replace").strip().splitlines()[-LAST_LINES:])


def ask(url: str, path: str, timeout: float = 2.0) -> tuple[int, Any]:
    """GET a path; give the status (0 where nothing answers) and the JSON body, None where it is not JSON."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return 0, None
    finally:
        connection.close()
    try:
        return answer.status, json.loads(body)
    except ValueError:
        return answer.status, None


def stop(settings: Settings) -> bool:
    """Stop the supervisor and its processes after the calls in flight; give whether there was anything to stop.

    Raises `NotReady` where they do not end in time.
    """
    layout = Layout.of(settings)
    running = read_pids(layout)
    supervisor = running.supervisor
    if not is_locked(layout) or supervisor is None:
        return _end_orphans(layout, settings.server.drain_seconds)
    os.kill(supervisor, signal.SIGTERM)
    deadline = time.monotonic() + settings.server.drain_seconds + 30
    while is_locked(layout) or running.supervisor is not None:  # its lock goes a moment before it does
        if time.monotonic() > deadline:
            raise NotReady(f"Process {supervisor} does not end.", hint=f"See {layout.logs}/supervisor.log.")
        time.sleep(0.1)
    return True


def reload(settings: Settings) -> bool:
    """Ask the supervisor to reload; give whether there is one."""
    layout = Layout.of(settings)
    pid = read_pids(layout).supervisor if is_locked(layout) else None
    if pid is not None:
        os.kill(pid, signal.SIGHUP)
    return pid is not None


def running(settings: Settings) -> Running | None:
    """Give what runs with this state directory; None where nothing does."""
    layout = Layout.of(settings)
    found = read_pids(layout)
    return found if found.supervisor is not None and is_locked(layout) else None


def _end_orphans(layout: Layout, drain: float, *, held: bool = False) -> bool:
    """End processes whose supervisor was killed; give whether there were any. `held`: the lock is the caller's own."""
    if not held and is_locked(layout):
        return False
    known = read_pids(layout)
    ended = False
    for name in CHILDREN:
        pid = known.alive(name)
        if pid is None:
            continue
        ended = True
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + drain + 5
        while known.alive(name) and time.monotonic() < deadline:
            time.sleep(0.05)
        if known.alive(name):
            os.kill(pid, signal.SIGKILL)
    if ended:
        layout.pid_file.unlink(missing_ok=True)
    return ended
