"""Repairs come by what they could bring back; what is not known recommends nothing, and is never told as a change."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from meliora.diagnosis.records import Explained, FoundSlice
from meliora.diagnosis.search.choose import FAULTY, SURE, choose
from meliora.diagnosis.search.diagnose import diagnose_search
from meliora.diagnosis.search.finding import SearchFinding
from meliora.diagnosis.search.records import CorpusChange, Drifted, Loss, Unknown, WeakToken
from tests.diagnosis.search.searches import Vocab, gained, one, seen

NONE = Unknown(share_before=None, share_now=None, rise_z=None, near_share_now=None, new=(), slips=0, coverage=None)


def finding(**more: object) -> SearchFinding:
    """Give a finding of which nothing is known but what is said."""
    empty = SearchFinding(
        id="f",
        at_us=0,
        trigger="search_success",
        gain_now=0.4,
        gain_before=0.6,
        judged=(500, 500),
        looked_at=(1000, 1000),
        weak=(),
        unknown=NONE,
        losses=(),
        explanation=None,
        moment=None,
        corpus=None,
        features=(),
        slower=None,
    )
    return msgspec.structs.replace(empty, **more)


def loss(sort: str, **more: object) -> Loss:
    """Give a sort whose share rose and whose loss is sure."""
    sure: dict[str, object] = {
        "sort": sort,
        "searches_before": 20,
        "searches_now": 200,
        "share_before": 0.02,
        "share_now": 0.2,
        "share_z": 9.0,
        "gain_before": 0.3,
        "gain_now": 0.2,
        "judged_now": 100,
        "lost": 0.08,
        "lost_z": 6.0,
    }
    return msgspec.convert(sure | more, Loss)


def kinds(found: SearchFinding) -> list[str]:
    return [each.method or each.kind for each in choose(found)]


def corpus(faults: float | None, before: float | None = None) -> CorpusChange:
    return CorpusChange(added=None, deleted=None, faults=faults, faults_before=before, extra=None, lag=None)


def drift(name: str) -> Drifted:
    return Drifted(name=name, difference=1.0, stability=None, lost=0.3, p_value=1e-6)


NEW = msgspec.structs.replace(NONE, new=("zorb", "quux"))


def test_each_cause_has_its_repair() -> None:
    assert kinds(finding(losses=(loss("near"),))) == ["spelling"]
    assert kinds(finding(losses=(loss("far"),), unknown=NEW)) == ["expansion"]
    assert kinds(finding(losses=(loss("index"),))) == ["reindex"]
    assert kinds(finding(losses=(loss("rest"),))) == ["fusion_weights"]
    assert kinds(finding(losses=(loss("rest"),), features=(drift("bm25"),))) == ["reranker", "fusion_weights"]
    assert kinds(finding()) == []


def test_the_repair_that_could_bring_back_most_stands_first() -> None:
    both = finding(losses=(loss("near", lost=0.02), loss("far", lost=0.1)), unknown=NEW)
    assert kinds(both) == ["expansion", "spelling"]
    assert [each.expected for each in choose(both)] == [0.1, 0.02]


def test_over_a_faulty_index_nothing_is_said_of_the_ranking() -> None:
    found = finding(losses=(loss("rest"),), corpus=corpus(0.2, 0.0))
    assert kinds(found) == ["reindex"]
    assert choose(found)[0].expected == pytest.approx(0.2 * 0.6)


def test_faults_that_were_there_before_are_no_cause_and_unknown_ones_before_are_not_called_more() -> None:
    assert kinds(finding(corpus=corpus(0.2, 0.2))) == []
    assert kinds(finding(corpus=corpus(FAULTY / 2, 0.0))) == []
    assert kinds(finding(corpus=corpus(None))) == []
    assert choose(finding(corpus=corpus(0.2, 0.05)))[0].reason.startswith("15.0% more of the documents")
    assert choose(finding(corpus=corpus(0.2)))[0].reason.startswith("20.0% of the documents")


@pytest.mark.parametrize(
    "more",
    [
        {"share_z": SURE - 0.01, "lost_z": SURE - 0.01},
        {"share_before": 0.195},
        {"share_z": None, "share_before": None},
        {"share_z": None, "share_now": None},
        {"lost": -0.1, "lost_z": -3.0},
    ],
)
def test_what_did_not_rise_or_does_no_harm_or_is_not_known_is_no_cause(more: dict[str, object]) -> None:
    for sort in ("near", "far", "index"):
        assert kinds(finding(losses=(loss(sort, **more),), unknown=NEW)) == []


@pytest.mark.parametrize("more", [{"lost": None, "lost_z": None}, {"lost_z": SURE - 0.01}, {"lost": 0.005}])
def test_the_ranking_is_blamed_only_for_a_sure_loss(more: dict[str, object]) -> None:
    assert kinds(finding(losses=(loss("rest", **more),))) == []


def test_what_a_shift_of_traffic_explains_is_not_blamed_on_the_ranking() -> None:
    shift = FoundSlice(
        attributes={"source": "app"},
        effect="more",
        calls_now=500,
        calls_before=50,
        observed=1,
        expected=1,
        before=1,
        excess=1,
        share=0.95,
        score=9,
        p_value=0,
    )
    told = Explained(slices=(shift,), observed=1, expected=1, expected_unchanged=1, descriptions=1)
    assert kinds(finding(losses=(loss("rest"),), explanation=told)) == []


def test_an_expansion_names_new_words_and_the_known_ones_that_got_worse() -> None:
    def word(term: str, known: bool, believed: bool = True) -> WeakToken:
        return WeakToken(
            term=term,
            known=known,
            searches_now=9,
            searches_before=0,
            growth_z=4,
            gain=0.1,
            expected=0.5,
            p_value=0,
            believed=believed,
        )

    weak = (word("zorb", False), word("fare", True), word("pier", True, believed=False))
    found = choose(finding(losses=(loss("far"), loss("weak")), unknown=NEW, weak=weak))
    assert found[0].tokens == ("zorb", "quux", "fare") and found[0].searches == 400
    assert found[0].expected == pytest.approx(0.16)


def test_without_judgments_a_risen_share_is_looked_into_and_what_it_brings_is_unknown() -> None:
    found = choose(finding(losses=(loss("near", lost=None, lost_z=None, judged_now=0),)))
    assert [(each.method, each.expected) for each in found] == [("spelling", None)]


def test_quiet_searches_against_a_past_of_24_windows_get_no_repair() -> None:
    """The windows that a gate's diagnosis has. Slips and rare words are as common as they were."""
    rng = np.random.default_rng(9)
    vocabulary = Vocab(frozenset({"a", "b"}), {f"slip{at}": ("a",) for at in range(10_000)})

    def side(count: int, since: int) -> list:
        made = []
        for at, drawn in enumerate(rng.random(count).tolist()):
            term = (
                f"slip{int(rng.integers(10_000))}"
                if drawn < 0.01
                else f"odd{since}-{at}"
                if drawn < 0.02
                else "ab"[at % 2]
            )
            known = drawn > 0.5
            made.append(
                one(f"{since}-{at}", (term,), gained(rng, 0.6) if known else None, at_us=since + at * 1200 // count)
            )
        return made

    repaired = sum(
        bool(diagnose_search(seen(side(2400, 0), side(100, 28_800), 24), vocabulary, id="f", at_us=0).recommended)
        for _ in range(60)
    )
    assert repaired <= 1
