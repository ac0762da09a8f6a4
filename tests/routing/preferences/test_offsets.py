"""What a user's liking adds to a policy, and the table of it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.errors import InvalidRequest
from meliora.routing.preferences import offsets as module
from meliora.routing.preferences.interactions import Mark
from meliora.routing.preferences.offsets import OffsetTable, decode, encode, offsets
from tests.routing.preferences.planted import said, series


def test_an_offset_grows_with_evidence_up_to_its_bound() -> None:
    found = []
    for count in (1, 2, 30, 300):
        seen = series("a", [1.0] * count) + series("b", [0.0] * count, start=count)
        found.append(offsets(seen, {}, rate=0.1)["code"]["a"])
    assert found == sorted(found)
    assert 0.01 < found[0] < found[1] <= found[2]
    assert found[2] == found[3] == 0.1


def test_a_flood_of_words_moves_no_model_by_more_than_the_bound() -> None:
    seen = series("a", [1.0] * 2000) + series("b", [0.0] * 2000, start=2000)
    assert offsets(seen, {}, rate=0.1, largest=0.02)["code"] == {"a": 0.02, "b": -0.02}
    assert offsets(seen, {}, rate=0.1, largest=0.0) == {}


def test_what_everyone_says_is_left_to_the_policy() -> None:
    marks = {("code", "a"): Mark(970.0, 1000, 300), ("code", "b"): Mark(300.0, 1000, 300)}
    like_all = series("a", [1.0] * 19 + [0.5]) + series("b", [1.0, 0.0, 0.0] * 7, start=30)
    ordinary = offsets(like_all, marks, rate=0.1)
    assert max(map(abs, ordinary.get("code", {"": 0.0}).values())) < 0.04
    assert offsets(like_all, {}, rate=0.1)["code"]["a"] == 0.1


def test_a_table_knows_people_by_their_hash_and_has_no_line_without_an_offset() -> None:
    table = OffsetTable().changed({"x1": {"code": {"a": 0.05}}})
    assert table.of("x1") == {"code": {"a": 0.05}}
    assert table.of("x2") is None
    assert table.changed({"x1": {}}).users == {}


def test_a_full_table_keeps_those_with_the_largest_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "USERS", 2)
    table = OffsetTable().changed({name: {"code": {"a": value}} for name, value in (("x", 0.01), ("y", -0.1))})
    assert set(table.changed({"z": {"code": {"a": 0.05}}}).users) == {"y", "z"}


def test_what_is_no_table_or_of_another_format_is_refused() -> None:
    for body in (b"", b"\x00", encode(OffsetTable())[:-1], msgspec.msgpack.encode({"users": 3})):
        with pytest.raises(InvalidRequest):
            decode(body)
    with pytest.raises(InvalidRequest, match="format 9"):
        decode(msgspec.msgpack.encode({"users": {}, "format": 9}))


NAMES = st.text(max_size=2)


@given(
    st.dictionaries(NAMES, st.dictionaries(NAMES, st.dictionaries(NAMES, st.floats(-0.1, 0.1), min_size=1, max_size=2)))
)
@settings(max_examples=15, deadline=None)
def test_a_table_comes_back_as_it_was_and_its_bytes_depend_on_nothing_else(users: dict) -> None:
    table = OffsetTable().changed(users)
    assert decode(encode(table)) == table
    assert {subject: decode(encode(table)).of(subject) for subject in users} == {
        subject: given or None for subject, given in users.items()
    }
    assert encode(OffsetTable().changed(dict(reversed(users.items())))) == encode(table)


def test_unrated_interactions_give_no_offset() -> None:
    assert offsets([said("a", None)], {}, rate=0.1) == {}
