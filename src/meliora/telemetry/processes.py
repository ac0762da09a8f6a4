"""How a process that is no gateway says that it lives: one named value each, overwritten at every sign of life."""

from __future__ import annotations

from typing import Protocol

import msgspec

WORKER = "worker:"
"""Deployment values `worker:HOST:STATE_DIR`, one a state directory that a worker takes in."""
ALIVE_US = 30_000_000
"""A worker that was silent for longer counts as dead."""
FORGET_US = 86_400_000_000
"""A worker that was silent for longer is not mentioned any more."""


class Values(Protocol):
    """Keeps named values of the deployment."""

    def put(self, name: str, value: str) -> None:
        """Set a value."""
        ...

    def values(self, prefix: str) -> dict[str, str]:
        """Give all values whose names begin so."""
        ...


class WorkerBeat(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself every few seconds. `None`: not known."""

    host: str
    state_dir: str = ""
    """Whose spool it takes in: one host may have several."""
    version: str
    pid: int
    seen_us: int
    spool_bytes: int | None = None
    """Bytes that wait in the spool of its machine."""
    dropped: int | None = None
    """Records that gateways could not write, as far as the worker can see."""
    quarantined: int | None = None
    """Records that could not be read and were put aside."""
    erased_us: int | None = None
    """Of erasures, the last of which nothing lies in the spool of its machine any more."""
    error: str | None = None
    """What keeps it from working, e.g. that the store is away."""


def note(values: Values, beat: WorkerBeat) -> None:
    """Keep a sign of life."""
    values.put(f"{WORKER}{beat.host}:{beat.state_dir}", msgspec.json.encode(beat).decode())


def workers(values: Values, now_us: int) -> tuple[WorkerBeat, ...]:
    """Give the last sign of life of each worker, of the last day; one that does not read is left out."""
    found = []
    for text in values.values(WORKER).values():
        try:
            beat = msgspec.json.decode(text, type=WorkerBeat)
        except msgspec.MsgspecError:
            continue  # of a newer version; that it cannot be read says nothing of its health
        if now_us - beat.seen_us <= FORGET_US:
            found.append(beat)
    return tuple(found)
