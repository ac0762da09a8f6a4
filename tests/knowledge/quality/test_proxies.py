"""What people do with results is counted by person, and what was never logged is not read as a sign."""

import numpy as np
import pytest

from meliora.knowledge.quality.proxies import AGAIN_US, proxies
from meliora.knowledge.quality.records import Searched


def searched(id, query="red fox", at_us=0, user="ann", **said):
    return Searched(id=id, at_us=at_us, query=query, user=user, shown=("a", "b", "c"), **said)


def test_clicks_are_told_with_the_place_of_the_uppermost():
    found = proxies(
        [searched("1", clicked=("c", "b")), searched("2", user="bob"), searched("3", user="cid", clicked=("a",))]
    )
    assert found.click_through.value == pytest.approx(2 / 3) and found.click_through.n == 3
    assert found.click_reciprocal_rank.value == pytest.approx(0.75) and found.click_reciprocal_rank.n == 2


def test_without_a_single_click_in_the_log_nothing_is_said_of_clicks():
    found = proxies([searched("1"), searched("2", user="bob")])
    assert found.click_through.value is None and found.abandonment.value is None
    assert found.accepted.value is None and found.click_through.n == 2


def test_other_words_for_the_same_question_soon_after_are_a_reformulation():
    log = [searched("1"), searched("2", "red foxes fox", 60_000_000), searched("3", "blue sea", 70_000_000)]
    found = proxies([*log, searched("4", user="bob", clicked=("a",))])
    assert found.reformulation.value == pytest.approx(1 / 4)
    assert found.abandonment.value == pytest.approx(2 / 4)


@pytest.mark.parametrize(
    "second",
    [
        {"query": "red foxes", "at_us": AGAIN_US + 1},
        {"query": "blue sea"},
        {"query": "fox red"},
        {"query": "red foxes", "user": "bob"},
    ],
)
def test_what_is_late_or_about_something_else_or_of_somebody_else_is_none(second):
    assert proxies([searched("1"), searched("2", **second)]).reformulation.value == 0


def test_who_was_satisfied_asks_something_new():
    assert proxies([searched("1", clicked=("a",)), searched("2", "red foxes", 5)]).reformulation.value == 0


def test_accepted_answers_are_a_share_of_those_of_which_anybody_said():
    found = proxies([searched("1", accepted=True), searched("2", accepted=False), searched("3")])
    assert found.accepted.value == pytest.approx(0.5) and found.accepted.n == 2


def test_failed_searches_are_counted_apart():
    found = proxies([searched("1", error="store_error"), searched("2", clicked=("a",))])
    assert found.failed == 1 and found.click_through.value == 1


def test_one_busy_person_makes_no_narrow_interval():
    busy = [searched(str(at), clicked=("a",), at_us=at * 10 * AGAIN_US) for at in range(500)]
    assert proxies(busy).click_through.low is None
    others = [searched(f"o{at}", user=f"u{at}") for at in range(5)]
    found = proxies([*busy, *others]).click_through
    assert found.people == 6 and found.low is not None and found.low < 0.99


def test_where_all_are_alike_the_interval_still_has_a_width():
    found = proxies([searched(str(at), user=f"u{at}", clicked=("a",)) for at in range(20)]).click_through
    assert found.value == 1 and found.high == 1 and found.low is not None and 0.7 < found.low < 0.95


def test_the_interval_holds_the_truth_where_people_differ():
    rng = np.random.default_rng(6)
    inside = 0
    for _ in range(200):
        log = []
        for person in range(40):
            chance = rng.beta(2, 3)
            for at in range(int(rng.integers(1, 12))):
                log.append(
                    searched(
                        f"{person}.{at}",
                        f"word{at}",
                        user=f"u{person}",
                        clicked=("a",) if rng.random() < chance else (),
                    )
                )
        found = proxies(log).click_through
        assert found.low is not None and found.high is not None
        inside += found.low <= 0.4 <= found.high
    assert inside >= 180


def test_an_empty_log_says_nothing():
    found = proxies([])
    assert (found.click_through.value, found.reformulation.value, found.reformulation.n) == (None, None, 0)
