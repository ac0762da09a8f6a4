"""Any text becomes finite numbers, the same ones everywhere."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.routing.learned.features import CUT, FEATURES_VERSION, HAND, IDS, NOTHING, Context, read, words
from tests.routing.learned import plainly

STRANGE = {
    "empty": "",
    "one letter": "?",
    "1 MB": "x" * 1_000_000,
    "control characters": "\x00\x1f\x7f" * 50,
    "Ukrainian": "Скільки коштує квиток до Львова? " * 400,
    "Chinese": "请写一首诗" * 2000,
    "lone surrogate": "\ud800 alone",
    "beyond the plane": "😀 🎉" * 1500,
    "blocks": "An example.\n\nHow many of 12 and 345?\n\nA) 1\nB) 22 == 22\\n\\nWhich of them is true, and what is not false?",
    "a short last block": "A long enough block before it.\n\nyes",
    "numbers": "007 and 1 and 123456",
    "equal signs": "=== ==== a == b",
}


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


def same(text: str, context: Context = NOTHING) -> None:
    found, wanted = read(text, context), plainly.ids(text)
    assert dict.fromkeys(found.ids.tolist()) == dict.fromkeys(sorted(wanted))
    assert found.weights == pytest.approx([1 + math.log(wanted[one]) for one in sorted(wanted)], rel=1e-6)
    assert found.hand == pytest.approx(plainly.hand(text, context), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE.keys())
def test_long_and_strange_text_is_read_as_stored_policies_read_it(text):
    assert FEATURES_VERSION == 1
    same(text)


PIECES = st.sampled_from(
    [*"aZ9 .?!\n=)(`é中", "\n\n", "\\n\\n", "def ", "return", "A)", "B.", "how many", " not ", "true", "==", "12", ". "]
)


@given(
    st.lists(PIECES | st.text(max_size=3), max_size=200).map("".join) | st.text(st.characters(), max_size=300),
    st.builds(
        Context,
        st.sampled_from(["chat", "code", "general"]),
        st.floats(0, 24),
        st.integers(0, 10_000),
        st.frozensets(st.sampled_from(["tools", "vision", "json", "audio"])),
    ),
)
def test_any_text_is_read_as_stored_policies_read_it(text, context):
    same(text, context)


def test_the_words_that_are_told_are_the_words_that_are_hashed():
    found, hashed = words("The cat, the CAT, and 12 кіт")
    assert found == [b"the", b"cat", b"the", b"cat", b"and", b"12", "кіт".encode()]
    assert len(set(hashed.tolist())) == 5
    assert set(hashed.tolist()) <= set(read("The cat, the CAT, and 12 кіт").ids.tolist())


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
