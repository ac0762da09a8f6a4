"""What the store does with calls: how fast the spool is taken in, and what a million calls change for those that follow.

Each part works in a folder that it is given, on SQLite. Refuses a run that did not store what it was given.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from benchmarks.gateway.synthetic import Month
from benchmarks.intervals import Estimate, ratio_of_sums
from benchmarks.report import ControlFailed
from meliora.store.calls.sink import SpoolSink
from meliora.store.engine import connect, database_url
from meliora.store.migrate import upgrade
from meliora.store.store import Store
from meliora.telemetry.ingest import Batch, Ingester
from meliora.telemetry.records import CallFinished, Record
from meliora.telemetry.spool import SpoolReader, SpoolWriter

_STEP_RECORDS = 5_000
_BATCH_CALLS = 5_000
_REPETITIONS = 3


@dataclass(frozen=True)
class Ingested:
    """Records a second from spool to SQLite, and the calls (two records each) that they were."""

    records_per_s: Estimate
    calls: int
    seconds: float


def ingested(folder: Path, calls: int, seed: int) -> Ingested:
    """Write a spool with content, take it into an empty database, and time only the taking."""
    with _opened(folder) as store:
        spool = SpoolWriter(folder / "spool")
        secret = bytes.fromhex(store.secret)
        for begun, finished in Month(calls, seed, time.time_ns() // 1000, secret, content=True):
            spool.append(msgspec.json.encode(begun))
            spool.append(msgspec.json.encode(finished))
        spool.close()
        reader = SpoolReader(folder / "spool")
        sink = SpoolSink(store.engine, store.secret, _now_us)
        ingester = Ingester(reader, sink, _now_us, step_records=_STEP_RECORDS)
        counts: list[float] = []
        spans: list[float] = []
        taken = 0
        while True:
            start = time.perf_counter()
            step = ingester.step()
            spans.append(time.perf_counter() - start)
            counts.append(step.records)
            taken += step.finished
            if not step.records and not step.more:
                break
        stored = store.calls.list("default", limit=1)
        if taken != calls or not stored.items:
            raise ControlFailed(f"{taken} of {calls} calls were stored")
    return Ingested(ratio_of_sums(counts, spans), calls, sum(spans))


def load_month(folder: Path, calls: int, seed: int) -> float:
    """Store that many synthetic calls in `folder`'s database, without content; give the seconds it took."""
    start = time.perf_counter()
    with _opened(folder) as store:
        sink = SpoolSink(store.engine, store.secret, _now_us)
        month = iter(Month(calls, seed, _now_us(), bytes.fromhex(store.secret), content=False))
        offset = 0
        while batch := [finished for _, finished in islice(month, _BATCH_CALLS)]:
            sink.take(Batch("synthetic.spool", offset, offset + len(batch), [], batch))
            offset += len(batch)
        if offset != calls:
            raise ControlFailed(f"{offset} of {calls} calls were stored")
    return time.perf_counter() - start


def analytics_ms(folder: Path) -> dict[str, float]:
    """Give the milliseconds of each analytics query over all that is stored: the slowest of three."""
    with Store.open("", folder) as store:
        asked = store.analytics
        queries: dict[str, Callable[[], object]] = {
            "usage_by_model": lambda: asked.usage("default", "model"),
            "usage_by_task": lambda: asked.usage("default", "task"),
            "usage_by_user": lambda: asked.usage("default", "user"),
            "usage_by_day": lambda: asked.usage("default", "day"),
            "usage_by_feature": lambda: asked.usage("default", "feature"),
            "total": lambda: asked.total("default"),
            "tenants": asked.tenants,
            "top_expensive": lambda: asked.top_expensive("default"),
            "error_rate": lambda: asked.error_rate("default"),
            "ranking": lambda: asked.ranking("default"),
            "distribution": lambda: asked.distribution("default"),
            "newest_calls": lambda: store.calls.list("default", limit=100),
        }
        return {name: max(_timed(query) for _ in range(_REPETITIONS)) for name, query in queries.items()}


def calls_kept(folder: Path) -> int:
    """Give how many calls the database of `folder` has counted."""
    with Store.open("", folder) as store:
        return store.analytics.total("default").calls


@dataclass(frozen=True)
class Recorded:
    """What a spool holds: finished calls, those that ended well, and those with four or more places masked."""

    finished: int
    ok: int
    masked: int
    twice: int


def recorded(spool: Path) -> Recorded:
    """Read a whole spool."""
    reader = SpoolReader(spool)
    decode = msgspec.json.Decoder(Record).decode
    seen: set[str] = set()
    finished = ok = masked = 0
    for segment in reader.segments():
        offset = 0
        while (chunk := reader.read(segment, offset, 8 * 1024 * 1024)).end > offset:
            offset = chunk.end
            for record in map(decode, chunk.payloads):
                if isinstance(record, CallFinished):
                    finished += 1
                    ok += record.outcome == "ok"
                    masked += record.masked >= 4
                    seen.add(record.id)
    return Recorded(finished, ok, masked, finished - len(seen))


def _opened(folder: Path) -> Store:
    folder.mkdir(parents=True, exist_ok=True)
    engine = connect(database_url("", folder))
    upgrade(engine)
    engine.dispose()
    return Store.open("", folder)


def _now_us() -> int:
    return time.time_ns() // 1000


def _timed(query: Callable[[], object]) -> float:
    start = time.perf_counter()
    query()
    return (time.perf_counter() - start) * 1e3
