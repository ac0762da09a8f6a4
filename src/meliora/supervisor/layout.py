"""The state directory on disk: its files, and whether a pid is still the process that was written down.

Kills nothing.
"""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from meliora.errors import Conflict, SettingsError
from meliora.settings import Settings

CHILDREN = ("gateway", "control", "worker")


@dataclass(frozen=True, slots=True)
class Layout:
    """The places in a state directory."""

    root: Path

    @classmethod
    def of(cls, settings: Settings) -> Layout:
        """Give the layout of these settings' state directory."""
        return cls(settings.server.state_dir.expanduser())

    @property
    def pid_file(self) -> Path:
        """The running processes, the supervisor's pid on the first line."""
        return self.root / "meliora.pid"

    @property
    def lock_file(self) -> Path:
        """Locked as long as a supervisor lives."""
        return self.root / "meliora.lock"

    @property
    def admin_key(self) -> Path:
        """The first admin key, readable by its owner alone."""
        return self.root / "admin.key"

    @property
    def logs(self) -> Path:
        """One file a process."""
        return self.root / "logs"

    def make(self) -> None:
        """Make the directories, for the owner alone. Raises `SettingsError` where nothing can be written."""
        try:
            for directory in (self.root, self.logs):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = self.root / f".probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise SettingsError(
                f"The state directory {self.root} cannot be written to: {error.strerror}.",
                hint="Change its owner, or name another with MELIORA_SERVER__STATE_DIR.",
                field="server.state_dir",
            ) from error


@dataclass(frozen=True, slots=True)
class Running:
    """What the pid file says: the pid and identity of each process, and the address."""

    pids: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    url: str = ""

    @property
    def supervisor(self) -> int | None:
        """The supervisor's pid, if the process of that pid is still the one that was written down."""
        return self.alive("supervisor")

    def alive(self, name: str) -> int | None:
        """Give the pid of a process if it is still the one that was written down, else None."""
        pid, known = self.pids.get(name, (0, ""))
        return pid if pid and identity(pid) == known else None


def read_pids(layout: Layout) -> Running:
    """Read the pid file; empty where there is none, or it is damaged."""
    try:
        lines = layout.pid_file.read_text(encoding="utf-8").splitlines()[1:]
    except (OSError, UnicodeDecodeError):
        return Running()
    pids: dict[str, tuple[int, str]] = {}
    url = ""
    for line in lines:
        name, _, rest = line.partition(" ")
        pid, _, known = rest.partition(" ")
        if name == "url":
            url = rest
        elif pid.isdecimal():
            pids[name] = (int(pid), known)
    return Running(pids, url)


def write_pids(layout: Layout, pids: Mapping[str, int], url: str) -> None:
    """Write the pid file, whole or not at all."""
    lines = [str(pids["supervisor"]), *(f"{name} {pid} {identity(pid) or ''}" for name, pid in pids.items())]
    new = layout.pid_file.with_suffix(".new")
    new.write_text("\n".join([*lines, f"url {url}", ""]), encoding="utf-8")
    new.replace(layout.pid_file)


def identity(pid: int) -> str | None:
    """Give what tells a process from a later one of the same pid: its start. None where it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        done = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=10
        )
        return done.stdout.strip() or None
    return None if fields[0] in "ZX" else fields[19]


@contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """Hold the supervisor's lock. Raises `Conflict` where another supervisor lives."""
    descriptor = os.open(layout.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict(f"Meliora runs already with the state in {layout.root}.") from None
        yield
    finally:
        os.close(descriptor)


def is_locked(layout: Layout) -> bool:
    """Whether a supervisor lives."""
    try:
        with locked(layout):
            return False
    except Conflict:
        return True
    except OSError:
        return False


def runs(layout: Layout) -> bool:
    """Whether anything works with the state: a supervisor, or a process that outlived its own."""
    known = read_pids(layout)
    return is_locked(layout) or any(known.alive(name) is not None for name in CHILDREN)


def free_port(host: str, port: int) -> int:
    """Give the port, or a free one for 0. Raises `SettingsError` where it is taken or may not be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen(1)
            return probe.getsockname()[1]
    except OSError as error:
        raise SettingsError(
            f"Port {port} on {host} cannot be used: {error.strerror or error}.",
            hint="Stop what listens there, or choose another: MELIORA_SERVER__PORT=8701.",
            field="server.port",
        ) from error


def address(host: str, port: int) -> str:
    """Give the URL by which this machine reaches the gateway."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
