"""Where an answer ends."""

from __future__ import annotations

import pytest

from benchmarks.load import canned
from benchmarks.load.framing import Framing

_PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello"


def _stream() -> bytes:
    events, end = canned.stream_parts(canned.STREAM_CHUNKS, usage=False)
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"".join(events) + end


@pytest.mark.parametrize("size", [1, 2, 7, 100, 100_000])
def test_a_stream_ends_once_with_all_its_events_however_it_is_cut(size: int) -> None:
    framing, data = Framing(), _stream()
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    ends = [framing.feed(piece) for piece in pieces]
    assert ends == [False] * (len(pieces) - 1) + [True]
    assert framing.events == canned.STREAM_CHUNKS


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_plain_answer_ends_with_its_length(size: int) -> None:
    framing = Framing()
    ends = [framing.feed(_PLAIN[i : i + size]) for i in range(0, len(_PLAIN), size)]
    assert ends[-1]
    assert not any(ends[:-1])
    assert framing.status == 200


def test_a_stream_that_is_cut_has_not_ended() -> None:
    framing = Framing()
    framing.feed(_stream()[:-3])
    assert not framing.closed()


def test_an_answer_without_length_ends_with_its_connection() -> None:
    framing = Framing()
    assert not framing.feed(b"HTTP/1.1 502 Bad Gateway\r\n\r\nno")
    assert framing.closed()
    assert framing.status == 502
