"""Start, stop, kill and resume, from several sides at once; and who has heard of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from meliora.errors import Conflict, Forbidden
from meliora.loop.control import Controls, KillFile, Process, Switch
from meliora.loop.policy.bundle import own
from meliora.loop.policy.decide import Policies
from meliora.loop.policy.request import Actor, Facts
from meliora.store import Store
from meliora.store.engine import reading
from meliora.store.gateways import Heartbeat
from meliora.store.tables import loop_control

ANN = Actor(kind="person", key="key_ann", scopes=("admin",))
FACTS = Facts(environment="production")


def process(name: str, kind: str = "gateway") -> Process:
    return Process(id=name, kind=kind, host="h", pid=1)


@pytest.fixture(scope="module")
def policies() -> Policies:
    return Policies(own())


@pytest.fixture
def file(tmp_path: Path) -> KillFile:
    return KillFile(tmp_path)


@pytest.fixture
def desk(store: Store, file: KillFile, policies: Policies) -> Controls:
    return Controls(store.control, file, policies, store.audit)


def actions(store: Store) -> list[str]:
    return [entry.action for entry in store.audit.of("default", "loop")]


def test_untouched_it_runs_and_nobody_has_killed_it(store) -> None:
    state = store.control.state()
    assert state.running and not state.halted and state.kill_epoch == 0
    assert store.control.running() and not store.control.halted()


def test_started_twice_or_stopped_and_started_it_is_one_loop(store) -> None:
    assert not store.control.start("key_ann")
    assert store.control.stop("key_ann") and not store.control.stop("key_ann")
    assert not store.control.running()
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(store.control.start, ["a", "b", "c", "d"])) == [False, False, False, True]
    assert actions(store) == ["loop.stop", "loop.start"]


def test_a_kill_and_a_resume_make_an_epoch_each(store) -> None:
    assert store.control.kill("key_ann", "costs explode") == 1
    assert store.control.kill("key_bob", "me too") == 1
    state = store.control.state()
    assert (state.halted, state.by, state.why, state.kill_epoch) == (True, "key_ann", "costs explode", 1)
    assert store.control.resume("key_ann", "found it") == 2 and not store.control.halted()
    assert store.control.resume("key_ann", "again") == 2
    assert store.control.kill("key_ann", "no") == 3
    assert [entry.body["epoch"] for entry in store.audit.of("default", "loop")] == [1, 1, 2, 2, 3]
    assert "explode" not in str(store.audit.of("default", "loop"))


def test_gateways_find_the_rows_they_look_for(store) -> None:
    store.control.kill("key_ann", "x")
    store.control.stop("key_ann")
    with reading(store.engine) as connection:
        rows = {row.name: row.value for row in connection.execute(sa.select(loop_control))}
    assert (rows["kill_epoch"], rows["halted"], rows["running"]) == ("1", "1", "0")


def test_kills_at_once_are_one_epoch(store) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda n: store.control.kill(f"key_{n}", "x"), range(8))) == {1}


def test_the_time_to_the_last_acknowledgement_is_measured(store, clock) -> None:
    for name in ("g1", "g2"):
        store.control.beat(process(name), 0)
    store.control.beat(process("w1", "worker"), 0)
    epoch = store.control.kill("key_ann", "x")
    killed = store.control.state().since_us
    assert not store.control.acks(epoch).complete and store.control.acks(epoch).seconds is None
    clock.now = killed + 400_000
    store.control.beat(process("g1"), epoch)
    clock.now = killed + 900_000
    store.control.beat(process("g2"), epoch)
    assert not store.control.acks().complete
    clock.now = killed + 1_500_000
    store.control.beat(process("w1", "worker"), epoch)
    clock.now = killed + 9_000_000
    for name in ("g1", "g2"):
        store.control.beat(process(name), epoch)  # later beats of the same epoch do not count
    found = store.control.acks(epoch)
    assert found.complete and found.seconds == pytest.approx(1.5, abs=0.001)
    assert [(one.id, round(one.seconds or 0, 1)) for one in found.processes] == [("g1", 0.4), ("g2", 0.9), ("w1", 1.5)]


def test_a_process_that_is_dead_is_shown_and_not_waited_for(store, clock) -> None:
    store.control.beat(process("g1"), 0)
    store.control.beat(process("g2"), 0)
    clock.now += 61_000_000
    store.control.beat(process("g1"), 0)
    epoch = store.control.kill("key_ann", "x")
    store.control.beat(process("g1"), epoch)
    found = store.control.acks(epoch)
    assert found.complete and [(one.id, one.alive) for one in found.processes] == [("g1", True), ("g2", False)]
    store.control.leave("g1")
    clock.now += 90_000_000_000
    store.control.beat(process("g3"), epoch)
    assert [one.id for one in store.control.acks().processes] == ["g3"]


def test_an_acknowledgement_of_the_past_does_not_take_a_newer_one_back(store) -> None:
    epoch = store.control.kill("key_ann", "x")
    store.control.beat(process("g1"), epoch)
    store.control.beat(process("g1"), 0)  # an old beat that came late
    assert store.control.acks(epoch).complete
    assert not store.control.acks(store.control.resume("key_ann", "y")).complete


def test_a_clock_that_went_back_makes_no_negative_time(store, clock) -> None:
    epoch = store.control.kill("key_ann", "x")
    clock.now -= 5_000_000
    store.control.beat(process("g1"), epoch)
    assert store.control.acks(epoch).seconds == 0.0


def test_a_file_kills_everywhere_and_as_long_as_it_is_there(store, file) -> None:
    switch = Switch(store.control, file)
    assert not switch.look()
    file.path.write_text("it burns\nmore\n")
    assert switch.halted() and not store.control.halted(), "here at once, elsewhere by the next look"
    assert switch.look() and store.control.halted()
    state = store.control.state()
    assert (state.by, state.why, state.kill_epoch) == ("system:file", "it burns", 1)
    assert switch.look() and store.control.state().kill_epoch == 1
    store.control.resume("key_ann", "fine")
    assert switch.look() and store.control.state().kill_epoch == 3, "who leaves the file there has not resumed"


@pytest.mark.parametrize("make", ["directory", "link", "empty"])
def test_whatever_lies_there_kills(store, file, make) -> None:
    if make == "directory":
        file.path.mkdir()
    elif make == "link":
        file.path.symlink_to("nowhere")
    else:
        file.path.write_bytes(b"")
    assert Switch(store.control, file).look()
    assert str(file.path) in (store.control.state().why or "")


def test_a_resume_removes_the_file_or_says_that_it_cannot(store, file, desk) -> None:
    desk.kill(ANN, FACTS, "x")
    file.write("y")
    assert desk.resume(ANN, FACTS, "fine") == 2
    assert not Switch(store.control, file).look()
    file.path.mkdir()
    Switch(store.control, file).look()
    with pytest.raises(Conflict, match="by hand"):
        desk.resume(ANN, FACTS, "fine")
    assert store.control.halted()


@pytest.fixture
def signalled() -> Iterator[None]:
    """Put the handler back that this process had."""
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("signalled")
def test_a_signal_writes_the_file(file) -> None:
    file.on_signal()
    os.kill(os.getpid(), signal.SIGUSR1)
    assert file.present() and file.reason() == "a signal came"
    assert KillFile(file.path.parent).present(), "other processes see it too"


@pytest.mark.usefixtures("signalled")
def test_a_signal_kills_also_where_no_file_can_be_made(store, tmp_path) -> None:
    file = KillFile(tmp_path / "gone")
    file.on_signal()
    os.kill(os.getpid(), signal.SIGUSR1)
    assert Switch(store.control, file).look() and store.control.halted()
    file.clear()
    store.control.resume("key_ann", "fine")
    assert not Switch(store.control, file).look()


def test_only_people_with_the_right_take_a_kill_back_and_anyone_near_may_kill(store, desk) -> None:
    agent = Actor(kind="agent", key="key_bot", scopes=("feedback",))
    reader = Actor(kind="person", key="key_eve", scopes=("read",))
    desk.kill(agent, FACTS, "harm")
    for actor in (agent, reader, Actor(kind="system", key="loop")):
        with pytest.raises(Forbidden):
            desk.resume(actor, FACTS, "fine")
    with pytest.raises(Forbidden):
        desk.kill(reader, FACTS, "x")
    with pytest.raises(Conflict, match="kill switch"):
        desk.start(ANN, FACTS)
    desk.resume(ANN, FACTS, "fine")
    assert desk.stop(ANN, FACTS) and desk.start(ANN, FACTS)
    assert actions(store).count("loop.refused") == 4
    assert store.audit.verify().whole


def test_a_kill_works_with_broken_policies_and_a_resume_does_not(store, file, tmp_path) -> None:
    from meliora.loop.policy.bundle import with_directory

    (tmp_path / "mine.cedar").write_text("forbid(")
    desk = Controls(store.control, file, Policies(with_directory(tmp_path)), store.audit)
    assert desk.kill(ANN, FACTS, "x") == 1
    with pytest.raises(Forbidden, match="broken"):
        desk.resume(ANN, FACTS, "x")
    assert store.control.halted()


def test_gateways_acknowledge_with_their_heartbeats_and_workers_beside_them(store, clock) -> None:
    def heartbeat(epoch: int, name: str = "g1", started_us: int = 0) -> None:
        said = Heartbeat(
            id=name, version="0", format=1, host="h", pid=1, started_us=started_us or clock.now, kill_epoch=epoch
        )
        store.gateways.beat(said, clock.now)

    heartbeat(0)
    began = clock.now
    store.control.beat(process("w1", "worker"), 0)
    epoch = store.control.kill("key_ann", "x")
    killed = store.control.state().since_us
    store.control.beat(process("w1", "worker"), epoch)
    assert not store.control.acks().complete
    clock.now = killed + 300_000
    heartbeat(epoch, started_us=began)
    clock.now = killed + 5_000_000
    heartbeat(epoch, started_us=began)
    found = store.control.acks()
    assert found.complete and found.seconds == pytest.approx(0.3, abs=0.001)
    assert [(one.id, one.kind) for one in found.processes] == [("g1", "gateway"), ("w1", "worker")]


def test_who_begins_after_a_kill_is_late_for_none(store, clock) -> None:
    epoch = store.control.kill("key_ann", "x")
    clock.now += 3_600_000_000
    store.control.beat(process("w1", "worker"), epoch)
    said = Heartbeat(id="g1", version="0", format=1, host="h", pid=1, started_us=clock.now, kill_epoch=epoch)
    store.gateways.beat(said, clock.now)
    assert store.control.acks().complete and store.control.acks().seconds == 0.0
    store.control.resume("key_ann", "x")
    assert not store.control.acks().complete
