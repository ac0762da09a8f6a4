"""Workers that are killed: forked from a clean parent, at a random instruction of their own or at a random moment from outside.

Half of the workers count the instructions that they execute in Meliora's code and kill themselves at a drawn one; the others are
killed by the clock, wherever they are. Either way the place stands on a board that outlives them.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import random
import resource
import signal
import struct
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

import meliora
from benchmarks.loop import plane as plane_file
from benchmarks.loop.lawful import violations
from benchmarks.loop.lives import TENANTS, Life
from benchmarks.loop.plane import Plane
from meliora.errors import MelioraError
from meliora.loop.engine import Engine
from meliora.loop.work import Fence
from meliora.runtime.edges import Edges
from meliora.store.engine import connect
from meliora.store.loop import changes as changes_of
from meliora.store.loop.change_rows import read_change
from meliora.store.migrate import upgrade
from meliora.store.store import Store

HOME = str(Path(meliora.__file__).parent)
COUNTED = (f"{HOME}/loop/", f"{HOME}/store/", f"{HOME}/runtime/", plane_file.__file__)
"""Where an instruction counts."""
OUTSIDE = frozenset(
    {"execute", "commit", "rollback", "fsync", "flock", "pwrite", "write", "fetchall", "replace", "send"}
)
"""Calls out of Python that the board names."""
_DIE_WITH_PARENT = 1
"""`PR_SET_PDEATHSIG` of Linux."""
SLOT = 512
AWAY = 75
"""How a worker ends that found no database."""
INSTRUCTIONS = 90_000
"""At most so many until a worker kills itself."""
SECONDS = 0.5
"""At most so long until the clock kills it."""
DRAIN = 60.0
"""Seconds that whatever is under way may take to end once nobody is killed any more."""


@dataclass(frozen=True)
class Place:
    """Where it all stands. `fence` and `keys` false: that is taken away, to see that its lack shows."""

    url: str
    state_dir: Path
    fence: bool = True
    keys: bool = True

    @property
    def is_sqlite(self) -> bool:
        """Whether one worker stands alone with a file."""
        return self.url.startswith("sqlite")


@dataclass
class Fell:
    """What became of it all."""

    kills: int = 0
    by_itself: int = 0
    places: Counter[str] = field(default_factory=Counter)
    """Module and function to kills there."""
    frozen: int = 0
    jumps: int = 0
    full: int = 0
    lost: int = 0
    faults: list[str] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    """State to changes, at the end."""
    effects: int = 0


class Board:
    """Shared memory: the clock's offset, and for each worker whether it is ready and where it is."""

    def __init__(self, slots: int) -> None:
        self.memory = mmap.mmap(-1, 4096 + slots * SLOT)

    @property
    def offset_us(self) -> int:
        """By how much the wall clock is wrong."""
        return int(struct.unpack_from("q", self.memory, 0)[0])

    @offset_us.setter
    def offset_us(self, value: int) -> None:
        struct.pack_into("q", self.memory, 0, value)

    def clear(self, slot: int) -> None:
        """Forget who was there."""
        at = 4096 + slot * SLOT
        self.memory[at : at + SLOT] = bytes(SLOT)

    def ready(self, slot: int, value: int | None = None) -> bool:
        """Tell whether a worker works; or say so."""
        at = 4096 + slot * SLOT
        if value is not None:
            self.memory[at] = value
        return self.memory[at] == 1

    def write(self, slot: int, place: bytes) -> None:
        """Say where a worker is (510 bytes)."""
        at = 4096 + slot * SLOT + 1
        self.memory[at : at + SLOT - 1] = place

    def read(self, slot: int) -> str:
        """Tell where a worker was."""
        at = 4096 + slot * SLOT + 1
        return self.memory[at : at + SLOT - 1].rstrip(b"\0").decode(errors="replace")


def _place(frame: FrameType, out: str = "") -> bytes:
    code = frame.f_code
    module = code.co_filename.removeprefix(f"{HOME}/").removesuffix(".py").rsplit("/benchmarks/", 1)[-1]
    return f"{module.replace('/', '.')}:{code.co_qualname}{f' > {out}' if out else ''}".encode()[: SLOT - 1].ljust(
        SLOT - 1, b"\0"
    )


def count_down(board: Board, slot: int, instructions: int) -> None:
    """Kill this process when it has executed so many instructions of Meliora's."""
    left = [instructions]

    def local(frame: FrameType, event: str, _: Any) -> Any:
        if event == "opcode":
            left[0] -= 1
            if left[0] <= 0:
                board.write(slot, _place(frame))
                os.kill(os.getpid(), signal.SIGKILL)
        return local

    def entered(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(COUNTED):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return local

    threading.settrace(entered)
    sys.settrace(entered)


def keep_note(board: Board, slot: int) -> None:
    """Write down where this process is at each call, for whoever kills it."""
    known: dict[Any, bytes] = {}

    def noted(frame: FrameType, event: str, called: Any) -> None:
        if event == "call":
            out = ""
        elif event == "c_call" and getattr(called, "__name__", "") in OUTSIDE:
            out = called.__name__
        else:
            return
        inner: FrameType | None = frame
        while inner is not None and not inner.f_code.co_filename.startswith(COUNTED):
            if not out:
                return
            inner = inner.f_back
        if inner is None:
            return
        key = (inner.f_code, out)
        place = known.get(key)
        if place is None:
            place = known[key] = _place(inner, out)
        board.write(slot, place)

    threading.setprofile(noted)
    sys.setprofile(noted)


def open_store(place: Place, board: Board, *, patient: bool = True) -> Store:
    """Open the store in a process of one's own, by the board's clock; who is not patient finds a locked database lost soon."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    engine = connect(place.url)
    if place.is_sqlite and not patient:
        event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout = 250").close())
    if not place.fence:
        _unfence()
    return Store(engine, clock_us=lambda: time.time_ns() // 1000 + board.offset_us, state_dir=place.state_dir)


def _unfence() -> None:
    """Take the fence away: whoever writes is believed to be the current attempt."""

    def held(self: Any, connection: Any, fence: Fence) -> Any:
        return read_change(connection, fence.tenant, fence.change, lock=True)

    changes_of.Changes._held = held  # type: ignore[method-assign]


def plane_of(place: Place) -> Plane:
    """Give the plane outside."""
    return Plane(place.state_dir / "plane", fenced=place.keys)


def prepare(place: Place, board: Board) -> None:
    """Make the schema, and a first policy for each tenant."""
    engine = connect(place.url)
    upgrade(engine)
    engine.dispose()
    with open_store(place, board) as store:
        for tenant in TENANTS:
            made = store.routing_snapshots.add(tenant, lambda number: b"first", kind="prior", made_by="start")
            store.routing_snapshots.promote(tenant, made.number)


def work(place: Place, board: Board, slot: int, seed: int, instructions: int, room: int | None) -> None:
    """Work until killed; `instructions` 0: by somebody else. `room`: bytes left on the disk for the first moments."""
    rng = random.Random(seed)
    try:
        store = open_store(place, board, patient=False)
    except MelioraError:
        os._exit(AWAY)  # the database is away: who starts workers starts another
    life = Life(store, plane_of(place), f"worker-{slot}-{os.getpid()}", rng)
    edges = Edges(Engine(life.house), threads=2)
    full_until = 0.0
    if room is not None:
        full_until = time.monotonic() + 0.3
        resource.setrlimit(resource.RLIMIT_FSIZE, (_greatest(place.state_dir) + room, resource.RLIM_INFINITY))
    board.ready(slot, 1)
    if instructions:
        count_down(board, slot, instructions)
    else:
        keep_note(board, slot)
    turn = 0
    while True:
        turn += 1
        for step in (edges.step, lambda: life.people(begin=True), life.pulse.follow):
            if step is not edges.step and turn % 8:
                continue
            try:
                step()
            except (MelioraError, OSError):
                time.sleep(0.02)  # as the worker does: it waits, and tries again
        if full_until and time.monotonic() > full_until:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            full_until = 0.0
        time.sleep(0.003)


def _greatest(folder: Path) -> int:
    return max((path.stat().st_size for path in folder.rglob("*") if path.is_file()), default=0)


def drain(place: Place, board: Board) -> None:
    """Let everything come to its end, with nobody killed; what does not is for the last look to find."""
    store = open_store(place, board)
    life = Life(store, plane_of(place), "drain", random.Random(1))
    edges = Edges(Engine(life.house), threads=2)
    deadline = time.monotonic() + DRAIN
    while time.monotonic() < deadline:
        try:
            edges.step()
            life.pulse.follow()
            if not life.people(begin=False) and not store.cycles.open_ones():
                break
        except (MelioraError, OSError):
            time.sleep(0.02)
        time.sleep(0.005)
    os._exit(0)  # what hangs must not hold up the look at it


def look(place: Place, board: Board, *, ended: bool, audit: bool = True) -> list[str]:
    """Give what does not hold."""
    with open_store(place, board) as store:
        return violations(store, plane_of(place), ended=ended, audit=audit)


def tally(place: Place, board: Board) -> dict[str, int]:
    """Count changes by state, and effects."""
    with open_store(place, board) as store:
        counts: Counter[str] = Counter()
        for tenant in TENANTS:
            for states in store.changes.counts(tenant, 0).values():
                counts.update(states)
    planes = plane_of(place)
    lines = [line for target in planes.targets() for line in planes.history(target)]
    counts["effects"] = sum(line.effect for line in lines)
    return dict(counts)


def lose(place: Place, seconds: float, rng: random.Random) -> None:
    """Let nobody at the database for a while, longer than a writer waits."""
    engine = connect(place.url)
    deadline = time.monotonic() + seconds
    if place.is_sqlite:
        with contextlib.suppress(OperationalError), engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            raw.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
        return
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s AND pid <> pg_backend_pid()"
            connection.exec_driver_sql(query, (sa.make_url(place.url).query["application_name"],))
            connection.commit()
        time.sleep(0.05 + rng.random() * 0.1)


def forked(work: Callable[[], Any]) -> int:
    """Do something in a child. It ends with 0, or with 70 and its traceback on the standard error."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)  # also where it is frozen
        if os.getppid() != parent:
            os._exit(0)
        work()
    except BaseException:  # noqa: BLE001 - nothing of a child may run on as its parent
        traceback.print_exc()
        os._exit(70)
    os._exit(0)


def asked(work: Callable[[], Any]) -> Any:
    """Do something in a child, and give what it came to. Raises `RuntimeError` where it failed."""
    reader, writer = os.pipe()
    pid = forked(lambda: _send(writer, work()))
    os.close(writer)
    with open(reader, "rb") as answer:
        said = answer.read()
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError(f"a process of the benchmark ended with {status}")
    return json.loads(said)


def _send(writer: int, answer: Any) -> None:
    with open(writer, "wb") as file:
        file.write(json.dumps(answer).encode())


@dataclass
class Worker:
    """A worker as who kills it knows it."""

    pid: int
    by_itself: bool
    born: float
    kill_at: float | None = None
    thaw_at: float | None = None


@dataclass
class Killer:
    """Kills workers until there were so many, and looks at what is left."""

    place: Place
    rng: random.Random
    slots: int = 1
    freezes: bool = False
    looks: int = 40
    """Kills between two looks."""
    until_broken: bool = False
    """End with the first look that finds something."""
    fell: Fell = field(default_factory=Fell)

    def run(self, kills: int) -> Fell:
        """Do it. Raises `RuntimeError` where a process of the benchmark failed."""
        self.board = Board(self.slots)
        asked(lambda: prepare(self.place, self.board))
        workers: dict[int, Worker] = {}
        lost: int | None = None
        next_look = self.looks
        try:
            while self.fell.kills < kills and not (self.until_broken and self.fell.faults):
                for slot in range(self.slots):
                    if slot not in workers:
                        workers[slot] = self._born(slot)
                self._freeze(workers)
                for slot, worker in list(workers.items()):
                    if self._fallen(slot, worker):
                        del workers[slot]
                        if self.rng.random() < 0.1:
                            self._jump()
                        if lost is None and self.rng.random() < 0.08:
                            self.fell.lost += 1
                            seed = self.rng.random()
                            lost = forked(lambda seed=seed: lose(self.place, 0.6, random.Random(seed)))
                if lost is not None and self._over(lost):
                    lost = None
                if lost is None and self.fell.kills >= next_look:
                    next_look += self.looks
                    self._look(workers)
                time.sleep(0.002)
        finally:
            for worker in workers.values():
                os.kill(worker.pid, signal.SIGKILL)
                os.waitpid(worker.pid, 0)
            if lost is not None:
                os.waitpid(lost, 0)
        if os.waitpid(forked(lambda: drain(self.place, self.board)), 0)[1]:
            self.fell.faults.append("a worker that nobody killed failed")
        self.fell.faults += asked(lambda: look(self.place, self.board, ended=True))
        counts = Counter(asked(lambda: tally(self.place, self.board)))
        self.fell.effects = counts.pop("effects")
        self.fell.ended = counts
        self.fell.faults = list(dict.fromkeys(self.fell.faults))
        return self.fell

    def _over(self, lost: int) -> bool:
        pid, status = os.waitpid(lost, os.WNOHANG)
        if status:
            raise RuntimeError(f"who takes the database away ended with {status}")
        return bool(pid)

    def _born(self, slot: int) -> Worker:
        rng = self.rng
        by_itself = (self.fell.kills + slot) % 2 == 0
        instructions = 1 + int(INSTRUCTIONS * rng.random() ** 2) if by_itself else 0
        room = rng.randrange(0, 60_000) if rng.random() < 0.08 else None
        self.fell.full += room is not None
        seed = rng.randrange(2**32)
        self.board.clear(slot)
        pid = forked(lambda: work(self.place, self.board, slot, seed, instructions, room))
        return Worker(pid, by_itself, time.monotonic())

    def _fallen(self, slot: int, worker: Worker) -> bool:
        """Kill by the clock whose time has come; tell whether a worker has ended, and note how."""
        now = time.monotonic()
        if self.board.ready(slot) and worker.kill_at is None:
            # One that kills itself is not waited for without end: it may be frozen in a queue.
            worker.kill_at = now + (30.0 if worker.by_itself else self.rng.random() * SECONDS)
        if worker.kill_at is not None and now > worker.kill_at and worker.thaw_at is None:
            os.kill(worker.pid, signal.SIGKILL)
        pid, status = os.waitpid(worker.pid, os.WNOHANG)
        if not pid:
            return False
        if not os.WIFSIGNALED(status):
            if os.waitstatus_to_exitcode(status) != AWAY:
                self.fell.faults.append(f"worker {worker.pid} ended by itself with {status} at {self.board.read(slot)}")
            return True
        self.fell.kills += 1
        self.fell.by_itself += worker.by_itself
        self.fell.places[self.board.read(slot) or "start"] += 1
        return True

    def _freeze(self, workers: dict[int, Worker]) -> None:
        now = time.monotonic()
        for worker in workers.values():
            if worker.thaw_at is not None and now > worker.thaw_at:
                os.kill(worker.pid, signal.SIGCONT)
                worker.thaw_at = None
        awake = [slot for slot, worker in workers.items() if worker.thaw_at is None and self.board.ready(slot)]
        if self.freezes and len(awake) > 1 and self.rng.random() < 0.01:
            slot = self.rng.choice(awake)
            os.kill(workers[slot].pid, signal.SIGSTOP)
            workers[slot].thaw_at = now + 0.2 + self.rng.random() * 1.5
            self.fell.frozen += 1

    def _jump(self) -> None:
        """Set the clock wrong: a little, or by hours in either direction."""
        self.fell.jumps += 1
        self.board.offset_us += round(self.rng.choice((0.4, -0.4, 30, 7200, -7200, 7200, -9000)) * 1e6)

    def _look(self, workers: dict[int, Worker]) -> None:
        """Hold everybody still and look."""
        for worker in workers.values():
            os.kill(worker.pid, signal.SIGSTOP)
        time.sleep(0.02)
        # One that stands still while it writes a head of the audit holds up whoever reads the heads.
        self.fell.faults += asked(lambda: look(self.place, self.board, ended=False, audit=not workers))
        for worker in workers.values():
            if worker.thaw_at is None:
                os.kill(worker.pid, signal.SIGCONT)
