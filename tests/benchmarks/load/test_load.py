"""Client and upstream against each other, over real sockets."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.gateway.processes import Child, Upstream, cores
from benchmarks.load import canned
from benchmarks.load.client import Planned, Probe, Silent, Stop, closed_loop, open_loop
from benchmarks.report import ControlFailed


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    with Upstream(cores()[1], tmp_path_factory.mktemp("upstream")) as served:
        yield served


def test_a_closed_loop_counts_whole_answers_and_looks_as_it_goes(upstream: Upstream) -> None:
    requests = canned.requests(upstream.target, canned.CHAT, 7)
    seen = closed_loop(upstream.target, requests, 4, Stop(calls=200), probe=Probe(lambda: 1.0, calls=50))
    assert seen.calls >= 200
    assert seen.errors == 0
    assert len(seen.marks) >= 4


def test_a_stream_brings_all_its_chunks(upstream: Upstream) -> None:
    requests = canned.requests(upstream.target, canned.CHAT_LONG, 7, stream=True)
    seen = closed_loop(upstream.target, requests, 1, Stop(calls=2))
    assert seen.events == 2 * canned.LONG_CHUNKS


def test_an_open_loop_counts_from_the_time_that_was_meant(upstream: Upstream) -> None:
    requests = canned.requests(upstream.target, canned.CHAT, 7)
    samples = open_loop([upstream.target], [Planned(-0.5, 0, requests[0]), Planned(0.01, 0, requests[1])])
    late, prompt = sorted(samples, key=lambda sample: -sample.total)
    assert late.total >= 0.5 > prompt.total
    assert late.ok
    assert prompt.ok


def test_a_paced_stream_of_an_open_loop_is_followed_to_its_end(upstream: Upstream) -> None:
    requests = canned.requests(upstream.target, canned.CHAT, 7, stream=True)
    (sample,) = open_loop([upstream.target], [Planned(0.0, 0, requests[0])])
    assert sample.events == canned.STREAM_CHUNKS
    assert sample.first_byte < sample.total
    assert sample.longest_gap > 0.005


def test_a_closed_loop_gives_up_where_all_is_refused() -> None:
    with pytest.raises((Silent, ConnectionError)):
        closed_loop(canned.Target("127.0.0.1", 1), [b""], 1, Stop(calls=1))


def test_the_cpu_time_and_memory_of_a_process_are_read_from_outside(upstream: Upstream) -> None:
    before = upstream.cpu_seconds()
    requests = canned.requests(upstream.target, canned.CHAT, 7)
    closed_loop(upstream.target, requests, 4, Stop(calls=500))
    assert 0 < upstream.cpu_seconds() - before < 5


def test_a_process_that_ends_early_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no such option')")
    with (
        Child(command, cores()[0], tmp_path / "child.log") as child,
        pytest.raises(ControlFailed, match="no such option"),
    ):
        child.wait_for(b"GET / HTTP/1.1\r\n\r\n", 1, 20)
