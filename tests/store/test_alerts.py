"""What is told, once: over occurrences, restarts, two workers at once, clocks that jump and sinks that come and go."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from meliora.loop.alerts import Alert, Sending, Telling
from meliora.store import Store
from meliora.store.loop.alerts import Incoming

MINUTE = 60_000_000
TELLING = Telling()
SINKS = ("slack",)


def gate(name: str = "errors", severity: Any = "warning") -> Alert:
    return Alert(name="gate_failing", severity=severity, summary="it fails", labels={"gate": name}, lasting=True)


def event(change: str = "chg_1", severity: Any = "warning") -> Alert:
    return Alert(name="change_rolled_back", severity=severity, summary="undone", labels={"change": change})


def told(store: Store, sinks: tuple[str, ...] = SINKS, telling: Telling = TELLING) -> list[str]:
    """Plan, and give what each sink is to send now as `sink:status:label`."""
    store.alerts.plan(telling, sinks)
    said = []
    for sink in sinks:
        for one in store.alerts.claim(sink, "worker", MINUTE, 100):
            said.append(f"{sink}:{one.message.status}:{next(iter(one.message.labels.values()))}")
            store.alerts.sent(one)
    return said


def test_what_holds_is_told_when_it_begins_and_when_it_ends(store, clock) -> None:
    for _ in range(3):
        store.alerts.hold("default", [gate()])
    assert told(store) == ["slack:firing:errors"]
    store.alerts.hold("default", [gate()])
    assert told(store) == []
    store.alerts.hold("default", [])
    assert told(store) == ["slack:resolved:errors"]
    assert told(store) == []


def test_what_flaps_is_told_once_in_the_quiet_time_and_again_after_it(store, clock) -> None:
    store.alerts.hold("default", [gate()])
    assert told(store) == ["slack:firing:errors"]
    store.alerts.hold("default", [])
    assert told(store) == ["slack:resolved:errors"]
    for _ in range(5):
        store.alerts.hold("default", [gate()])
        assert told(store) == []
        store.alerts.hold("default", [])
        assert told(store) == [], "an end without a beginning is no news"
    store.alerts.hold("default", [gate()])
    clock.now += 61 * MINUTE
    assert told(store) == ["slack:firing:errors"]
    assert store.alerts.list("default").items[0].seen == 7


def test_what_still_holds_is_told_again_after_a_day(store, clock) -> None:
    store.alerts.hold("default", [gate()])
    assert told(store) == ["slack:firing:errors"]
    clock.now += 23 * 60 * MINUTE
    assert told(store) == []
    clock.now += 2 * 60 * MINUTE
    assert told(store) == ["slack:firing:errors"]


def test_what_happened_is_told_once_in_a_while_and_counted(store, clock) -> None:
    for _ in range(4):
        store.alerts.happened("default", event(), TELLING.quiet_us)
        told(store)
    assert told(store) == []
    clock.now += 61 * MINUTE
    store.alerts.happened("default", event(), TELLING.quiet_us)
    assert told(store) == ["slack:firing:chg_1"]
    assert store.alerts.list("default").items[0].seen == 5


def test_what_is_worth_little_is_kept_and_not_told(store) -> None:
    store.alerts.happened("default", event(severity="info"), TELLING.quiet_us)
    store.alerts.hold("default", [gate(severity="info")])
    assert told(store) == []
    store.alerts.hold("default", [])
    assert told(store) == []
    assert len(store.alerts.list("default").items) == 2


def test_an_hour_has_a_limit_the_rest_waits_and_critical_ones_do_not(store, clock) -> None:
    for number in range(30):
        store.alerts.happened("default", event(f"chg_{number}"), TELLING.quiet_us)
    store.alerts.hold("default", [gate("kill", "critical")])
    first = told(store)
    assert len(first) == 20 and "slack:firing:kill" in first
    assert told(store) == []
    clock.now += 61 * MINUTE
    assert len(told(store)) == 11


def test_each_sink_is_told_and_one_that_fails_is_tried_again_later_until_it_is_given_up(store, clock) -> None:
    store.alerts.hold("default", [gate()])
    store.alerts.plan(TELLING, ("slack", "alertmanager"))
    (one,) = store.alerts.claim("slack", "worker", MINUTE)
    store.alerts.failed(one, "it is gone", 10 * MINUTE, TELLING.give_up_us)
    assert len(store.alerts.claim("alertmanager", "worker", MINUTE)) == 1
    assert store.alerts.claim("slack", "worker", MINUTE) == ()
    clock.now += 11 * MINUTE
    (again,) = store.alerts.claim("slack", "worker", MINUTE)
    assert (again.id, again.attempts) == (one.id, 1)
    clock.now += 25 * 60 * MINUTE
    store.alerts.failed(again, "it is gone", 10 * MINUTE, TELLING.give_up_us)
    clock.now += 60 * MINUTE
    assert store.alerts.claim("slack", "worker", MINUTE) == ()


def test_a_worker_that_died_while_sending_leaves_it_to_another(store, clock) -> None:
    store.alerts.hold("default", [gate()])
    store.alerts.plan(TELLING, SINKS)
    assert len(store.alerts.claim("slack", "first", MINUTE)) == 1
    assert store.alerts.claim("slack", "second", MINUTE) == ()
    clock.now += 2 * MINUTE
    assert len(store.alerts.claim("slack", "second", MINUTE)) == 1


def test_a_clock_that_was_set_back_holds_up_nothing(store, clock) -> None:
    store.alerts.hold("default", [gate("first")])
    store.alerts.plan(TELLING, SINKS)
    assert len(store.alerts.claim("slack", "first", MINUTE)) == 1
    clock.now -= 5 * 86_400_000_000
    assert len(store.alerts.claim("slack", "second", MINUTE)) == 1
    store.alerts.hold("default", [])
    store.alerts.hold("default", [gate("first")])
    store.alerts.plan(TELLING, SINKS)
    assert store.alerts.list("default").items[0].told == "firing"


def test_two_workers_at_once_tell_each_thing_once(store) -> None:
    def work(owner: str) -> list[Sending]:
        for number in range(8):
            store.alerts.happened("default", event(f"chg_{number}"), TELLING.quiet_us)
        store.alerts.hold("default", [gate()])
        store.alerts.plan(TELLING, SINKS)
        return list(store.alerts.claim("slack", owner, MINUTE))

    with ThreadPoolExecutor(4) as pool:
        found = [one for taken in pool.map(work, ("a", "b", "c", "d")) for one in taken]
    labels = sorted(next(iter(one.message.labels.values())) for one in found)
    assert labels == sorted([*(f"chg_{number}" for number in range(8)), "errors"])


def test_a_sink_that_is_not_set_up_any_more_is_given_up(store, clock) -> None:
    store.alerts.hold("default", [gate()])
    store.alerts.plan(TELLING, ("gone",))
    clock.now += 25 * 60 * MINUTE
    store.alerts.plan(TELLING, SINKS)
    assert store.alerts.claim("gone", "worker", MINUTE) == ()


def test_without_sinks_alerts_are_kept_and_nothing_waits(store) -> None:
    store.alerts.hold("default", [gate()])
    assert told(store, ()) == []
    assert store.alerts.list("default", status="firing").items[0].told == "firing"
    assert told(store, SINKS) == []


def test_what_came_in_is_kept_by_what_it_is_and_never_sent_out(store) -> None:
    came = Incoming(fingerprint="f", name="Down", severity="critical", firing=True, labels={"a": "b"}, began_us=1)
    store.alerts.came("default", [came])
    store.alerts.came("default", [came])
    store.alerts.hold("default", [])
    assert told(store) == []
    (row,) = store.alerts.list("default").items
    assert (row.source, row.status, row.seen) == ("alertmanager", "firing", 2)


def test_alerts_are_a_tenants_own_and_come_by_pages(store, clock) -> None:
    for number in range(5):
        clock.now += MINUTE
        store.alerts.happened("acme", event(f"chg_{number}"), TELLING.quiet_us)
    store.alerts.hold("other", [])
    first = store.alerts.list("acme", limit=3)
    rest = store.alerts.list("acme", limit=3, cursor=first.next)
    assert [one.labels["change"] for one in (*first.items, *rest.items)] == [f"chg_{n}" for n in (4, 3, 2, 1, 0)]
    assert store.alerts.list("other").items == ()
    with pytest.raises(Exception, match="limit"):
        store.alerts.list("acme", limit=0)
