"""YAML and JSON in one form: what is written is read back, whatever stands in it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from meliora.loop.artifacts.plain import to_json, to_yaml

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\x85\u2028\u2029\ufeff\ufffe\uffff"))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FLOATS | TEXT
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))


@given(st.dictionaries(TEXT, TREES, min_size=1, max_size=4))
def test_yaml_is_read_back_as_it_was(tree: dict[str, Any]) -> None:
    assert yaml.safe_load(to_yaml(tree)) == tree


@pytest.mark.parametrize("number", [1e-6, 1e-5, 2.5e-7, 1e16, 1e300, -3e-9, 0.1])
def test_a_power_of_ten_is_a_number_also_for_readers_of_yaml_1_1(number: float) -> None:
    assert yaml.load(to_yaml({"rate": number}), Loader=yaml.FullLoader) == {"rate": number}


def test_words_that_yaml_takes_for_something_else_stay_texts() -> None:
    tree = {"no": "yes", "on": "null", "a: b": "- c", "n": ["1e3", "2026-11-21", "~"], "empty": {}, "none": []}
    assert yaml.safe_load(to_yaml(tree)) == tree


def test_what_is_no_finite_number_is_null() -> None:
    assert yaml.safe_load(to_yaml({"a": [math.nan, {"b": math.inf}]})) == {"a": [None, {"b": None}]}
    assert b"null" in to_json({"a": math.nan})
