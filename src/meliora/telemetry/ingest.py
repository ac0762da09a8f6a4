"""From the spool to the store, each record once. Knows neither SQL nor how the store is reached.

One batch is one transaction of the sink, which compares and sets the segment's offset within it: of two ingesters one wins,
and a batch that was cut by a kill is simply taken again.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog

from meliora.errors import Conflict, SchemaMismatch, StoreError, StoreUnavailable
from meliora.telemetry.records import FORMAT, CallBegun, CallFinished, Record, SearchDone, Shadow, ShadowBegun
from meliora.telemetry.spool import SpoolReader

log = structlog.get_logger(__name__)

LOST_AFTER_US = 3_600_000_000
"""A call that is open for longer is lost: its gateway is gone."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one segment, from one offset to another."""

    segment: str
    start: int
    end: int
    begun: list[CallBegun]
    finished: list[CallFinished]
    shadows: list[ShadowBegun | Shadow] = field(default_factory=list)
    searches: list[SearchDone] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch: calls that are new, and records that were known already."""

    begun: int
    finished: int
    known: int


class Sink(Protocol):
    """Where records go. All methods raise `StoreUnavailable`, having changed nothing, where the store is away."""

    def offsets(self) -> dict[str, int]:
        """Give how far each segment has been taken; one that is not named, not at all."""
        ...

    def take(self, batch: Batch) -> Taken:
        """Keep a batch and move the segment's offset, both or neither.

        Raises `Conflict` where the offset is not at `start` any more, another `StoreError` where a record cannot be kept.
        """
        ...

    def done(self, segment: str) -> None:
        """Note that a segment is taken whole and its file about to go."""
        ...

    def lose(self, before_us: int) -> int:
        """Mark the calls still open that began earlier as lost; give how many."""
        ...


@dataclass(slots=True)
class IngestReport:
    """What one step did."""

    records: int = 0
    begun: int = 0
    finished: int = 0
    known: int = 0
    """Records whose call was in the store already."""
    quarantined: int = 0
    skipped_bytes: int = 0
    """Bytes of torn or damaged frames."""
    deleted: int = 0
    """Segments taken whole and removed."""
    conflicts: int = 0
    """Batches that another ingester took first."""
    newer: dict[str, int] = field(default_factory=dict)
    """Segments that wait for a newer version of this code, and the format they need."""
    more: bool = False
    """Whether there is more to take at once."""


def _as_recorded(record: CallFinished) -> str | None:
    return record.task


class Ingester:
    """Move records, oldest segments of each writer first. One thread; any number of processes."""

    def __init__(
        self,
        reader: SpoolReader,
        sink: Sink,
        clock_us: Callable[[], int],
        *,
        batch_bytes: int = 8 * 1024 * 1024,
        step_records: int = 20_000,
        task_of: Callable[[CallFinished], str | None] = _as_recorded,
    ) -> None:
        """Prepare. `task_of` tells the task of a call whose gateway left that open."""
        self._reader = reader
        self._sink = sink
        self._clock_us = clock_us
        self._batch_bytes = batch_bytes
        self._step_records = step_records
        self._task_of = task_of
        self._decode = msgspec.json.Decoder(Record).decode
        self._quarantine = Quarantine(reader.directory / "quarantine", clock_us)
        self._shouted: set[str] = set()

    def step(self) -> IngestReport:
        """Take what is there, at most about `step_records`.

        Raises `StoreUnavailable` where the store, or the disk for what is malformed, is away; what was taken until then stays.
        """
        report = IngestReport()
        segments = self._reader.segments()
        if not segments:
            return report
        offsets = self._sink.offsets()
        for segment in segments:
            offset = offsets.get(segment, 0)
            while report.records < self._step_records:
                taken = self._step(segment, offset, report)
                if taken is None:
                    break
                offset = taken
            else:
                report.more = True
                return report
        return report

    def sweep(self) -> int:
        """Mark calls that nobody will finish as lost; give how many."""
        return self._sink.lose(self._clock_us() - LOST_AFTER_US)

    def _step(self, segment: str, offset: int, report: IngestReport) -> int | None:
        """Take one batch; give the new offset, or None where there is nothing more to take now."""
        chunk = self._reader.read(segment, offset, self._batch_bytes)
        if chunk.end == offset:
            self._finish(segment, offset, report)
            return None
        records, end = self._records(segment, chunk.payloads, chunk.ends, chunk.end, report)
        if end == chunk.end:
            report.skipped_bytes += chunk.skipped
        if end is None or not self._take(segment, offset, end, records, report):
            return None
        return end

    def _records(
        self, segment: str, payloads: list[bytes], ends: list[int], chunk_end: int, report: IngestReport
    ) -> tuple[list[tuple[int, bytes, Record]], int | None]:
        """Decode; give the records, and the offset up to which the segment can be taken (None: not at all)."""
        records: list[tuple[int, bytes, Record]] = []
        decode = self._decode
        last: int | None = None
        for payload, end in zip(payloads, ends, strict=True):
            try:
                record = decode(payload)
                version = record.v
            except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
                version = _version(payload)
                if version <= FORMAT:
                    self._quarantine.keep(segment, end, payload, str(error))
                    report.quarantined += 1
                    last = end
                    continue
                record = None
            if record is None or version > FORMAT:
                self._shout(segment, version, report)
                return records, last
            if b"\\u0000" in payload:
                record = _without_nul(record)
            if type(record) is CallFinished and record.task is None:
                record = msgspec.structs.replace(record, task=self._task_of(record))
            records.append((end, payload, record))
            last = end
        return records, chunk_end

    def _take(
        self, segment: str, start: int, end: int, records: list[tuple[int, bytes, Record]], report: IngestReport
    ) -> bool:
        """Give a batch to the sink; where it refuses one, find the record that is at fault and put that aside."""
        begun = [record for _, _, record in records if type(record) is CallBegun]
        finished = [record for _, _, record in records if type(record) is CallFinished]
        shadows = [record for _, _, record in records if isinstance(record, (ShadowBegun, Shadow))]
        searches = [record for _, _, record in records if type(record) is SearchDone]
        try:
            taken = self._sink.take(Batch(segment, start, end, begun, finished, shadows, searches))
        except (StoreUnavailable, SchemaMismatch):
            raise
        except Conflict:
            report.conflicts += 1
            return False
        except StoreError as error:
            if not records:
                raise
            if len(records) == 1:
                self._quarantine.keep(segment, records[0][0], records[0][1], str(error))
                report.quarantined += 1
                return self._take(segment, start, end, [], report)
            half = len(records) // 2
            middle = records[half - 1][0]
            return self._take(segment, start, middle, records[:half], report) and self._take(
                segment, middle, end, records[half:], report
            )
        report.records += len(records)
        report.begun += taken.begun
        report.finished += taken.finished
        report.known += taken.known
        return True

    def _finish(self, segment: str, offset: int, report: IngestReport) -> None:
        """Remove a segment that is taken whole and that nobody appends to."""
        if not self._reader.live(segment) and offset >= self._reader.size(segment):
            self._sink.done(segment)
            self._reader.delete(segment)
            self._shouted.discard(segment)
            report.deleted += 1

    def _shout(self, segment: str, version: int, report: IngestReport) -> None:
        report.newer[segment] = version
        if segment not in self._shouted:
            self._shouted.add(segment)
            log.error(
                "records of a newer format wait in the spool; update this worker",
                segment=segment,
                format=version,
                known=FORMAT,
            )


class Quarantine:
    """Keeps payloads that are no records, one JSON line each, so that a person can look at them."""

    def __init__(self, directory: Path, clock_us: Callable[[], int]) -> None:
        self.directory = directory
        self._clock_us = clock_us
        self._kept: set[tuple[str, int]] = set()

    def keep(self, segment: str, end: int, payload: bytes, reason: str) -> None:
        """Put a payload aside, once however often its batch is tried. Raises `StoreUnavailable` where the disk refuses it."""
        if (segment, end) in self._kept:
            return
        line = msgspec.json.encode(
            {
                "at_us": self._clock_us(),
                "segment": segment,
                "end": end,
                "reason": reason,
                "payload": base64.b64encode(payload).decode(),
            }
        )
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self.directory / f"{segment}.jsonl", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
            with open(file, "ab") as lines:
                lines.write(line + b"\n")
        except OSError as error:
            raise StoreUnavailable(f"A malformed record could not be put aside: {error.strerror}.") from error
        self._kept.add((segment, end))
        log.error("a malformed record was put aside", segment=segment, reason=reason)


class _Versioned(msgspec.Struct):
    v: int = 0


def _version(payload: bytes) -> int:
    """Give the format of a payload that does not decode; 0 where even that does not."""
    try:
        return msgspec.json.decode(payload, type=_Versioned).v
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return 0


def _without_nul(record: Record) -> Record:
    """Replace NUL characters, which PostgreSQL cannot keep, by U+FFFD."""
    return msgspec.convert(_clean(msgspec.to_builtins(record)), Record)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {_clean(name): _clean(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(inner) for inner in value]
    return value
