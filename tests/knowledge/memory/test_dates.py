"""Dates are read as far as they are said; days beside today are counted from the day they were said."""

from __future__ import annotations

from datetime import date

import pytest

from meliora.knowledge.memory.dates import Date, said_dates, told_days

MONDAY = (date(2023, 5, 8) - date(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("What happened on 7 May 2023?", Date(2023, 5, 7)),
        ("on May 7, 2023", Date(2023, 5, 7)),
        ("in september", Date(0, 9, 0)),
        ("Sept", None),
        ("2023-05-07 logs", Date(2023, 5, 7)),
        ("in 2022", Date(2022, 0, 0)),
        ("you may go", None),
        ("2023-99-01", None),
        ("room 2199999", None),
    ],
)
def test_a_date_is_read_as_far_as_it_is_said(text: str, found: Date | None) -> None:
    assert said_dates(text)[:1] == ((found,) if found else ())


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("I went yesterday.", -1, -1),
        ("two days ago", -2, -2),
        ("a week ago", -8, -6),
        ("last week", -7, -1),
        ("last weekend", -2, -1),
        ("last Friday", -3, -3),
        ("next Monday", 7, 7),
        ("last night", -1, -1),
        ("tomorrow then", 1, 1),
    ],
)
def test_a_day_beside_today_is_counted_from_the_day_it_was_said(text: str, first: int, last: int) -> None:
    assert told_days(text, MONDAY) == (MONDAY + first, MONDAY + last)


def test_a_text_that_tells_of_no_day_tells_of_none() -> None:
    assert told_days("The last straw, ago.", MONDAY) is None
    assert told_days("", MONDAY) is None
