"""Stronger tiers than the prompt alone would get: words of danger, conversations that keep failing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.routing.escalation import SECURITY_RULE, Failures, is_failure, raised, security_rule
from meliora.routing.rules import RuleSet
from meliora.settings.escalation import Escalation

USUAL = Escalation()


def found(text: str, chosen: Escalation = USUAL) -> bool:
    made = security_rule(chosen)
    assert made is not None
    return RuleSet([made]).match("anyone", text, "auto") is not None


@pytest.mark.parametrize(
    "text", ["Security?", "an EXPLOIT, please", "a penetration\ntest", "Check for vulnerabilities", "x encryption"]
)
def test_a_word_is_found_whatever_its_case_and_white_space(text: str) -> None:
    assert found(text)


@pytest.mark.parametrize("text", ["insecurity", "exploited", "hello", "", "безпека", "security_group"])
def test_a_part_of_another_word_is_not_the_word(text: str) -> None:
    assert not found(text)


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=20).filter(lambda word: word.strip() and word.isprintable()))
def test_any_word_that_is_set_is_found_as_it_stands(word: str) -> None:
    assert found(f"so, {word} it is", Escalation(security_words=[word]))


def test_words_of_another_script_are_whole_words_too() -> None:
    chosen = Escalation(security_words=["безпека"])
    assert found("Тут важлива Безпека.", chosen)
    assert not found("небезпека", chosen)


def test_no_words_make_no_rule_and_the_rule_has_the_priority_set() -> None:
    assert security_rule(Escalation(security_words=[])) is None
    made = security_rule(Escalation(security_priority=7))
    assert made is not None
    assert (made.id, made.priority, made.preferred_layer) == (SECURITY_RULE, 7, "deep")


@pytest.mark.parametrize(
    ("tier", "failures", "reached"),
    [
        ("fast", 2, None),
        ("fast", 3, "balanced"),
        ("fast", 6, "deep"),
        ("fast", 60, "deep"),
        ("code", 3, "deep"),
        ("deep", 9, None),
    ],
)
def test_more_than_two_failures_lead_a_tier_up_and_as_many_again_to_the_next(
    tier: str, failures: int, reached: str | None
) -> None:
    assert raised(tier, failures, USUAL) == reached


def test_escalation_can_be_switched_off() -> None:
    assert raised("fast", 100, Escalation(memory=0)) is None


@pytest.mark.parametrize(
    ("outcome", "status", "counts"),
    [
        ("ok", 200, False),
        ("error", 500, True),
        ("error", 200, True),
        ("error", 408, True),
        ("error", 429, False),
        ("error", 402, False),
        ("error", 400, False),
        ("cancelled", 499, False),
        (None, None, False),
    ],
)
def test_limits_and_the_clients_own_faults_are_no_failures(
    outcome: str | None, status: int | None, counts: bool
) -> None:
    assert is_failure(outcome, status) is counts


def test_failures_are_of_one_tenants_conversation_and_are_forgotten() -> None:
    failures = Failures()
    failures.note("a", "s", 10.0, USUAL)
    failures.note("a", "s", 20.0, USUAL)
    assert failures.count("a", "s", 619.0, USUAL) == 2
    assert failures.count("b", "s", 20.0, USUAL) == 0
    assert failures.count("a", "s", 620.0, USUAL) == 0
    assert not failures


def test_only_so_many_conversations_are_remembered() -> None:
    failures = Failures()
    for number in range(10_050):
        failures.note("a", str(number), 1.0, USUAL)
    assert failures.count("a", "0", 1.0, USUAL) == 0
    assert failures.count("a", "10049", 1.0, USUAL) == 1
