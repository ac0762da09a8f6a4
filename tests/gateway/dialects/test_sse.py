"""Framing and reading of event streams."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.errors import UpstreamBroken
from meliora.gateway.dialects.sse import KEEPALIVE, Event, Framer, encode_event, iter_events, split_events

DATA = Path(__file__).parents[2] / "data" / "dialects"
PIECES = st.lists(
    st.sampled_from([b"\n", b"\r", b"\r\n", b"data: x", b"event: e", b":", b" ", b"\n\n", b"z"]), max_size=40
)
CUTS = st.lists(st.integers(0, 200), max_size=12)


def chunks(raw: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    return [raw[a:b] for a, b in itertools.pairwise(at)]


def by_line(raw: bytes) -> list[Event]:
    """The specification's algorithm, a character at a time: slow and plain."""
    text = raw[3:] if raw.startswith(b"\xef\xbb\xbf") else raw
    lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]
    events, kind, data = [], b"", []
    for line in lines:
        if not line:
            if data:
                events.append(Event(kind.decode("utf-8", "replace") or None, b"\n".join(data)))
            kind, data = b"", []
        else:
            name, _, value = line.partition(b":")
            value = value[1:] if value.startswith(b" ") else value
            if name == b"data":
                data.append(value)
            elif name == b"event":
                kind = value
    return events


@settings(max_examples=300)
@given(PIECES, CUTS)
def test_any_chunking_gives_the_same_bytes_and_the_same_events(pieces, cuts):
    raw = b"".join(pieces)
    framer = Framer(1 << 20)
    out = [framer.feed(chunk) for chunk in chunks(raw, cuts)]
    tail = framer.tail()
    assert b"".join(out) + tail == raw
    each = [event for piece in out for event in iter_events(piece)]
    assert each == list(iter_events(raw))
    assert list(iter_events(tail)) == []


@settings(max_examples=200)
@given(st.one_of(PIECES.map(b"".join), st.binary(max_size=200)))
def test_events_are_read_as_the_specification_says(raw):
    assert list(iter_events(raw)) == by_line(raw)


@settings(max_examples=100)
@given(PIECES)
def test_split_events_are_the_same_bytes_one_event_a_piece(pieces):
    raw = b"".join(pieces)
    parts = split_events(raw)
    assert b"".join(parts) == raw
    assert all(len(list(iter_events(part))) <= 1 for part in parts)
    assert [event for part in parts for event in iter_events(part)] == list(iter_events(raw))


@pytest.mark.parametrize("path", sorted(DATA.glob("*.sse")), ids=lambda path: path.stem)
def test_recorded_shapes_survive_being_fed_byte_by_byte(path):
    raw = path.read_bytes()
    framer = Framer(1 << 20)
    out = [framer.feed(raw[i : i + 1]) for i in range(len(raw))]
    assert b"".join(out) + framer.tail() == raw
    assert [event for piece in out for event in iter_events(piece)] == list(iter_events(raw))


def test_a_line_feed_that_was_cut_off_its_carriage_return_does_not_wait_for_the_next_event():
    framer = Framer(100)
    assert framer.feed(b"data: x\r\n\r") == b"data: x\r\n\r"
    assert framer.feed(b"\ndata: y") == b"\n"
    assert framer.tail() == b"data: y"


def test_an_event_over_the_limit_is_refused_whole_or_in_pieces():
    with pytest.raises(UpstreamBroken):
        Framer(20).feed(b"data: " + b"x" * 30 + b"\n\n")
    framer = Framer(20)
    with pytest.raises(UpstreamBroken):
        for _ in range(10):
            framer.feed(b"data: xx")
    framer = Framer(20)
    framer.feed(b"data: 0123456789")
    with pytest.raises(UpstreamBroken):
        framer.feed(b"0123456789\n\ndata: y\n\n")


def test_many_small_events_in_one_chunk_pass_a_limit_smaller_than_the_chunk():
    assert Framer(20).feed(b"data: x\n\n" * 50) == b"data: x\n\n" * 50


def test_comments_and_events_without_data_are_not_dispatched_and_lines_of_data_are_joined():
    raw = b": hi\n\nevent: a\n\nid: 3\nevent: b\ndata: 1\ndata:2\ndata\n\ndata: cut"
    assert list(iter_events(raw)) == [Event("b", b"1\n2\n")]


@given(st.binary(max_size=80), st.sampled_from([None, "ping"]))
def test_what_is_encoded_is_read_back(data, kind):
    (event,) = iter_events(encode_event(data, kind))
    assert event == Event(kind, data.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))


def test_keep_alives_hold_no_event_but_the_ping_of_messages():
    assert list(iter_events(KEEPALIVE["chat"] + KEEPALIVE["responses"])) == []
    assert list(iter_events(KEEPALIVE["messages"])) == [Event("ping", b'{"type": "ping"}')]
