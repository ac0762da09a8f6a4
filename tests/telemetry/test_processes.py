"""Signs of life of workers."""

from __future__ import annotations

from meliora.telemetry.processes import FORGET_US, WORKER, WorkerBeat, note, workers


class Values(dict[str, str]):
    """Named values in memory."""

    def put(self, name: str, value: str) -> None:
        self[name] = value

    def values(self, prefix: str) -> dict[str, str]:  # type: ignore[override]
        return {name: value for name, value in self.items() if name.startswith(prefix)}


def beat(host: str = "h", seen_us: int = 10) -> WorkerBeat:
    return WorkerBeat(host=host, version="1", pid=1, seen_us=seen_us)


def test_each_machine_has_its_last_word() -> None:
    kept = Values()
    for one in (beat("a", 1), beat("b", 2), beat("a", 3)):
        note(kept, one)
    assert {one.host: one.seen_us for one in workers(kept, 5)} == {"a": 3, "b": 2}


def test_one_that_is_long_gone_is_not_mentioned_and_one_that_does_not_read_is_left_out() -> None:
    kept = Values()
    note(kept, beat("old", 0))
    kept.put(WORKER + "newer", '{"shape": "of another version"}')
    assert workers(kept, FORGET_US + 1) == ()
