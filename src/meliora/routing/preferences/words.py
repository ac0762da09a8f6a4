"""The words of preferences: what kinds of feedback are worth, names of tasks, lengths and times of day. No behaviour beyond that."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Literal

import re2

THUMBS_AND_STARS = {
    "thumbs_up": 1.0,
    "thumbs_down": 0.0,
    "rating_1": 0.2,
    "rating_2": 0.4,
    "rating_3": 0.6,
    "rating_4": 0.8,
    "rating_5": 1.0,
}
"""What is said about a call, and what each word is worth."""

REACTIONS = {"positive": 1.0, "edit": 0.6, "neutral": 0.5, "regenerate": 0.2, "negative": 0.0}
"""What is noticed about an interaction. An edited answer was good enough to keep; one asked for again was not."""

WORTH = {**THUMBS_AND_STARS, **REACTIONS}

Reaction = Literal["positive", "negative", "neutral", "regenerate", "edit"]
Length = Literal["short", "medium", "long"]
Period = Literal["morning", "afternoon", "evening", "night"]

PERIODS: tuple[Period, ...] = ("morning", "afternoon", "evening", "night")
STYLES = ("tone", "verbosity", "code_style", "explanation_depth")
"""Names in an interaction's metadata that say how an answer was written."""


class FeedbackType(StrEnum):
    """What is said about an answer."""

    THUMBS_UP = "thumbs_up"
    THUMBS_DOWN = "thumbs_down"
    RATING_1 = "rating_1"
    RATING_2 = "rating_2"
    RATING_3 = "rating_3"
    RATING_4 = "rating_4"
    RATING_5 = "rating_5"
    POSITIVE = "positive"
    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    REGENERATE = "regenerate"
    EDIT = "edit"


_SAME_TASK = {
    "general": "chat",
    "conversation": "chat",
    "code_generation": "code",
    "coding": "code",
    "analysis": "reasoning",
    "creative_writing": "creative",
}
_SHORT, _MEDIUM = 200, 1000
_READ = 8192


def same_task(task: str | None) -> str:
    """Give the one name of tasks that mean the same, as the classifier spells it; `chat` for an unknown task."""
    name = (task or "chat").strip().lower()
    return _SAME_TASK.get(name, name)


def length_of(characters: int) -> Length:
    """Call an answer short below 200 characters, medium below 1,000, else long."""
    return "short" if characters < _SHORT else "medium" if characters < _MEDIUM else "long"


def period_of(time: datetime) -> Period:
    """Give the time of day: morning from 6, afternoon from 12, evening from 18, night from 22 to 6."""
    hour = time.hour
    return "night" if hour >= 22 or hour < 6 else PERIODS[(hour - 6) // 6]


def task_of(prompt: str) -> str:
    """Recognise a task by its words: translation, summarization, code, creative or analysis, in this order; else general."""
    found = _patterns().Match(prompt[:_READ].encode("utf-8", "replace"))
    return _TASKS[min(found)][0] if found else "general"


_TASKS = (
    (
        "translation",
        r"\b(translat(e|es|ed|ing|ion)|in(to)? (english|french|german|spanish|italian|chinese|japanese|ukrainian))\b",
    ),
    ("summarization", r"\b(summari[sz]e|summari[sz]ation|summary|tl;?dr|key points|condense|in (short|brief))\b"),
    (
        "code",
        r"```|\b(code|function|script|program|debug|bug|refactor|implement|compile|algorithm|api|sql|regex|python|javascript"
        r"|typescript|rust|golang|class|unit tests?|traceback|stack ?trace)\b",
    ),
    (
        "creative",
        r"\b(story|poem|haiku|song|lyrics|novel|fiction|slogan|brainstorm|imagine|creative|screenplay|character)\b",
    ),
    (
        "analysis",
        r"\b(analy[sz]e|analysis|compare|contrast|evaluate|assess|pros and cons|trade-?offs?|explain why|reason)\b",
    ),
)


@cache
def _patterns() -> re2.Set:
    """Compile all patterns into one set, read in time linear in the prompt."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.case_sensitive = False
    patterns = re2.Set.SearchSet(options)
    for _, pattern in _TASKS:
        patterns.Add(pattern)
    patterns.Compile()
    return patterns
