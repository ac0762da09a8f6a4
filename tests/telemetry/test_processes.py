"""Signs of life of workers."""

from __future__ import annotations

from meliora.telemetry.processes import FORGET_US, WORKER, WorkerBeat, note, workers


class Values(dict[str, str]):
    """Named values in memory."""

    def put(self, name: str, value: str) -> None:
        self[name] = value

    def values(self, prefix: str) -> dict[str, str]:  # type: ignore[override]
        return {name: value for name, value in self.items() if name.startswith(prefix)}


def beat(host: str = "h", seen_us: int = 10, state_dir: str = "/var") -> WorkerBeat:
    return WorkerBeat(host=host, state_dir=state_dir, version="1", pid=1, seen_us=seen_us)


def test_each_machine_has_its_last_word() -> None:
    kept = Values()
    for one in (beat("a", 1), beat("b", 2), beat("a", 3)):
        note(kept, one)
    assert {one.host: one.seen_us for one in workers(kept, 5)} == {"a": 3, "b": 2}


def test_two_state_directories_on_one_machine_are_two_workers() -> None:
    """One that dies is missed, however lively the other is."""
    kept = Values()
    for one in (beat("a", 1, "/one"), beat("a", 9, "/two")):
        note(kept, one)
    assert {one.state_dir: one.seen_us for one in workers(kept, 10)} == {"/one": 1, "/two": 9}


def test_one_that_is_long_gone_is_not_mentioned_and_one_that_does_not_read_is_left_out() -> None:
    kept = Values()
    note(kept, beat("old", 0))
    kept.put(WORKER + "newer", '{"shape": "of another version"}')
    assert workers(kept, FORGET_US + 1) == ()
