"""Two hundred thousand calls into PostgreSQL: how fast they go in, how fast questions are answered, who waits for whom."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from meliora.errors import MelioraError, NotFound
from meliora.store import Store
from meliora.store.calls.calls import CallFilter
from meliora.store.calls.feedbacks import FeedbackGiven
from meliora.store.engine import connect
from meliora.store.migrate import upgrade
from meliora.store.store import now_us
from meliora.telemetry.ingest import Ingester
from meliora.telemetry.records import CallFinished, Usage
from meliora.telemetry.retention import Pruner
from meliora.telemetry.rollups import Roller
from meliora.telemetry.spool import SpoolReader, SpoolWriter
from tests.postgres.conftest import Schema

CALLS = 200_000
SPAN_US = 6 * 3_600_000_000
"""Time over which the calls are spread."""
DAY_US = 86_400_000_000
Note = Callable[[str, object], None]


@pytest.fixture
def store(schema: Schema, tmp_path: Path) -> Iterator[Store]:
    """A store with the schema of this version."""
    engine = connect(schema.url)
    upgrade(engine)
    engine.dispose()
    with Store.open(schema.url, tmp_path) as store:
        yield store


def record(store: Store, number: int, started_us: int) -> bytes:
    """Make one finish record as a gateway writes it: 1 KB of prompt in every tenth."""
    text = f"prompt {number} " * 60 if number % 10 == 0 else None
    failed = number % 50 == 0
    made = CallFinished(
        id=store.call_ids.new(),
        tenant="default",
        key_id=f"key_{number % 7}",
        gateway="g",
        started_us=started_us,
        ended_us=started_us + 1000 * (100 + number % 900),
        dialect="chat",
        model_asked="auto",
        outcome="error" if failed else "ok",
        status=500 if failed else 200,
        model=f"model-{number % 4}",
        endpoint=f"p/model-{number % 4}",
        task=("chat", "code")[number % 2],
        ttft_us=50_000,
        usage=Usage(input=100 + number % 50, output=number % 80),
        usage_source="provider",
        cost_micros=number % 5000,
        user=f"user-{number % 500}",
        feature=f"f{number % 5}",
        content="off" if text is None else "redacted",
        request_text=text,
        response_text=text,
    )
    return msgspec.json.encode(made)


def ingester(store: Store, folder: Path) -> Ingester:
    """Make an ingester over a spool."""
    return Ingester(SpoolReader(folder), store.sink, now_us)


def test_200_000_calls_go_in_fast_and_every_question_takes_less_than_a_second(
    store: Store, tmp_path: Path, record_property: Note
) -> None:
    begin_us = now_us() - SPAN_US
    spool = SpoolWriter(tmp_path / "spool")
    for number in range(CALLS):
        spool.append(record(store, number, begin_us + number * SPAN_US // CALLS))
    spool.close()
    work = ingester(store, tmp_path / "spool")
    begin, taken = time.monotonic(), 0
    while taken < CALLS:
        taken += work.step().finished
    rate = CALLS / (time.monotonic() - begin)
    record_property("ingest", f"{rate:,.0f} records/s")
    begin = time.monotonic()
    while Roller(store.windows).step(100):
        pass
    record_property("rolling up", f"{time.monotonic() - begin:.1f} s")
    analytics = store.analytics
    questions: dict[str, Callable[[], object]] = {
        "total": lambda: analytics.total("default"),
        "tenants": analytics.tenants,
        "top expensive": lambda: analytics.top_expensive("default", limit=100),
        "error rate": lambda: analytics.error_rate("default"),
        "error rate of two hours": lambda: analytics.error_rate("default", since_us=begin_us + SPAN_US // 3),
        "ranking": lambda: analytics.ranking("default"),
        "latency": lambda: analytics.distribution("default"),
        "latency of a model": lambda: analytics.distribution("default", model="model-1", since_us=begin_us + 10**9),
        "last calls": lambda: store.calls.list("default", limit=500),
        "calls of a user": lambda: store.calls.list("default", CallFilter(user="user-7"), limit=50),
    }
    for by in ("model", "task", "user", "day", "feature", "key"):
        questions[f"usage by {by}"] = lambda by=by: analytics.usage("default", by)
    took = {name: fastest(question) for name, question in questions.items()}
    slowest = max(took, key=lambda name: took[name])
    record_property("the slowest question", f"{slowest}: {took[slowest] * 1000:.0f} ms")
    assert took[slowest] < 1.0, took
    assert rate > 2000
    assert analytics.total("default").calls == CALLS


def fastest(question: Callable[[], object]) -> float:
    """Give the shortest of three times, in seconds: what else runs on this machine is not the question."""
    times = []
    for _ in range(3):
        begin = time.monotonic()
        question()
        times.append(time.monotonic() - begin)
    return min(times)


def test_ingesters_rollups_retention_erasure_and_feedback_never_lock_each_other_out(
    store: Store, schema: Schema, tmp_path: Path, record_property: Note
) -> None:
    """All at once over the same calls for a while: nobody fails, and the sums come out."""
    now = now_us()
    ids: list[str] = []
    for name in ("one", "two"):
        spool = SpoolWriter(tmp_path / name, segment_bytes=200_000)
        for number in range(2000):
            # A part is past its days already, so that retention has work from the first moment.
            payload = record(store, number, now - (200 * DAY_US if number % 3 == 0 else 0) - number * 1000)
            ids.append(msgspec.json.decode(payload)["id"])
            spool.append(payload)
        spool.close()
    chance = random.Random(3)
    stop = threading.Event()
    failures: list[str] = []
    done: dict[str, int] = {}

    def again(name: str, act: Callable[[Store], int]) -> threading.Thread:
        def run() -> None:
            with Store.open(schema.url, tmp_path) as own:
                while not stop.is_set():
                    try:
                        done[name] = done.get(name, 0) + act(own)
                    except MelioraError as error:
                        failures.append(f"{name}: {error}")

        return threading.Thread(target=run, name=name)

    def feed(folder: str) -> Callable[[Store], int]:
        return lambda own: (
            Ingester(SpoolReader(tmp_path / folder), own.sink, now_us, batch_bytes=60_000, step_records=1)
            .step()
            .finished
        )

    def prune(own: Store) -> int:
        one = Pruner(own.housekeeping, now_us, content_days=30, call_days=90).step()
        own.sink.lose(now)
        return one.calls + one.contents

    def speak(own: Store) -> int:
        try:
            own.feedbacks.give(
                "default", FeedbackGiven(feedback_type="thumbs_up", call_id=chance.choice(ids), user_id="u")
            )
        except NotFound:
            return 0  # retention was faster
        return 1

    threads = [
        again("ingest one", feed("one")),
        again("ingest two", feed("two")),
        again("roll up", lambda own: Roller(own.windows).step(20)),
        again("roll up too", lambda own: Roller(own.windows).step(20)),
        again("prune", prune),
        again("prune too", prune),
        again("erase", lambda own: own.housekeeping.erase("default", f"user-{chance.randrange(500)}").calls),
        again("feedback", speak),
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while done.get("ingest one", 0) + done.get("ingest two", 0) < len(ids) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert not failures, failures[:5]
    assert done["ingest one"] + done["ingest two"] == len(ids)
    assert all(done.get(thread.name, 0) for thread in threads), done
    while Roller(store.windows).step(100):
        pass
    record_property("done at once", done)
    assert store.analytics.total("default").calls == len(ids)
    assert store.analytics.distribution("default").cost_micros.count == len(ids)
