"""A diagnosis of searches names the planted cause, recommends nothing without one, and fills nothing in that was not measured."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from benchmarks.search.cause import first
from benchmarks.search.traffic import Shift, Traffic, made
from meliora.diagnosis.records import Window
from meliora.diagnosis.search.diagnose import diagnose_search
from meliora.diagnosis.search.finding import SearchFinding, report
from meliora.diagnosis.search.seen import SearchSeen, Seen


class _Nothing:
    def frequency(self, term: str) -> int:
        return 0

    def meant(self, word: str) -> tuple[str, ...]:
        return ()


def _found(traffic: Traffic) -> SearchFinding:
    return diagnose_search(traffic.seen, traffic, id="f", at_us=0)


def _seen(before: list[SearchSeen], now: list[SearchSeen]) -> Seen:
    return Seen(before=tuple(before), now=tuple(now), window_before=Window(0, 100), window_now=Window(100, 200))


def _search(at: int, terms: tuple[str, ...], gain: float | None = None, weight: float = 1.0) -> SearchSeen:
    return SearchSeen(id=str(at), at_us=at, terms=terms, gain=gain, weight=weight)


@pytest.mark.parametrize(("shift", "repair"), [("typos", "spelling"), ("jargon", "expansion"), ("index", "reindex")])
def test_the_repair_of_a_planted_cause_comes_first(shift: Shift, repair: str) -> None:
    assert first(_found(made(np.random.default_rng(5), shift, 400))) == repair


def test_a_quiet_window_gets_no_recommendation_and_a_report_without_a_cause() -> None:
    found = _found(made(np.random.default_rng(6), "none", 300))
    told = report(found, "cycle-1")
    assert found.recommended == ()
    assert told["root_cause_analysis"]["type"] is None and told["recommended_actions"] == []


@pytest.mark.parametrize("sides", [([], []), ([_search(1, ("a",))], []), ([], [_search(1, ("a",), 0.5)])])
def test_empty_windows_and_one_search_name_no_cause(sides: tuple[list[SearchSeen], list[SearchSeen]]) -> None:
    found = diagnose_search(_seen(*sides), _Nothing(), id="f", at_us=0)
    assert found.recommended == () and report(found, "c")["delta"] is None


def test_without_judgments_slips_are_still_seen_and_nothing_is_said_of_what_they_cost() -> None:
    found = _found(made(np.random.default_rng(7), "typos", 400, 0.0))
    assert first(found) == "spelling" and found.recommended[0].expected is None
    assert found.gain_now is None and report(found, "c")["current_value"] is None


def test_searches_without_weight_do_not_count_and_a_gain_that_is_no_number_is_unknown() -> None:
    bad = [_search(1, ("a",), 0.5, 0.0), _search(2, ("a",), 0.5, math.nan), _search(3, ("a",), math.nan)]
    found = diagnose_search(_seen(bad, bad), _Nothing(), id="f", at_us=0)
    assert found.looked_at == (1, 1) and found.judged == (0, 0)


def test_queries_of_ten_thousand_new_words_are_diagnosed() -> None:
    long = [_search(at, tuple(f"w{at}-{word}" for word in range(10_000)), 0.1) for at in range(3)]
    found = diagnose_search(_seen(long, long), _Nothing(), id="f", at_us=0)
    assert found.unknown.coverage == 0.0 and found.recommended == ()


def test_a_finding_survives_being_kept() -> None:
    found = _found(made(np.random.default_rng(8), "jargon", 300))
    assert msgspec.json.decode(msgspec.json.encode(found), type=SearchFinding) == found
