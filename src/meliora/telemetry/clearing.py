"""Whether the spool of a machine holds anything yet from before an erasure. Deletes nothing: the ingester does."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from meliora.telemetry.processes import WorkerBeat
from meliora.telemetry.spool import SpoolReader


class SpoolErased(msgspec.Struct, frozen=True, kw_only=True):
    """How an erasure stands on one machine."""

    host: str
    state_dir: str
    done: bool
    """Nothing from before it lies in the spool there any more."""
    seen_us: int
    """When its worker was last heard of: one that is silent takes nothing in."""


class ErasureStanding(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a person's last erasure."""

    erased_us: int | None
    """None: nobody of this name was erased."""
    spools: tuple[SpoolErased, ...]
    """By machine, of those whose worker was heard of in the last day."""


def standing(erased_us: int | None, beats: Iterable[WorkerBeat]) -> ErasureStanding:
    """Tell how an erasure stands, by what workers said last."""
    if erased_us is None:
        return ErasureStanding(erased_us=None, spools=())
    spools = (
        SpoolErased(host=one.host, state_dir=one.state_dir, done=(one.erased_us or 0) >= erased_us, seen_us=one.seen_us)
        for one in beats
    )
    return ErasureStanding(erased_us=erased_us, spools=tuple(spools))


class _Began(msgspec.Struct):
    started_us: int


class Clearing:
    """Follows erasures: each is done here once every segment that was begun before it is gone.

    Writers close their segments when they hear of an erasure, what lies in them is stripped as it is taken in, and a segment that
    was taken in whole is deleted.
    """

    def __init__(self, reader: SpoolReader, last_erasure: Callable[[], int]) -> None:
        """`last_erasure` gives when somebody was erased last, 0 for never."""
        self._reader, self._last = reader, last_erasure
        self._seen_us = 0
        self._before: set[str] = set()
        self.done_us: int | None = None
        """Time of the last erasure that is done here; None before the first look."""

    def step(self) -> bool:
        """Look. Raises `StoreError`."""
        at, there = self._last(), set(self._reader.segments())
        if at > self._seen_us:
            self._seen_us = at
            self._before |= {one for one in there if self._began_us(one) <= at}
        self._before &= there
        if not self._before:
            self.done_us = self._seen_us
        return False

    def _began_us(self, segment: str) -> int:
        """Give when the first call or search of a segment began; 0 where that cannot be read."""
        first = self._reader.read(segment, 0, 4096).payloads[:1]
        try:
            return msgspec.json.decode(first[0], type=_Began).started_us if first else 0
        except (msgspec.MsgspecError, UnicodeError):
            return 0
