"""Load clients over one epoll loop: closed (each answer is followed by the next request) and open (sent by schedule).

The open client measures from the time a request was meant to leave, not from when it left, so that a stalled gateway
is charged for all the calls it held up. Refuses to hide faults: what was not a whole 200 is counted as an error.
"""

from __future__ import annotations

import resource
import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle

from benchmarks.load.canned import Target
from benchmarks.load.framing import Framing

_SILENCE = 60.0
"""Seconds without one byte after which a run is given up."""


_MOST_ERRORS = 1000
"""Errors after which a closed loop gives up, when they outnumber the answers."""


class Silent(Exception):
    """The other side stopped answering, or answers with errors only."""


@dataclass(frozen=True)
class Mark:
    """A look taken while the load ran: seconds since the start, calls and events answered so far, what `probe` gave."""

    at: float
    calls: int
    events: int
    value: float


@dataclass
class Closed:
    """What a closed loop saw. `pieces`: reads that brought stream bytes, to tell whether events came one by one."""

    calls: int = 0
    errors: int = 0
    events: int = 0
    pieces: int = 0
    seconds: float = 0.0
    asides: int = 0
    """Of the streams opened aside: how many ended whole."""
    marks: list[Mark] = field(default_factory=list)

    @property
    def rps(self) -> float:
        """Calls answered whole with 200, a second."""
        return self.calls / self.seconds


@dataclass(frozen=True)
class Stop:
    """When a closed loop ends: after seconds, after calls, or when the streams opened aside have ended."""

    seconds: float = float("inf")
    calls: float = float("inf")
    asides: bool = False


@dataclass(frozen=True)
class Probe:
    """What to look at while the load runs, and how often: by seconds or by calls, whichever comes first."""

    look: Callable[[], float]
    seconds: float = float("inf")
    calls: float = float("inf")


@dataclass(frozen=True)
class Planned:
    """A request of an open loop: seconds after the start, which target, its bytes."""

    at: float
    target: int
    request: bytes


@dataclass(frozen=True)
class Sample:
    """An answer of an open loop, in seconds from the time its request was meant to leave."""

    target: int
    first_byte: float
    total: float
    events: int
    longest_gap: float
    """Between two reads of one answer."""
    ok: bool


class _Wire:
    """One client connection."""

    __slots__ = ("_target", "aside", "due", "fd", "first", "framing", "gap", "last", "sock", "target_index")

    def __init__(self, target: Target, *, target_index: int = 0, aside: bool = False) -> None:
        self._target = target
        self.target_index = target_index
        self.aside = aside
        self.framing = Framing()
        self.due = self.first = self.last = self.gap = 0.0
        self._connect()

    def _connect(self) -> None:
        self.sock = socket.create_connection((self._target.host, self._target.port), timeout=10)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.fd = self.sock.fileno()

    def send(self, request: bytes) -> None:
        self.framing.begin()
        if self.sock.send(request) != len(request):
            raise Silent("a request did not fit the socket: the other side does not read")

    def read(self) -> bytes:
        try:
            return self.sock.recv(262_144)
        except ConnectionError:
            return b""


class _Pool:
    """Connections by file descriptor, on one epoll."""

    def __init__(self) -> None:
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self.epoll = select.epoll()
        self.wires: dict[int, _Wire] = {}

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for wire in self.wires.values():
            wire.sock.close()
        self.epoll.close()

    def add(self, wire: _Wire) -> _Wire:
        self.wires[wire.fd] = wire
        self.epoll.register(wire.fd, select.EPOLLIN)
        return wire

    def drop(self, wire: _Wire) -> None:
        del self.wires[wire.fd]
        wire.sock.close()


def closed_loop(
    target: Target,
    requests: Sequence[bytes],
    connections: int,
    stop: Stop,
    *,
    probe: Probe | None = None,
    asides: Sequence[bytes] = (),
) -> Closed:
    """Keep `connections` busy until `stop`. `asides` are sent once each, on connections of their own, at the start.

    Raises `Silent` when no byte comes for a minute.
    """
    with _Pool() as pool:
        return _ClosedLoop(pool, target, requests, stop, probe).run(connections, asides)


class _ClosedLoop:
    def __init__(self, pool: _Pool, target: Target, requests: Sequence[bytes], stop: Stop, probe: Probe | None) -> None:
        self._pool = pool
        self._target = target
        self._requests = cycle(requests)
        self._stop = stop
        self._probe = probe or Probe(lambda: 0.0)
        self._seen = Closed()
        self._asides_open = 0

    def run(self, connections: int, asides: Sequence[bytes]) -> Closed:
        seen, stop, probe, poll, clock = self._seen, self._stop, self._probe, self._pool.epoll.poll, time.perf_counter
        self._asides_open = len(asides)
        for request in asides:
            self._pool.add(_Wire(self._target, aside=True)).send(request)
        for _ in range(connections):
            self._pool.add(_Wire(self._target)).send(next(self._requests))
        start = now = clock()
        self._mark(0.0)
        while now - start < stop.seconds and seen.calls < stop.calls and not (stop.asides and self._asides_open == 0):
            ready = poll(_SILENCE)
            if not ready:
                raise Silent(f"no byte for {_SILENCE:.0f} s after {seen.calls} calls")
            for fd, _ in ready:
                self._readable(self._pool.wires[fd])
            now = clock()
            last = seen.marks[-1]
            if now - start - last.at >= probe.seconds or seen.calls - last.calls >= probe.calls:
                self._mark(now - start)
            if seen.errors > _MOST_ERRORS and seen.errors > seen.calls:
                raise Silent(f"{seen.errors} errors beside {seen.calls} answers")
        seen.seconds = now - start
        return seen

    def _mark(self, at: float) -> None:
        self._seen.marks.append(Mark(at, self._seen.calls, self._seen.events, self._probe.look()))

    def _readable(self, wire: _Wire) -> None:
        data = wire.read()
        framing = wire.framing
        if data:
            before = framing.events
            if not framing.feed(data):
                self._seen.events += framing.events - before
                return
            self._seen.events += framing.events - before
        elif not framing.closed():
            self._seen.errors += 1
        if framing.done:
            self._ended(wire, framing)
        if wire.aside:
            self._asides_open -= 1
            self._pool.drop(wire)
            return
        if not data:
            self._pool.drop(wire)
            wire = self._pool.add(_Wire(self._target))
        wire.send(next(self._requests))

    def _ended(self, wire: _Wire, framing: Framing) -> None:
        if framing.status != 200:
            self._seen.errors += 1
        elif wire.aside:
            self._seen.asides += 1
        else:
            self._seen.calls += 1
            self._seen.pieces += framing.pieces


def open_loop(targets: Sequence[Target], plan: Sequence[Planned], *, warm: int = 8) -> list[Sample]:
    """Send each planned request at its time, whatever became of the others, and give all the answers.

    `plan` is in ascending order of time. `warm` connections a target are open before the start; more are opened as
    they are needed. Raises `Silent` when no byte comes for a minute.
    """
    with _Pool() as pool:
        return _OpenLoop(pool, targets).run(plan, warm)


class _OpenLoop:
    def __init__(self, pool: _Pool, targets: Sequence[Target]) -> None:
        self._pool = pool
        self._targets = targets
        self._idle: list[list[_Wire]] = [[] for _ in targets]
        self._busy = 0
        self._samples: list[Sample] = []

    def run(self, plan: Sequence[Planned], warm: int) -> list[Sample]:
        for index, target in enumerate(self._targets):
            self._idle[index] = [self._pool.add(_Wire(target, target_index=index)) for _ in range(warm)]
        start = heard = time.perf_counter()
        sent = 0
        while sent < len(plan) or self._busy:
            now = time.perf_counter()
            due = start + plan[sent].at if sent < len(plan) else now + 1.0
            if due <= now:
                self._send(plan[sent], due)
                sent += 1
                continue
            # select, because epoll counts in milliseconds and a schedule of requests is finer.
            select.select([self._pool.epoll], [], [], min(due - now, 1.0))
            ready = self._pool.epoll.poll(0)
            now = time.perf_counter()
            for fd, _ in ready:
                self._readable(self._pool.wires[fd], now)
            heard = now if ready or not self._busy else heard
            if now - heard > _SILENCE:
                raise Silent(f"no byte for {_SILENCE:.0f} s with {self._busy} calls open")
        return self._samples

    def _send(self, planned: Planned, due: float) -> None:
        idle = self._idle[planned.target]
        target = self._targets[planned.target]
        wire = idle.pop() if idle else self._pool.add(_Wire(target, target_index=planned.target))
        wire.due, wire.first, wire.last, wire.gap = due, 0.0, 0.0, 0.0
        wire.send(planned.request)
        self._busy += 1

    def _readable(self, wire: _Wire, now: float) -> None:
        data = wire.read()
        framing = wire.framing
        if not data and (framing.done or wire in self._idle[wire.target_index]):
            # An idle connection that the other side closed: no call is lost.
            self._idle[wire.target_index].remove(wire)
            self._pool.drop(wire)
            return
        if data:
            wire.gap = max(wire.gap, now - wire.last) if wire.first else 0.0
            wire.first = wire.first or now
            wire.last = now
            if not framing.feed(data):
                return
            self._idle[wire.target_index].append(wire)
        else:
            framing.closed()
            self._pool.drop(wire)
        self._busy -= 1
        ok = framing.done and framing.status == 200
        first = wire.first or now
        self._samples.append(Sample(wire.target_index, first - wire.due, now - wire.due, framing.events, wire.gap, ok))
