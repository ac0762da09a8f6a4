"""Names of tasks, lengths and times of day."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from meliora.routing.preferences.words import WORTH, FeedbackType, length_of, period_of, same_task, task_of


@pytest.mark.parametrize(
    ("prompt", "task"),
    [
        ("Translate this code comment into French", "translation"),
        ("Summarize the story", "summarization"),
        ("Debug this Python function", "code"),
        ("Write a haiku about rain", "creative"),
        ("Compare the pros and cons", "analysis"),
        ("Hello there", "general"),
        ("", "general"),
        ("\ud800\x00 Перекласти", "general"),
    ],
)
def test_a_task_is_recognised_by_its_words(prompt: str, task: str) -> None:
    assert task_of(prompt) == task


def test_a_megabyte_is_read_no_further_than_its_beginning() -> None:
    assert task_of("x" * 1_000_000 + " translate") == "general"


def test_documented_names_and_the_classifiers_mean_the_same_task() -> None:
    assert same_task("code_generation") == same_task(" Code ") == "code"
    assert same_task("conversation") == same_task(None) == same_task("general") == "chat"
    assert same_task("translation") == "translation"


@pytest.mark.parametrize(("characters", "length"), [(199, "short"), (200, "medium"), (999, "medium"), (1000, "long")])
def test_lengths_are_as_documented(characters: int, length: str) -> None:
    assert length_of(characters) == length


def test_times_of_day_are_as_documented() -> None:
    found = [period_of(datetime(2026, 11, 21, hour, tzinfo=UTC)) for hour in (5, 6, 11, 12, 17, 18, 21, 22, 0)]
    assert found == [
        "night", "morning", "morning", "afternoon", "afternoon", "evening", "evening", "night", "night",
    ]  # fmt: skip


def test_every_kind_of_feedback_has_a_worth() -> None:
    assert set(WORTH) == {kind.value for kind in FeedbackType}
