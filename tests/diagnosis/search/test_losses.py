"""What each sort of searches lost is what was taken from them; the parts add up to the fall; in quiet traffic none is sure."""

from __future__ import annotations

import numpy as np
import pytest

from meliora.diagnosis.search.choose import SURE
from meliora.diagnosis.search.losses import losses, sort_of
from meliora.diagnosis.search.records import Loss, WeakToken
from meliora.diagnosis.search.seen import SearchSeen
from meliora.diagnosis.search.words import Words
from tests.diagnosis.search.searches import Vocab, gained, one

KNOWN = ("a", "b", "c")
VOCAB = Vocab(frozenset(KNOWN), {f"slip{at}": ("a",) for at in range(5000)})


def traffic(
    rng: np.random.Generator, count: int, slips: float, lost: float, judged: float = 0.5, far: float = 0.0
) -> list[SearchSeen]:
    """Make searches of which a part has a slip, another a new word, and of another the index lacks what is relevant."""
    made = []
    for at in range(count):
        terms = [str(rng.choice(KNOWN))]
        drawn = float(rng.random())
        level, gone = 0.6, 0.0
        if drawn < slips:
            terms, level = [f"slip{int(rng.integers(5000))}"], 0.2
        elif drawn < slips + lost:
            level, gone = 0.1, 1.0
        elif drawn < slips + lost + far:
            terms, level = ["zorb"], 0.1
        gain = gained(rng, level) if rng.random() < judged else None
        made.append(one(at, terms, gain, relevant_lost=gone))
    return made


def told(before: list[SearchSeen], now: list[SearchSeen]) -> dict[str, Loss]:
    words = Words.of(before, now, VOCAB)
    return {each.sort: each for each in losses(words, (), before, now)}


def mean(side: list[SearchSeen]) -> float:
    known = [each.gain for each in side if each.gain is not None]
    return sum(known) / len(known)


def test_each_sort_lost_what_was_taken_from_it() -> None:
    """A slip costs .4, a lost document .5: shares that rose by .2 and .1 take .08 and .05 off the mean."""
    rng = np.random.default_rng(1)
    found = [told(traffic(rng, 3000, 0.05, 0.0), traffic(rng, 3000, 0.25, 0.1)) for _ in range(6)]
    assert np.mean([each["near"].lost or 0.0 for each in found]) == pytest.approx(0.08, abs=0.012)
    assert np.mean([each["index"].lost or 0.0 for each in found]) == pytest.approx(0.05, abs=0.012)
    assert all((each["near"].lost_z or 0.0) > SURE and (each["near"].share_z or 0.0) > SURE for each in found)


def test_the_parts_add_up_to_the_fall() -> None:
    rng = np.random.default_rng(2)
    before, now = (traffic(rng, 4000, *of, judged=1.0) for of in ((0.05, 0.02), (0.3, 0.1)))
    found = told(before, now)
    assert sum(each.lost or 0.0 for each in found.values()) == pytest.approx(mean(before) - mean(now), abs=0.01)


@pytest.mark.parametrize("sizes", [(400, 400), (200, 4800), (40, 960)])
def test_in_quiet_traffic_a_loss_or_a_risen_share_is_as_rare_as_promised(sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    now, before = sizes
    lost = risen = looks = 0
    for _ in range(50):
        for each in told(traffic(rng, before, 0.02, 0.01, far=0.01), traffic(rng, now, 0.02, 0.01, far=0.01)).values():
            looks += 1
            lost += (each.lost_z or 0.0) > SURE
            risen += (each.share_z or 0.0) > SURE
    assert lost <= 3 and risen <= 3, (lost, risen, looks)


def test_searches_stand_for_as_many_as_they_weigh() -> None:
    rng = np.random.default_rng(4)
    before, now = traffic(rng, 500, 0.05, 0.0), traffic(rng, 500, 0.3, 0.0)
    doubled = [one(each.id, each.terms, each.gain, weight=2.0, relevant_lost=0.0) for each in now]
    plain, heavy = told(before, now)["near"], told(before, doubled)["near"]
    assert heavy.share_now == pytest.approx(plain.share_now) and heavy.lost == pytest.approx(plain.lost)
    # Equal weights say no more than none: two copies of a search are still one.
    assert heavy.share_z == pytest.approx(plain.share_z)


@pytest.mark.parametrize("sides", [((300, 0)), ((0, 300))])
def test_a_window_without_searches_has_no_shares_and_loses_nothing(sides: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    found = told(traffic(rng, sides[0], 0.2, 0.1), traffic(rng, sides[1], 0.2, 0.1))
    assert found
    for each in found.values():
        assert (each.share_before is None) == (sides[0] == 0) and (each.share_now is None) == (sides[1] == 0)
        assert (each.share_z, each.lost, each.lost_z) == (None, None, None)
    assert told([], []) == {}


def test_where_nobody_judges_shares_are_known_and_losses_are_not() -> None:
    rng = np.random.default_rng(6)
    found = told(traffic(rng, 400, 0.05, 0.0, judged=0.0), traffic(rng, 400, 0.3, 0.0, judged=0.0))
    assert (found["near"].share_z or 0.0) > SURE
    assert all((each.lost, each.gain_now, each.gain_before) == (None, None, None) for each in found.values())


@pytest.mark.parametrize("judged", [(1.0, 0.0), (0.0, 1.0)])
def test_judged_on_one_side_alone_nothing_is_said_to_be_lost(judged: tuple[float, float]) -> None:
    rng = np.random.default_rng(7)
    sides = (traffic(rng, 400, 0.05, 0.0, judged=part) for part in judged)
    assert all(each.lost is None for each in told(*sides).values())


def test_a_search_is_of_the_first_sort_that_fits() -> None:
    now = [one(at, ("zorb",)) for at in range(5)]
    words = Words.of([], [*now, one("s", ("slip1",)), one("r", ("rare",)), one("b", ("b",))], VOCAB)
    weak = frozenset({"b"})

    def sort(*terms: str, lost: float | None = None) -> str:
        return sort_of(one("x", terms, relevant_lost=lost), words, weak)

    assert sort("zorb", "slip1", "b", lost=0.5) == "index"
    assert sort("zorb", "slip1", "b", lost=0.0) == "far"
    assert sort("slip1", "rare") == "near" and sort("rare") == "far"
    assert sort("b", "a") == "weak" and sort("a", lost=None) == "rest" and sort() == "rest"


def test_a_known_weak_word_has_its_searches_and_an_unbelieved_one_has_none() -> None:
    rng = np.random.default_rng(8)
    before, now = traffic(rng, 200, 0.0, 0.0), traffic(rng, 200, 0.0, 0.0)
    words = Words.of(before, now, VOCAB)

    def word(believed: bool) -> WeakToken:
        return WeakToken(
            term="a",
            known=True,
            searches_now=9,
            searches_before=9,
            growth_z=0.0,
            gain=None,
            expected=None,
            p_value=0.0,
            believed=believed,
        )

    sorts = [{each.sort for each in losses(words, (word(told_),), before, now)} for told_ in (True, False)]
    assert sorts == [{"weak", "rest"}, {"rest"}]
