"""Unknown words are counted as they are, and a slip is told from a word that came to be used."""

from __future__ import annotations

import pytest

from meliora.diagnosis.search.seen import SearchSeen
from meliora.diagnosis.search.words import RECURS, Words, unknown_words
from tests.diagnosis.search.searches import Vocab, one

VOCAB = Vocab(
    frozenset({"harbour", "open", "ferry"}), {"harbuor": ("harbour",), "opne": ("open",), "ferri": ("ferry",)}
)


def asked(*queries: str) -> list[SearchSeen]:
    return [one(at, text.split(), written=tuple(text.split())) for at, text in enumerate(queries)]


def test_shares_and_coverage_are_those_counted_by_hand() -> None:
    before, now = (
        asked("harbour open", "ferry", "ferry zorb"),
        asked("harbuor open", "ferry", "zorb", "harbour harbour"),
    )
    words = Words.of(before, now, VOCAB)
    found = unknown_words(words, before, now)
    assert (found.share_before, found.share_now) == (pytest.approx(1 / 3), 0.5)
    assert found.coverage == pytest.approx(4 / 6)
    assert (found.slips, found.near_share_now, found.new) == (1, 0.5, ())


def test_a_word_that_recurs_by_itself_is_new_and_a_rare_one_near_a_known_is_a_slip() -> None:
    now = asked(*["harbour"] * 20, *["zorb"] * RECURS, *["harbuor"] * RECURS, "opne", "qq")
    words = Words.of([], now, VOCAB)
    assert words.unknown == {"zorb", "harbuor", "opne", "qq"}
    assert words.near == {"harbuor", "opne"} and words.recurring == ("zorb",)


def test_a_recurring_word_asked_for_more_than_the_known_one_it_is_near_to_is_no_slip_of_it() -> None:
    words = Words.of([], asked(*["ferry"] * 4, *["ferri"] * 12), VOCAB)
    assert words.near == frozenset() and words.recurring == ("ferri",)


def test_the_written_word_is_looked_up_where_it_is_known() -> None:
    stemmed = [one(at, ("harbu",), written=("harbuor",)) for at in range(2)]
    assert Words.of([], stemmed, VOCAB).near == {"harbu"}
    bare = [one(at, ("harbu",)) for at in range(2)]
    assert Words.of([], bare, VOCAB).near == frozenset()


def test_each_word_is_asked_about_once_however_often_it_comes() -> None:
    asked_for: list[str] = []

    class Counting(Vocab):
        def frequency(self, term: str) -> int:
            asked_for.append(term)
            return super().frequency(term)

    Words.of(asked(*["ferry zorb"] * 50), asked(*["ferry"] * 50), Counting(frozenset({"ferry"})))
    assert sorted(asked_for) == ["ferry", "zorb"]


def test_of_a_window_without_searches_nothing_is_known() -> None:
    now = asked("zorb", "ferry")
    found = unknown_words(Words.of([], now, VOCAB), [], now)
    assert (found.share_before, found.share_now, found.rise_z) == (None, 0.5, None)
    found = unknown_words(Words.of(now, [], VOCAB), now, [])
    assert (found.share_now, found.coverage, found.near_share_now, found.rise_z) == (None, None, None, None)


def test_searches_without_a_word_cover_nothing_and_lack_nothing() -> None:
    empty = [one(at, ()) for at in range(5)]
    found = unknown_words(Words.of(empty, empty, VOCAB), empty, empty)
    assert (found.share_now, found.coverage, found.new) == (0.0, None, ())
