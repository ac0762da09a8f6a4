"""Keep the processes alive: start them, restart the dead ones with growing pauses, pass signals on, stop in order.

SIGTERM and SIGINT stop everything after the calls in flight; a second one stops at once. SIGHUP reloads: the gateway in
place, so that no call is dropped, the others by a new start. If the supervisor itself is killed, its processes go on,
and the next start or stop finds them by the pid file.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from meliora.supervisor.layout import Layout, write_pids

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
HEALTHY_AFTER = 60.0
"""Seconds a process must live for its next pause to be short again."""
LOG_BYTES = 64 << 20
USAGE_ERROR = 2


@dataclass(slots=True)
class Child:
    """One process and its history."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = FIRST_PAUSE
    due: float = 0.0
    """When to start it again, on the monotonic clock."""
    starts: int = 0

    @property
    def pid(self) -> int | None:
        """Its pid, None while it is down."""
        return None if self.process is None else self.process.pid


@dataclass(slots=True)
class Plan:
    """What to watch and how."""

    layout: Layout
    url: str
    commands: Mapping[str, Sequence[str]]
    """By name, in the order of starting; the first is stopped first, with time to finish its calls."""
    drain: float
    check: Callable[[], str] = lambda: ""
    """Asked before a reload; anything it says is shouted, and nothing is reloaded."""
    environ: Mapping[str, str] = field(default_factory=dict)
    to_stdout: bool = False


class Supervisor:
    """Watch the processes of a plan until told to stop."""

    def __init__(self, plan: Plan, clock: Callable[[], float] = time.monotonic) -> None:
        self._plan = plan
        self._clock = clock
        self._children = [Child(name, command) for name, command in plan.commands.items()]
        self._signals: list[int] = []
        self._rotated = 0.0
        self._unwritten = False
        """The pid file is not as things are: its disk was full."""

    def run(self) -> int:
        """Start everything and watch; give the exit code. Call it in the main thread, with the lock held."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        wakeup = signal.set_wakeup_fd(writer)
        handled = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
        before = {number: signal.signal(number, self._note) for number in handled}
        try:
            return self._watch(reader)
        finally:
            self.stop()
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
            os.close(reader)
            os.close(writer)
            self._plan.layout.pid_file.unlink(missing_ok=True)

    def _note(self, number: int, frame: object) -> None:
        if number != signal.SIGCHLD:
            self._signals.append(number)

    def _watch(self, reader: int) -> int:
        while True:
            while self._signals:
                if self._signals.pop(0) != signal.SIGHUP:
                    return 0
                self._reload()
            failed = self._tend()
            if failed:
                return failed
            self._rotate()
            ready, _, _ = select.select([reader], [], [], self._until_due())
            if ready:
                with suppress(BlockingIOError):
                    os.read(reader, 512)

    def _tend(self) -> int:
        """Bury the dead and start what is due; give an exit code to end with, or 0."""
        changed = False
        for child in self._children:
            code = None if child.process is None else child.process.poll()
            if code is not None:
                changed = True
                if code == USAGE_ERROR and child.starts == 1:
                    self._shout(f"{child.name} cannot start with these settings; see {self._log_name(child)}")
                    return USAGE_ERROR
                self._bury(child, code)
            if child.process is None and self._clock() >= child.due:
                self._start(child)
                changed = True
        if changed or self._unwritten:
            pids = {child.name: child.pid for child in self._children if child.pid is not None}
            try:
                write_pids(self._plan.layout, {"supervisor": os.getpid(), **pids}, self._plan.url)
                self._unwritten = False
            except OSError as error:
                self._unwritten = True
                self._shout(f"{self._plan.layout.pid_file} could not be written: {error.strerror}")
        return 0

    def _start(self, child: Child) -> None:
        log: IO[bytes] | None = None
        out: IO[bytes] | int | None = None
        if not self._plan.to_stdout:
            try:
                out = log = (self._plan.layout.logs / f"{child.name}.log").open("ab")
            except OSError as error:  # better a process without a log than none
                out = subprocess.DEVNULL
                self._shout(f"the log of {child.name} cannot be written: {error.strerror}")
        try:
            child.process = subprocess.Popen(
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **self._plan.environ},
                start_new_session=True,  # a Ctrl-C at the terminal is the supervisor's to pass on
            )
        finally:
            if log is not None:
                log.close()
        child.started = self._clock()
        child.starts += 1

    def _bury(self, child: Child, code: int) -> None:
        now = self._clock()
        if now - child.started >= HEALTHY_AFTER:
            child.pause = FIRST_PAUSE
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        self._shout(f"{child.name} {how} and starts again in {child.pause:g} s; see {self._log_name(child)}")
        child.process = None
        child.due = now + child.pause
        child.pause = min(child.pause * 2, LONGEST_PAUSE)

    def _reload(self) -> None:
        wrong = self._plan.check()
        if wrong:
            self._shout(f"nothing is reloaded: {wrong}")
            return
        self._shout("reloading the settings")
        first, *others = self._children
        if first.process is not None:
            first.process.send_signal(signal.SIGHUP)
        for child in others:
            if child.process is not None:
                _end(child.process, 10.0)
                child.process, child.due = None, self._clock()

    def stop(self) -> None:
        """End the first process with time for its calls, then the others together. Safe to call twice."""
        first, *others = self._children
        patience = self._plan.drain + 5.0
        for group, seconds in (([first], patience), (others, 15.0)):
            living = [child.process for child in group if child.process is not None]
            for process in living:
                process.terminate()
            deadline = self._clock() + seconds
            while any(p.poll() is None for p in living) and self._clock() < deadline and not self._hurried():
                time.sleep(0.05)
            for process in living:
                _end(process, 0.0)
            for child in group:
                child.process = None

    def _hurried(self) -> bool:
        return any(number in (signal.SIGTERM, signal.SIGINT) for number in self._signals)

    def _until_due(self) -> float:
        waits = [child.due - self._clock() for child in self._children if child.process is None]
        return max(0.0, min([*waits, 5.0]))

    def _rotate(self) -> None:
        """Keep each log file and one before it, at most."""
        if self._plan.to_stdout or self._clock() - self._rotated < HEALTHY_AFTER:
            return
        self._rotated = self._clock()
        for path in self._plan.layout.logs.glob("*.log"):
            if path.stat().st_size > LOG_BYTES:
                kept = path.with_suffix(".log.1")
                try:
                    shutil.copyfile(path, kept)
                except OSError as error:
                    kept.unlink(missing_ok=True)  # half a copy only takes the room that is lacking
                    self._shout(f"{path} could not be kept: {error.strerror}")
                os.truncate(path, 0)  # the processes append, so they go on at the new end

    def _log_name(self, child: Child) -> Path | str:
        return "above" if self._plan.to_stdout else self._plan.layout.logs / f"{child.name}.log"

    def _shout(self, text: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with suppress(OSError):  # a full disk that cannot take a line must not end the processes
            sys.stderr.write(f"{stamp} meliora: {text}\n")
            sys.stderr.flush()


def _end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Ask a process to end, and make it after so many seconds."""
    if process.poll() is None and seconds > 0:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    if process.poll() is None:
        process.kill()
        process.wait(10)
