"""A planted query is named with its counts; of quiet queries, and of those without a past, none is."""

from __future__ import annotations

import numpy as np

from meliora.diagnosis.search.finding import SearchFinding, unnamed
from meliora.diagnosis.search.queries import worst_queries
from meliora.diagnosis.search.seen import SearchSeen
from tests.diagnosis.search.searches import gained, one
from tests.diagnosis.search.test_choose import finding


def side(rng: np.random.Generator, count: int, levels: dict[str, float] | None = None) -> list[SearchSeen]:
    """Give searches with thirty queries, some of which are asked for more often than others."""
    made = []
    for at in range(count):
        query = f"q{int(rng.exponential(8)) % 30}"
        level = (levels or {}).get(query, 0.6)
        made.append(one(f"{at}", gain=gained(rng, level), query=query, text=query.upper(), at_us=at))
    return made


def test_the_planted_query_is_named_with_what_it_lost() -> None:
    rng = np.random.default_rng(1)
    before, now = side(rng, 4000), side(rng, 800, {"q2": 0.05})
    (found,) = worst_queries(before, now)
    own = [each for each in now if each.query == "q2"]
    assert (found.query, found.searches_now) == ("Q2", len(own))
    assert found.searches == tuple(each.id for each in own[:-4:-1])
    assert found.gain_before > 0.5 > 0.15 > found.gain_now
    assert 0.5 * len(own) / 800 * 0.55 < found.lost < 1.5 * len(own) / 800 * 0.55


def test_of_quiet_queries_none_is_named() -> None:
    rng = np.random.default_rng(2)
    assert sum(bool(worst_queries(side(rng, 2400), side(rng, 400))) for _ in range(60)) <= 2


def test_a_query_without_a_past_or_that_is_not_known_is_not_told() -> None:
    bad = [one(f"n{at}", gain=0.0, query="new") for at in range(50)]
    bare = [one(f"b{at}", gain=0.0) for at in range(50)]
    good = [one(f"g{at}", gain=1.0) for at in range(50)]
    unjudged = [one(f"u{at}", query="u") for at in range(50)]
    assert worst_queries([*good, *unjudged], [*bad, *bare, *unjudged]) == ()


def test_a_query_whose_words_are_not_kept_is_told_by_its_searches_alone() -> None:
    before = [one(f"a{at}", gain=1.0, query="hash") for at in range(40)]
    now = [one(f"b{at}", gain=0.0, query="hash", at_us=at) for at in range(40)]
    (found,) = worst_queries(before, now)
    assert (found.query, found.searches, found.lost) == (None, ("b39", "b38", "b37"), 1.0)


def test_a_finding_without_a_query_keeps_its_counts() -> None:
    rng = np.random.default_rng(3)
    named: SearchFinding = finding(queries=worst_queries(side(rng, 4000), side(rng, 800, {"q2": 0.05})))
    assert named.asked == {"Q2"}
    left = unnamed(named, {"Q2"}, {})
    assert left.asked == frozenset() and left.queries[0].searches_now == named.queries[0].searches_now
