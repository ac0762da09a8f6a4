"""Any text becomes finite numbers, the same ones everywhere."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.routing.learned.features import CUT, HAND, IDS, Context, read


@given(st.text(alphabet=st.characters(), max_size=300))
def test_any_text_is_read(text):
    found = read(text)
    assert found.hand.shape == (HAND,)
    assert np.isfinite(found.hand).all()
    assert len(found.ids) == len(found.weights) > 0
    assert (np.diff(found.ids) > 0).all()
    assert found.ids[0] >= 0
    assert found.ids[-1] < IDS
    assert (found.weights >= 1).all()


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000,
        "\x00\x1f\x7f" * 50,
        "Скільки коштує квиток до Львова? " * 400,
        "请写一首诗" * 2000,
        "\ud800 alone",
    ],
    ids=["1 MB", "control characters", "Ukrainian", "Chinese", "lone surrogate"],
)
def test_long_and_strange_text_is_read(text):
    found = read(text)
    assert np.isfinite(found.hand).all()
    assert len(found.ids) > 0


def test_of_a_long_text_only_the_ends_and_the_length_count():
    ends = "a b c " * CUT, "d e f " * CUT
    one, other = (read(ends[0] + middle + ends[1]) for middle in ("so " * 1000, "no " * 1000))
    assert (one.ids == other.ids).all()
    assert (one.hand == other.hand).all()
    assert (read(ends[0] + ends[1]).hand != one.hand).any()


def test_case_does_not_change_the_hashes():
    assert (read("The Quick Fox").ids == read("the quick fox").ids).all()


def test_a_word_is_the_same_wherever_it_stands():
    alone, within = set(read("zebra").ids.tolist()), set(read("one two three (zebra)").ids.tolist())
    assert alone <= within


def test_hashes_are_those_of_another_process():
    code = "from meliora.routing.learned.features import read; print(read('the same everywhere').ids.tolist())"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert there.strip() == str(read("the same everywhere").ids.tolist())


def test_what_is_known_of_the_call_counts():
    plain, told = (
        read("hello"),
        read("hello", Context(task="code", hour=6, input_tokens=900, needs=frozenset({"tools"}))),
    )
    assert (plain.hand != told.hand).sum() >= 4
