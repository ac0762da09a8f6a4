"""JSON as providers take it: a text cut in the middle of an emoji is still a text."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.gateway.dialects.lenient import decode, deeper_than

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_json_is_decoded_as_it_is(value):
    assert decode(json.dumps(value).encode()) == value


def test_half_of_a_surrogate_pair_becomes_a_replacement_character_that_can_be_encoded():
    found = decode(b'{"a\\ud83d":["x\\ud83d", "\\ude00y", "\\ud83d\\ude00", {"b":"\\udfff"}]}')
    assert found == {"a\ufffd": ["x\ufffd", "\ufffdy", "\N{GRINNING FACE}", {"b": "\ufffd"}]}
    msgspec.json.encode(found)


@pytest.mark.parametrize("raw", [b'{"a":NaN,"b":"\\ud83d"}', b'{"a":"\\ud83d"} x', b'{"a":"\xff\\ud83d"}', b'{"a":'])
def test_what_is_no_json_is_refused(raw):
    with pytest.raises((msgspec.DecodeError, ValueError)):
        decode(raw)


def test_depth_is_counted_level_by_level():
    value: object = 1
    for _ in range(10):
        value = [value]
    assert deeper_than(value, 9)
    assert not deeper_than(value, 10)
    assert not deeper_than({"a": [1, 2], "b": {}}, 2)
