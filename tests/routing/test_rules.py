"""Rules: the first by priority and id, by tenant; a bad pattern is named and explained."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.errors import InvalidRequest
from meliora.gateway.state import RuleState
from meliora.routing.rules import SEARCHED, RuleSet, validate_pattern


def rule(rule_id: str, pattern: str, priority: int = 0, tenant: str = "t", applies_to="auto") -> RuleState:
    return RuleState(rule_id, tenant, pattern, preferred_layer="deep", priority=priority, applies_to=applies_to)


def matched(rules: RuleSet, text: str, kind="auto", tenant: str = "t") -> str | None:
    found = rules.match(tenant, text, kind)
    return found.id if found else None


def test_the_highest_priority_wins_then_the_id():
    rules = RuleSet([rule("b", "x"), rule("a", "x"), rule("c", "x", 5), rule("d", "y", 9)])
    assert matched(rules, "x") == "c"
    assert matched(RuleSet([rule("b", "x"), rule("a", "x")]), "x") == "a"
    assert matched(rules, "nothing") is None


def test_tenants_do_not_see_each_others_rules():
    rules = RuleSet([rule("mine", "x", tenant="a")])
    assert matched(rules, "x", tenant="b") is None


def test_a_rule_of_all_tenants_stands_in_one_order_with_a_tenants_own():
    rules = RuleSet([rule("all", "x", 5, tenant="*"), rule("own", "x", 9), rule("late", "x", 1, tenant="u")])
    assert matched(rules, "x") == "own"
    assert matched(rules, "x", tenant="u") == "all"
    assert matched(rules, "x", tenant="nobody") == "all"
    assert matched(rules, "x", "named") is None


def test_a_call_that_names_a_model_meets_only_rules_for_all():
    rules = RuleSet([rule("choice", "x", 5), rule("always", "x", applies_to="all")])
    assert matched(rules, "x", "named") == "always"
    assert matched(rules, "x", "auto") == "choice"


def test_case_counts_unless_the_pattern_says_otherwise():
    rules = RuleSet([rule("loud", "SQL"), rule("any", "(?i)legal")])
    assert matched(rules, "sql") is None
    assert matched(rules, "LEGAL") == "any"


def test_other_scripts_match():
    assert matched(RuleSet([rule("ua", r"(?i)договір")]), "Цей ДОГОВІР підписано") == "ua"


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(?=a)b", "look-ahead"),
        ("(?<!a)b", "look-behind"),
        (r"(a)\1", "backreference"),
        ("(?P<n>a)(?P=n)", "backreferences"),
        ("(?>a)", "atomic"),
        ("a++", "possessive"),
        (r"a\Z", r"Write \z"),
        ("((", "missing )"),
        ("a{5000}", "too large"),
        ("((a{100}){100}){100}", "too large"),
        (r"(\pL{500}){2}", "too large"),
        ("x" * 2001, "2001 characters"),
        ("\ud800", "cannot be read"),
    ],
)
def test_a_bad_pattern_is_explained_and_its_rule_named(pattern, says):
    with pytest.raises(InvalidRequest) as caught:
        validate_pattern(pattern, "billing")
    assert says in str(caught.value)
    assert "billing" in str(caught.value)
    assert caught.value.field == "pattern"
    with pytest.raises(InvalidRequest, match="billing"):
        RuleSet([rule("good", "x"), rule("billing", pattern)])


def test_bad_rules_can_be_left_out_instead():
    rules = RuleSet([rule("good", "x"), rule("bad", "((")], strict=False)
    assert matched(rules, "x") == "good"
    assert [name for name, _ in rules.refused] == ["bad"]


def test_both_ends_of_a_huge_text_are_searched():
    rules = RuleSet([rule("r", "needle")])
    hay = "hay " * SEARCHED
    assert matched(rules, "needle" + hay) == matched(rules, hay + "needle") == "r"
    assert matched(rules, hay + "needle" + hay) is None


def test_no_pattern_can_hang_a_request():
    rules = RuleSet([rule(str(n), p) for n, p in enumerate((r"(a*)*b", r"(a|aa)+$", r"(.*)*x{50}", r"([a-z]+)*\d"))])
    began = time.process_time()
    rules.match("t", "a" * 100_000, "auto")
    assert time.process_time() - began < 2


@given(
    st.lists(st.tuples(st.text("abc", min_size=1, max_size=3), st.integers(0, 3)), max_size=8),
    st.text("abc", max_size=10),
)
def test_it_finds_what_a_plain_search_finds(patterns, text):
    rules = [rule(f"{n:02}", pattern, priority) for n, (pattern, priority) in enumerate(patterns)]
    expected = [r.id for r in sorted(rules, key=lambda r: (-r.priority, r.id)) if r.pattern in text]
    assert matched(RuleSet(rules), text) == (expected[0] if expected else None)


@given(st.text(max_size=30))
def test_any_pattern_is_either_accepted_and_works_or_is_explained(pattern):
    try:
        validate_pattern(pattern)
    except InvalidRequest:
        return
    RuleSet([rule("r", pattern)]).match("t", "some text", "auto")
