"""The classifier follows its formula, and reads any text quickly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.routing import classify as module
from meliora.routing.classify import classify
from meliora.settings.models import Routing

SETTINGS = Routing()


def test_there_are_eight_patterns_of_each_kind():
    assert len(module._SIMPLE) == len(module._COMPLEX) == len(module._CODE) == 8


@pytest.mark.parametrize(
    ("prompt", "tier", "task"),
    [
        ("hi", "fast", "simple"),
        ("What is the capital of France?", "fast", "simple"),
        ("Analyze and compare the trade-offs of both designs, step by step", "deep", "reasoning"),
        ("Write a python function that sorts a list", "code", "code"),
        ("Fix this:\n```\nx = 1\n```", "code", "code"),
        ("Traceback (most recent call last)", "code", "code"),
        ("Write a poem about the sea", "balanced", "creative"),
        ("Find papers on sleep", "balanced", "research"),
        ("The server has little memory left on its disk", "balanced", "system"),
        ("Привіт, як справи?", "balanced", "chat"),
        ("写一首关于大海的诗", "balanced", "chat"),
    ],
)
def test_prompts_go_where_they_belong(prompt, tier, task):
    made = classify(prompt, settings=SETTINGS)
    assert (made.tier, made.task) == (tier, task)


def test_without_patterns_complexity_is_what_the_formula_says():
    made = classify("x" * 400 + "??", settings=SETTINGS)
    assert made.complexity == pytest.approx(0.5 * 0.5 + 0.3 * 402 / 4 / 1000 + 0.2 * 0.4)


def test_patterns_weigh_as_their_share():
    made = classify("hello, please analyze and evaluate the consequences", settings=SETTINGS)
    simple, hard = 1, 2
    assert made.complexity == pytest.approx(
        0.5 * hard / (simple + hard) + 0.3 * len("hello, please analyze and evaluate the consequences") / 4000
    )


def test_question_marks_count_up_to_a_half():
    few, many = (classify("x" + "?" * n, settings=SETTINGS).complexity for n in (3, 300))
    assert few == pytest.approx(0.25 + 0.3 * 4 / 4000 + 0.1)
    assert many == pytest.approx(0.25 + 0.3 * 301 / 4000 + 0.1)


def test_a_long_prompt_is_raised_by_fifteen_hundredths():
    short, long = (classify("x" * n, settings=SETTINGS) for n in (1200, 1204))
    assert long.complexity - short.complexity == pytest.approx(0.15 + 0.3 * 4 / 4000)
    assert short.tier == "balanced"
    assert long.tier == "deep"


def test_wishes_move_it_by_a_fifth_and_are_something_to_go_by():
    plain = classify("a cat sat on a mat", settings=SETTINGS)
    better = classify("a cat sat on a mat", prefer_quality=True, settings=SETTINGS)
    quicker = classify("a cat sat on a mat", prefer_speed=True, settings=SETTINGS)
    assert better.complexity - plain.complexity == pytest.approx(0.2)
    assert plain.complexity - quicker.complexity == pytest.approx(0.2)
    assert (plain.tier, better.tier, quicker.tier) == ("balanced", "deep", "fast")


def test_one_code_pattern_is_enough():
    made = classify("analyze why this refactoring of the codebase is hard", settings=SETTINGS)
    assert (made.tier, made.confidence, made.reason) == ("code", 0.85, "classifier:code")


def test_the_system_prompt_is_read_too():
    assert classify("go on", "You review source code.", settings=SETTINGS).tier == "code"


def test_settings_move_the_threshold_and_the_default():
    mine = Routing(default_tier="deep", complexity_threshold=0.1)
    assert classify("a cat", settings=mine).reason == "default:deep"
    assert classify("hi and thanks, please compare", settings=mine).tier == "deep"


def test_both_ends_of_a_huge_prompt_are_read_and_the_middle_is_not():
    filling = "lorem " * 100_000
    assert classify(filling + " refactor the codebase", settings=SETTINGS).tier == "code"
    assert classify("refactor the codebase " + filling, settings=SETTINGS).tier == "code"
    assert classify(filling + " refactor the codebase " + filling, settings=SETTINGS).tier == "deep"


@given(st.text(), st.booleans(), st.booleans())
def test_any_text_gets_a_sound_answer_and_always_the_same(text, quality, speed):
    made = classify(text, prefer_quality=quality, prefer_speed=speed, settings=SETTINGS)
    assert made == classify(text, prefer_quality=quality, prefer_speed=speed, settings=SETTINGS)
    assert 0 <= made.complexity <= 1
    assert 0.5 <= made.confidence <= 1


def test_half_characters_from_broken_json_do_no_harm():
    assert classify("\ud800 hello", settings=SETTINGS).tier == "fast"
