"""When two cheap models are asked first, and what it takes for them to agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.routing.learned.cascade import Beliefs, agrees, expect, final_answer, plan

QUALITY = [0.75, 0.72, 0.9]
COST = [0.1, 0.12, 1.0]
PRICE = 0.2
"""Quality that a unit of cost has to bring."""


def test_a_pair_is_asked_first_where_the_strong_model_is_dear_and_the_pair_is_unsure():
    made = plan(QUALITY, COST, range(3), PRICE)
    assert made is not None
    assert (made.first, made.second, made.strong) == (0, 1, 2)
    assert made.quality - PRICE * made.cost > max(q - PRICE * c for q, c in zip(QUALITY, COST, strict=True))


def test_a_cheap_model_that_is_nearly_certain_is_asked_alone():
    assert plan([0.995, 0.99, 0.999], COST, range(3), PRICE) is None


def test_a_hopeless_pair_is_not_asked():
    assert plan([0.05, 0.05, 0.9], COST, range(3), PRICE) is None


def test_models_without_a_price_or_a_prediction_take_no_part():
    nan = float("nan")
    assert plan(QUALITY, [0.1, nan, 1.0], range(3), PRICE) is None
    assert plan([0.75, 0.72, nan], COST, range(3), PRICE) is None
    assert plan(QUALITY, COST, [0, 2], PRICE) is None


def test_models_that_are_right_together_are_worth_less_as_witnesses():
    loose = expect(QUALITY, COST, (0, 1, 2), Beliefs(4, 0.0))
    tied = expect(QUALITY, COST, (0, 1, 2), Beliefs(4, 0.8))
    assert tied.quality < loose.quality
    assert tied.agree > loose.agree


@given(
    st.lists(st.floats(0, 1), min_size=3, max_size=3),
    st.lists(st.floats(1e-6, 10), min_size=3, max_size=3),
    st.floats(1, 50),
    st.floats(0, 1),
)
def test_what_is_expected_are_a_quality_and_a_cost_that_can_be(quality, cost, alternatives, correlation):
    made = expect(quality, cost, (0, 1, 2), Beliefs(alternatives, correlation))
    assert 0 <= made.quality <= 1
    assert 0 <= made.agree <= 1
    assert cost[0] + cost[1] <= made.cost + 1e-9 <= sum(cost) + 2e-9
    assert cost[made.first] <= cost[made.second]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("42", "The answer is 42."),
        ("#### 1,200", "so that\n**Answer:** $1200.00"),
        ("(B) Paris", "Answer: B"),
        ("b", "The correct answer is (B)."),
        (r"Hence $x = \boxed{\frac{1}{2}}$.", r"\boxed{\frac{1}{2}}"),
        ('{"answer": "Yes", "why": "a"}', '```json\n{"answer": "yes.", "why": "b"}\n```'),
        ('{"a": 1, "b": [2]}', '{"b": [2], "a": 1}'),
        ("Київ", "Відповідь -- інше. Answer: київ"),
        ("-0.50", "Answer: -0.5"),
    ],
)
def test_answers_that_come_to_the_same_agree(one: str, other: str):
    assert agrees(one, other, "normalised")
    assert not agrees(one, other, "exact")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("42", "43"),
        ("Answer: B", "Answer: C"),
        ("a cat", "a dog"),
        ("a cat", "a"),
        ("", ""),
        ("12", "1.2"),
        ('{"a": 1}', '{"a": 2}'),
        ("10%", "Answer: ten"),
    ],
)
def test_answers_that_come_to_something_else_do_not(one: str, other: str):
    assert not agrees(one, other, "normalised")


def test_the_same_text_agrees_exactly():
    assert agrees("Well.", "Well.", "exact")
    assert not agrees("", "", "exact")


@given(st.text(max_size=300))
def test_any_text_has_a_final_answer_and_agrees_with_itself_if_it_says_anything(text: str):
    assert agrees(text, text, "normalised") is bool(final_answer(text))


def test_a_long_answer_is_searched_in_its_end_and_in_no_time():
    assert final_answer("answer is " * 200_000 + "Answer: 7") == "7"
    assert final_answer("{" * 100_000)
