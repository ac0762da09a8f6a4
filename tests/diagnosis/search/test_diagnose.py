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


def test_a_search_that_is_told_twice_counts_once_in_its_window() -> None:
    told = [_search(at, ("a", "b"), 0.5) for at in range(30)]
    twice = diagnose_search(_seen([*told, *told], [*told, *told, *told]), _Nothing(), id="f", at_us=0)
    assert twice == diagnose_search(_seen(told, told), _Nothing(), id="f", at_us=0)
    assert twice.looked_at == (30, 30)


@pytest.mark.parametrize("weight", [math.nan, math.inf, -1.0])
def test_a_search_of_an_impossible_weight_does_not_count(weight: float) -> None:
    found = diagnose_search(_seen([], [_search(1, ("a",), 0.5, weight)]), _Nothing(), id="f", at_us=0)
    assert found.looked_at == (0, 0) and found.gain_now is None


@pytest.mark.parametrize("part", [math.nan, -0.5, 7.0])
def test_a_part_of_lost_documents_that_is_no_part_is_unknown(part: float) -> None:
    now = [msgspec.structs.replace(_search(at, ("a",), 0.5), relevant_lost=part) for at in range(50)]
    found = diagnose_search(_seen([], now), _Nothing(), id="f", at_us=0)
    assert [one.sort for one in found.losses] == ["far"]


def test_one_query_a_thousand_times_is_diagnosed_and_accuses_no_word() -> None:
    before, now = ([_search(at, ("a",), gain) for at in range(1000)] for gain in (0.9, 0.1))
    found = diagnose_search(_seen(before, now), Known(), id="f", at_us=0)
    assert not found.weak  # a word of every search tells nothing apart
    assert first(found) == "fusion_weights"


class Known(_Nothing):
    def frequency(self, term: str) -> int:
        return 1


@pytest.mark.parametrize("missing", ["before", "now"])
def test_a_missing_side_is_never_told_as_sound(missing: str) -> None:
    """Planted, then one window taken away: figures of it are null in finding and report, and no cause is named or excluded."""
    whole = made(np.random.default_rng(9), "jargon", 300, audited=False)
    found = diagnose_search(msgspec.structs.replace(whole.seen, **{missing: ()}), whole, id="f", at_us=0)
    told = report(found, "c")
    gone = {"before": (found.gain_before, found.unknown.share_before), "now": (found.gain_now, found.unknown.share_now)}
    assert gone[missing] == (None, None)
    assert {"before": told["baseline"], "now": told["current_value"]}[missing] is None
    assert (told["delta"], told["root_cause_analysis"]["type"], told["xai_insights"]["suggested_action"]) == (None,) * 3
    assert all((one.share_z, one.lost) == (None, None) for one in found.losses)
    assert (found.explanation, found.corpus, found.slower, found.recommended) == (None, None, None, ())
    if missing == "now":
        assert told["root_cause_analysis"]["distribution_change"] == {"new_tokens": None, "coverage": None}
        assert told["xai_insights"]["low_coverage_tokens"] is None


def test_the_report_of_a_planted_drop_has_every_documented_field() -> None:
    whole = made(np.random.default_rng(10), "jargon", 600, 0.7)
    found = _found(whole)
    told = report(found, "cycle-7")
    assert set(told) == {
        *("cycle_id", "timestamp", "trigger", "current_value", "baseline", "delta"),
        *("root_cause_analysis", "xai_insights", "recommended_actions", "latency"),
    }
    assert (told["cycle_id"], told["timestamp"]) == ("cycle-7", "1970-01-01T00:00:00+00:00")
    assert told["delta"] == pytest.approx(told["current_value"] - told["baseline"]) and told["delta"] < -0.02
    cause, insights = told["root_cause_analysis"], told["xai_insights"]
    assert cause["type"] == "vocabulary_shift" and isinstance(cause["affected_categories"], list)
    assert len(whole.planted & set(cause["distribution_change"]["new_tokens"])) >= 0.7 * len(whole.planted)
    assert 0.5 < cause["distribution_change"]["coverage"] < 1
    assert set(insights["low_coverage_tokens"]) <= whole.planted
    assert set(insights["importance_scores"]) <= set(insights["low_coverage_tokens"])
    assert insights["suggested_action"] == found.recommended[0].reason
    action = told["recommended_actions"][0]
    assert set(action) == {"type", "method", "target_tokens", "estimated_examples"}
    assert (action["type"], action["method"]) == ("query_repair", "expansion")
    assert action["estimated_examples"] > 0 and set(action["target_tokens"]) <= whole.planted


def test_the_report_of_an_index_fault_says_what_its_repair_would_bring() -> None:
    told = report(_found(made(np.random.default_rng(11), "index", 600, 0.7)), "c")
    assert told["root_cause_analysis"]["type"] == "index_fault"
    action = told["recommended_actions"][0]
    assert set(action) == {"type", "target", "expected_improvement"} and action["expected_improvement"] > 0.02


def test_a_finding_survives_being_kept() -> None:
    found = _found(made(np.random.default_rng(8), "jargon", 300))
    assert msgspec.json.decode(msgspec.json.encode(found), type=SearchFinding) == found
