"""Misspelled words are repaired, and all others are left alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.knowledge.config import Spelling
from meliora.knowledge.repair.channel import cost
from meliora.knowledge.repair.deletes import Deletes
from meliora.knowledge.repair.spelling import Speller, unknown_share

WRITTEN = {
    "certificate": 40,
    "renewal": 12,
    "database": 30,
    "data": 50,
    "base": 9,
    "backup": 25,
    "failover": 8,
    "fail": 6,
    "over": 90,
    "restore": 21,
    "restored": 3,
    "storage": 17,
    "boundary": 11,
}
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="module")
def speller() -> Speller:
    return Speller(WRITTEN, Spelling())


@given(st.sampled_from(sorted(WRITTEN)))
def test_a_known_word_is_never_changed(word: str) -> None:
    assert Speller(WRITTEN, Spelling()).repair(word) == ()


@given(st.sampled_from(["certificate", "renewal", "boundary", "storage"]), st.data())
def test_a_word_one_edit_away_is_found(word: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(word) - 1))
    letter = data.draw(st.sampled_from(LETTERS))
    swapped = word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]
    kinds = [word[:at] + word[at + 1 :], word[:at] + letter + word[at:], word[:at] + letter + word[at + 1 :], swapped]
    typed = data.draw(st.sampled_from(kinds))
    found = Speller(WRITTEN, Spelling()).repair(typed)
    assert typed in WRITTEN or word in dict(found)


@given(st.lists(st.text("abc", min_size=1, max_size=9), max_size=30), st.text("abc", min_size=1, max_size=9))
def test_the_index_misses_no_word_within_two_edits(words: list[str], typed: str) -> None:
    kinds = sorted(set(words))
    within = {word for word in kinds if cost(typed, word, 2) is not None}
    assert within <= set(Deletes(kinds, 2).near(typed, 2))


def test_two_edits_are_repaired_in_long_words_only(speller: Speller) -> None:
    assert speller.repair("certifcaet")[0][0] == "certificate"
    assert Speller({"back": 9}, Spelling()).repair("bxxk") == ()


def test_an_unsure_repair_gives_several_words_whose_weights_sum_to_one() -> None:
    found = Speller({"planet": 5, "planed": 5}, Spelling()).repair("planeq")
    assert {word for word, _ in found} == {"planet", "planed"}
    assert sum(weight for _, weight in found) == pytest.approx(1)


def test_swapped_letters_are_likelier_than_another_letter() -> None:
    assert cost("fomr", "form", 1) == (1, 2.0)
    assert Speller({"trail": 5, "train": 5}, Spelling()).repair("trial")[0][0] == "trail"


def test_a_more_frequent_word_wins_among_equal_edits() -> None:
    assert Speller({"lamp": 2, "lamb": 400}, Spelling()).repair("lamx")[0][0] == "lamb"


@pytest.mark.parametrize(
    "word",
    ["", "x", "abc", "10293847", "v1dbase", "data_bas", "http://databse", "d" * 10_000, "\ud800ata", "базаx" * 20],
)
def test_what_is_no_word_is_left_alone(speller: Speller, word: str) -> None:
    assert speller.repair(word) == ()
    assert not speller.near(word)


def test_hostile_words_take_no_time(speller: Speller) -> None:
    began = time.process_time()
    for word in ("a" * 40, "ab" * 20, "e" * 10_000, "data" * 10):
        speller.repair(word)
    assert time.process_time() - began < 0.5


def test_words_written_together_are_taken_apart(speller: Speller) -> None:
    assert speller.repair("databackup")[0][0] == "data backup"


def test_words_written_apart_are_joined_where_the_documents_have_them_so(speller: Speller) -> None:
    assert speller.joined("fail", "over") == "failover"
    assert speller.joined("data", "backup") is None


def test_nothing_is_repaired_to_a_word_too_few_passages_have() -> None:
    assert Speller({"storage": 1}, Spelling(documents=2)).repair("storaeg") == ()


def test_an_empty_vocabulary_repairs_nothing() -> None:
    empty = Speller({}, Spelling())
    assert empty.repair("anything") == ()
    assert not empty.near("anything")


def test_near_tells_of_a_neighbour_but_not_of_the_word_itself(speller: Speller) -> None:
    assert speller.near("boundray")
    assert not speller.near("boundary")
    assert not speller.near("zzyzxqv")


def test_unknown_words_are_counted_as_often_as_they_were_asked() -> None:
    assert unknown_share({"data": 3, "zorblax": 1}, WRITTEN) == 0.25
    assert unknown_share({}, WRITTEN) == 0
