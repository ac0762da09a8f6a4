"""Two answers, a comparison, a settlement: every way it can end, and no judgement that is not read by its shape."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.errors import BudgetExhausted, MelioraError, UpstreamBroken
from meliora.routing.crosscheck import CrossChecked, Seats, Told, cross_check, unchecked

SEATS = Seats("ma", "mb", "mr", "mz")
ASKED = [{"role": "user", "content": "How many?"}]
AGREE = json.dumps({"agree": True, "better": "b", "conflicts": [], "confidence": 0.9})
CONFLICT = json.dumps({"agree": False, "better": "b", "conflicts": ["2 or 3"], "confidence": 0.8})
OWN = json.dumps({"answer": "4", "took": "own", "why": "Neither counted the last."})


class Script:
    """Says what is written for each model, and keeps what it was asked."""

    def __init__(self, said: dict[str, str | MelioraError]) -> None:
        self.said = said
        self.asked: dict[str, Sequence[dict[str, Any]]] = {}

    def __call__(self, model: str, messages: Sequence[dict[str, Any]], schema: dict[str, Any] | None) -> Told:
        self.asked[model] = messages
        said = self.said[model]
        if isinstance(said, MelioraError):
            raise said
        return Told(said, model, 10, f"call_{model}")


def check(**said: str | MelioraError) -> CrossChecked:
    return cross_check(ASKED, SEATS, Script(dict(said)))


def test_equal_answers_need_no_third() -> None:
    found = check(ma="There are  Two.", mb="there are two.")
    assert (found.verdict, found.answer, len(found.legs)) == ("agree", "There are  Two.", 2)
    assert found.cost_usd == pytest.approx(20e-6)


def test_answers_that_agree_in_other_words_give_the_better_one() -> None:
    found = check(ma="two", mb="a pair", mr=AGREE)
    assert (found.verdict, found.answer, found.took, found.model) == ("agree", "a pair", "b", "mb")
    assert (found.settled, found.escalated, found.confidence) == (True, False, 0.9)


@pytest.mark.parametrize(
    ("settlement", "answer", "took", "model"),
    [
        (OWN, "4", "own", "mz"),
        (OWN.replace('"own"', '"a"'), "two", "a", "ma"),
        (f"```json\n{OWN}\n```", "4", "own", "mz"),
    ],
)
def test_a_conflict_is_settled_by_the_arbitrator(settlement: str, answer: str, took: str, model: str) -> None:
    found = check(ma="two", mb="three", mr=CONFLICT, mz=settlement)
    assert (found.verdict, found.answer, found.took, found.model) == ("conflict", answer, took, model)
    assert found.escalated and found.settled and found.conflicts == ("2 or 3",)
    assert [leg.role for leg in found.legs] == ["a", "b", "reviewer", "arbitrator"]


@pytest.mark.parametrize("said", ["yes, they agree", "{}", '{"agree": "true"}', "[]", '{"agree": true', ""])
def test_a_review_that_does_not_read_is_inconclusive_and_never_taken_for_agreement(said: str) -> None:
    found = check(ma="two", mb="three", mr=said, mz=OWN)
    assert (found.verdict, found.answer) == ("inconclusive", "4")


@pytest.mark.parametrize(
    "said", ["I cannot say", UpstreamBroken("gone"), BudgetExhausted("no money"), '{"answer": " "}']
)
def test_where_nobody_settles_it_the_answer_stands_and_says_that_it_is_not_settled(said: str | MelioraError) -> None:
    found = check(ma="two", mb="three", mr=CONFLICT, mz=said)
    assert (found.verdict, found.answer, found.settled, found.escalated) == ("conflict", "three", False, True)


def test_one_answer_that_is_missing_is_inconclusive_and_both_raise_the_first_failure() -> None:
    found = check(ma=UpstreamBroken("gone"), mb="three", mz="not JSON")
    assert (found.verdict, found.answer, found.model, found.settled) == ("inconclusive", "three", "mb", False)
    assert found.legs[0].error == "gone"
    with pytest.raises(UpstreamBroken, match="first"):
        check(ma=UpstreamBroken("first"), mb=BudgetExhausted("second"))


def test_a_cost_that_is_not_known_makes_the_sum_unknown_and_a_leg_that_failed_does_not() -> None:
    def ask(model: str, messages: Sequence[dict[str, Any]], schema: dict[str, Any] | None) -> Told:
        return Told("same", model, None if model == "mb" else 5)

    assert cross_check(ASKED, SEATS, ask).cost_usd is None
    assert check(ma=UpstreamBroken("gone"), mb="three", mz=OWN).cost_usd == pytest.approx(20e-6)


@given(st.text(max_size=200), st.text(max_size=200))
def test_whatever_the_answers_say_is_handed_on_as_data(a: str, b: str) -> None:
    script = Script({"ma": a, "mb": b, "mr": CONFLICT, "mz": OWN})
    found = cross_check(ASKED, SEATS, script)
    if "mr" in script.asked:
        system, material = script.asked["mr"]
        assert json.loads(material["content"])["answers"] == {"a": a, "b": b}
        assert "JSON" in system["content"]
        assert found.verdict == "conflict"


def test_a_very_long_answer_is_cut_for_the_judges_and_given_whole() -> None:
    long = "x" * 100_000
    script = Script({"ma": long, "mb": "short", "mr": AGREE.replace('"b"', '"a"')})
    assert cross_check(ASKED, SEATS, script).answer == long
    assert len(script.asked["mr"][1]["content"]) < 30_000


def test_below_the_stakes_one_model_answers_alone() -> None:
    found = unchecked(ASKED, "ma", Script({"ma": "two"}), "The stakes are low.")
    assert (found.verdict, found.settled, len(found.legs)) == ("unchecked", False, 1)
