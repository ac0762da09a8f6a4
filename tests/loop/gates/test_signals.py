"""What the pulse listens to: failing gates with the trigger that answers, and a schedule that comes once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from meliora.loop.gates.board import GateBoard
from meliora.loop.gates.gate import Gate
from meliora.loop.gates.signals import Schedule, Signals
from meliora.loop.triggers import Trigger, Triggers
from meliora.store import Store
from meliora.testing import FrozenClock
from meliora.testing.gates import ToldSource
from meliora.testing.store import temporary_store

HOUR_US = 3_600_000_000
QUICK = {"every_seconds": 60.0, "minimum": 1, "fail_after": 1, "pass_after": 1}
LAG = Gate(name="ingest", metric="ingest_lag", direction="max", threshold=60.0, **QUICK)
BUDGET = Gate(name="budget", metric="budget_share", direction="max", threshold=0.8, severity="critical", **QUICK)
SUNDAY_TWO = 1_795_917_600_000_000
"""Sunday 2026-11-29, 02:00 UTC."""


@pytest.fixture
def store() -> Iterator[Store]:
    with temporary_store() as store:
        yield store


SCHEDULE = "retrain"


@pytest.fixture
def source() -> ToldSource:
    return ToldSource()


def signals(store: Store, source: ToldSource, clock: FrozenClock, cron: str = "0 2 * * 0", **more: object) -> Signals:
    board = GateBoard((LAG, BUDGET), "staging", source, store.gates, lambda: "base_1")
    triggers = Triggers(store.triggers, board.gates, (), ("routing_policy",))
    opened: set[tuple[str, str]] = more.get("opened", set())  # type: ignore[assignment]
    kinds = more.get("kinds", ("routing_policy",))
    return Signals(
        board,
        triggers,
        (Schedule(SCHEDULE, cron, kinds),),  # type: ignore[arg-type]
        lambda tenant, since, subject: (tenant, subject) in opened,
        clock.now_us,
    )


def test_gates_that_fail_are_given_the_most_severe_first_until_they_pass(store: Store, source: ToldSource) -> None:
    clock = FrozenClock()
    heard = signals(store, source, clock)
    source.value("ingest", 90.0)
    source.value("budget", 0.9)
    assert [one.gate for one in heard.tick("default")] == ["budget", "ingest"]
    assert [one.gate for one in heard.tick("default")] == ["budget", "ingest"], "nothing is due: they fail still"
    source.value("budget", 0.1)
    clock.advance(61)
    assert [one.gate for one in heard.tick("default")] == ["ingest"]


def test_without_data_nothing_fails(store: Store, source: ToldSource) -> None:
    assert signals(store, source, FrozenClock()).tick("default") == []


def test_a_failing_gate_says_what_was_measured_as_plain_data(store: Store, source: ToldSource) -> None:
    heard = signals(store, source, FrozenClock())
    source.value("ingest", 90.0)
    (found,) = heard.tick("default")
    said = found.plain()
    assert (said["gate"], said["metric"], said["direction"]) == ("ingest", "ingest_lag", "max")
    assert said["reading"]["value"] == 90.0 and said["baseline"] is None and said["window_seconds"] == 3600.0


def test_the_most_urgent_trigger_answers_and_one_that_asks_for_more_stays_silent(
    store: Store, source: ToldSource
) -> None:
    heard = signals(store, source, FrozenClock())
    source.value("ingest", 90.0)
    heard.tick("default")
    shipped = heard.reaction("default", "ingest")
    assert shipped is not None and shipped.name == "ingest_behind"
    urgent = Trigger(name="mine", gate="ingest", kinds=("routing_policy",), response_seconds=60.0)
    heard.triggers.put("default", urgent, "cli")
    assert heard.reaction("default", "ingest") == urgent
    assert heard.reaction("other", "ingest") == shipped, "another tenant's triggers are its own"
    heard.triggers.put(
        "default", Trigger(name="mine", gate="ingest", kinds=("routing_policy",), threshold=120.0), "cli"
    )
    assert heard.reaction("default", "ingest") == shipped
    assert heard.reaction("default", "no such gate") is None


def test_of_a_gate_that_no_trigger_names_nothing_follows(store: Store, source: ToldSource) -> None:
    heard = signals(store, source, FrozenClock())
    heard.triggers.put(
        "default", Trigger(name="ingest_behind", gate="ingest", kinds=("workers",), enabled=False), "cli"
    )
    assert heard.reaction("default", "ingest") is None


@pytest.mark.parametrize(
    ("late_us", "comes"),
    [(-1, False), (0, True), (30_000_000, True), (HOUR_US, True), (HOUR_US + 1, False), (24 * HOUR_US, False)],
)
def test_a_schedule_comes_at_its_time_and_a_run_that_was_missed_waits_for_the_next(
    store: Store, source: ToldSource, late_us: int, comes: bool
) -> None:
    heard = signals(store, source, FrozenClock(SUNDAY_TWO + late_us))
    assert [one.name for one in heard.scheduled("default")] == ([SCHEDULE] if comes else [])


def test_a_schedule_comes_once_to_each_tenant(store: Store, source: ToldSource) -> None:
    heard = signals(store, source, FrozenClock(SUNDAY_TWO), opened={("default", SCHEDULE)})
    assert heard.scheduled("default") == ()
    assert [one.kinds for one in heard.scheduled("other")] == [("routing_policy",)]


@pytest.mark.parametrize(
    ("cron", "kinds"), [("", ("routing_policy",)), ("0 2 30 2 *", ("routing_policy",)), ("0 2 * * 0", ())]
)
def test_no_schedule_comes_without_a_time_or_a_kind(
    store: Store, source: ToldSource, cron: str, kinds: tuple[str, ...]
) -> None:
    assert signals(store, source, FrozenClock(SUNDAY_TWO), cron, kinds=kinds).scheduled("default") == ()


def test_a_clock_that_is_set_back_brings_no_schedule_twice(store: Store, source: ToldSource) -> None:
    """The cycle of the run is known by its subject, and counts from the run on."""
    opened = {("default", SCHEDULE)}
    for second in (10, 5, 0):
        heard = signals(store, source, FrozenClock(SUNDAY_TWO + second * 1_000_000), opened=opened)
        assert heard.scheduled("default") == ()
