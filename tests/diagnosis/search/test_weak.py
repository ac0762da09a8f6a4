"""Words that were made weak are named, with the gain of their searches; in quiet traffic none is, however long the past."""

from __future__ import annotations

import numpy as np
import pytest

from meliora.diagnosis.search.records import WeakToken
from meliora.diagnosis.search.seen import SearchSeen
from meliora.diagnosis.search.weak import FEW, _prior, weak_tokens
from meliora.diagnosis.search.words import Words
from tests.diagnosis.search.searches import Vocab, gained, one

TERMS = tuple(f"w{at}" for at in range(150))
SHARES = 1 / (np.arange(len(TERMS)) + 4.0)
VOCAB = Vocab(frozenset(TERMS))


def traffic(
    rng: np.random.Generator, count: int, weak: frozenset[str] = frozenset(), new: str = "", judged: float = 0.6
) -> list[SearchSeen]:
    """Make searches of three Zipf words; those with a weak one, or the new one, find little."""
    made = []
    for at in range(count):
        terms = [TERMS[n] for n in rng.choice(len(TERMS), 3, replace=False, p=SHARES / SHARES.sum())]
        if new and rng.random() < 0.05:
            terms[0] = new
        bad = not weak.isdisjoint(terms) or new in terms
        made.append(one(at, terms, gained(rng, 0.15 if bad else 0.6) if rng.random() < judged else None))
    return made


def found(before: list[SearchSeen], now: list[SearchSeen]) -> tuple[WeakToken, ...]:
    return weak_tokens(Words.of(before, now, VOCAB), before, now)


@pytest.mark.parametrize("sizes", [(1500, 1500), (800, 6000)])
def test_planted_words_are_believed_and_hardly_another(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    weak = frozenset({"w5", "w12", "w20"})
    now, before = sizes
    hits = wrong = 0
    for _ in range(5):
        told = {each.term for each in found(traffic(rng, before), traffic(rng, now, weak)) if each.believed}
        hits += len(told & weak)
        wrong += len(told - weak)
    assert hits >= 13 and wrong <= 1


@pytest.mark.parametrize("sizes", [(400, 400), (200, 4800), (60, 60)])
def test_in_quiet_traffic_no_word_is_believed_weak(sizes: tuple[int, int]) -> None:
    """In a hundredth of the looks by the rate that is asked for; rare words of a short window are many."""
    rng = np.random.default_rng(2)
    now, before = sizes
    told = [found(traffic(rng, before), traffic(rng, now)) for _ in range(25)]
    assert sum(any(each.believed for each in words) for words in told) <= 1


def test_a_rare_word_that_comes_three_times_in_a_short_window_is_not_believed() -> None:
    """Against a past of 24 windows three are easily come by; a difference over its standard error took them for a rise of z = 8."""
    rng = np.random.default_rng(3)
    before, now = traffic(rng, 4800, judged=0.0), traffic(rng, 200, judged=0.0)
    now = [*now, *(one(f"t{at}", (f"w{at}", "thrice")) for at in range(3))]
    told = {each.term: each for each in found(before, now)}
    assert not told["thrice"].known and not told["thrice"].believed


def test_a_new_word_is_named_by_its_rise_where_nobody_judges() -> None:
    rng = np.random.default_rng(4)
    told = found(traffic(rng, 2000, judged=0.0), traffic(rng, 400, new="zorb", judged=0.0))
    assert [each.term for each in told if each.believed] == ["zorb"]
    assert (told[0].gain, told[0].expected) == (None, None)


def test_a_known_word_asked_for_more_often_is_not_weak_for_that() -> None:
    rng = np.random.default_rng(5)
    before, now = traffic(rng, 600), traffic(rng, 600)
    now += [one(f"n{at}", ("w40",), gained(rng, 0.6)) for at in range(150)]
    told = [each for each in found(before, now) if each.term == "w40"]
    assert not any(each.believed for each in told)


def test_a_word_that_always_comes_with_a_weak_one_is_not_accused_with_it() -> None:
    rng = np.random.default_rng(6)
    before = traffic(rng, 800) + [one(f"b{at}", ("w30", "w31"), gained(rng, 0.6)) for at in range(60)]
    now = traffic(rng, 800) + [one(f"n{at}", ("w30", "w31", "w32"), 0.0) for at in range(60)]
    believed = [each.term for each in found(before, now) if each.believed]
    assert len(believed) == 1 and believed[0] in {"w30", "w31", "w32"}


def test_the_told_gains_are_the_means_drawn_towards_the_past() -> None:
    before = [one(at, ("a", f"x{at}"), 0.8) for at in range(40)] + [one(f"o{at}", ("b",), 0.4) for at in range(60)]
    now = [one(at, ("a",), 0.1) for at in range(30)] + [one(f"o{at}", ("b",), 0.4) for at in range(70)]
    words = Words.of(before, now, Vocab(frozenset({"a", "b"})))
    told = next(each for each in weak_tokens(words, before, now) if each.term == "a")
    level = (40 * 0.8 + 60 * 0.4) / 100
    expected = (40 * 0.8 + 4 * level) / 44
    assert told.believed and told.expected == pytest.approx(expected)
    assert told.gain == pytest.approx((30 * 0.1 + expected) / 31)
    assert (told.searches_now, told.searches_before) == (30, 40)


@pytest.mark.parametrize("sides", [(0, 0), (300, 0), (0, 300), (1, 1)])
def test_with_a_side_missing_no_word_is_believed(sides: tuple[int, int]) -> None:
    rng = np.random.default_rng(7)
    told = found(traffic(rng, sides[0]), traffic(rng, sides[1], frozenset({"w5"}), new="zorb"))
    assert not any(each.believed for each in told)


def test_a_query_that_repeats_a_word_counts_once() -> None:
    rng = np.random.default_rng(8)
    before = traffic(rng, 300)
    now = [*traffic(rng, 300), one("long", ("zorb",) * 1000, 0.0)]
    assert all(each.term != "zorb" for each in found(before, now))


@pytest.mark.parametrize(("spread", "least", "most"), [(0.0, 60, 100), (0.3, 4, 8)])
def test_how_far_words_differ_by_themselves_says_what_the_own_past_of_a_word_counts(
    spread: float, least: float, most: float
) -> None:
    rng = np.random.default_rng(4)
    gains = [rng.normal(rng.normal(0.5, spread), 0.4, int(rng.integers(1, 30))).tolist() for _ in range(400)]
    assert least <= _prior(gains, 0.4) <= most


@pytest.mark.parametrize("gains", [[], [[0.5]], [[], [0.5, 0.1]], [[0.5], [0.1], [0.9]]])
def test_where_nothing_tells_how_words_differ_each_is_taken_by_its_own_past(gains: list[list[float]]) -> None:
    assert _prior(gains, 0.4) == FEW
