"""Processes under measurement: started on one core, their CPU time and memory read from outside, stopped by their id.

Linux only. Refuses to leave anything running: each is a context manager.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from benchmarks.load.canned import Target
from benchmarks.report import ControlFailed

_CPUCLOCK_SCHED = 2


def cores() -> tuple[int, int]:
    """Give the core of the gateway and the core of its load; the same one where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def free_port() -> int:
    """Give a port that nobody holds at this moment."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


@dataclass
class Child:
    """A process to be measured. `environ` is its whole environment beside PATH, so that no secret of ours reaches it."""

    command: Sequence[str]
    core: int
    log: Path
    environ: dict[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    piped: bool = False
    """Its standard output is read by `first_line`, and does not go to the log."""
    _process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Child:
        environ = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.log.parent), "LANG": "C.UTF-8", **self.environ}
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if self.piped else log,
                stderr=log,
                text=True,
                env=environ,
                cwd=self.cwd,
                start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {self.core}),
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._running
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                # The session that was started for it holds its children, and nobody else's.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)
        if process.stdout is not None:
            process.stdout.close()

    @property
    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError("a child is used inside its `with` block")
        return self._process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running.pid

    def first_line(self) -> str:
        """Give the first line it prints. Raises `ControlFailed` where it ends without one."""
        stdout = self._running.stdout
        line = stdout.readline() if stdout is not None else ""
        if not line:
            raise ControlFailed(f"{self.command[0]} ended before it said anything: {self.tail()}")
        return line.strip()

    def wait_for(self, request: bytes, port: int, seconds: float, *, status: int = 200) -> None:
        """Wait until it answers `request` with `status`. Raises `ControlFailed` with the end of its log."""
        end = time.monotonic() + seconds
        said = b""
        while time.monotonic() < end:
            if self._running.poll() is not None:
                raise ControlFailed(
                    f"{Path(self.command[0]).name} ended with {self._running.returncode}: {self.tail()}"
                )
            said = _asked(request, port)
            if said.startswith(b"HTTP/1.1 %d" % status):
                return
            time.sleep(0.1)
        raise ControlFailed(f"no {status} within {seconds:.0f} s; it said {said[:200]!r}; its log ends {self.tail()}")

    def tail(self) -> str:
        """Give the end of its log."""
        return self.log.read_text(errors="replace")[-600:].strip() if self.log.exists() else ""

    def cpu_seconds(self) -> float:
        """Give user and system time of the process, threads included, children not: its own clock, in nanoseconds' grain."""
        try:
            return time.clock_gettime((~self.pid << 3) | _CPUCLOCK_SCHED)
        except OSError:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def settle(self, seconds: float = 5.0) -> None:
        """Wait until it is idle (below a tenth of a core), at most `seconds`: what was cut off has been put away."""
        end = time.monotonic() + seconds
        spent = float("inf")
        while spent > 0.02 and time.monotonic() < end:
            before = self.cpu_seconds()
            time.sleep(0.2)
            spent = self.cpu_seconds() - before

    def waited_seconds(self) -> float:
        """Give how long its first thread was ready to run and had no core; 0 where the kernel does not count it."""
        try:
            return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[1]) / 1e9
        except OSError:
            return 0.0

    def rss_kb(self) -> float:
        """Give the resident memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return float(line.split()[1])
        raise ControlFailed(f"process {self.pid} is gone: {self.tail()}")


def _asked(request: bytes, port: int) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as wire:
            wire.sendall(request)
            return wire.recv(65536)
    except OSError as error:
        return str(error).encode()


class Upstream:
    """The canned upstream as a child process."""

    def __init__(self, core: int, folder: Path) -> None:
        root = Path(__file__).parents[2]
        self._child = Child(
            (sys.executable, "-m", "benchmarks.load.upstream", "--core", str(core)),
            core,
            folder / "upstream.log",
            cwd=root,
            piped=True,
        )

    def __enter__(self) -> Upstream:
        self._child.__enter__()
        self.target = Target("127.0.0.1", int(self._child.first_line()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.__exit__(kind, error, trace)

    @property
    def base_url(self) -> str:
        """Its address as a provider's base URL."""
        return f"http://{self.target.host}:{self.target.port}/v1"

    def cpu_seconds(self) -> float:
        """User and system time that it used."""
        return self._child.cpu_seconds()
