"""Cron times: the last one at or before a moment."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from meliora.loop.schedule import last_run


def _us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e6)


@pytest.mark.parametrize(
    ("cron", "now", "run"),
    [
        ("0 2 * * 0", "2026-11-26T14:00", "2026-11-22T02:00"),  # Sunday, as 0
        ("0 2 * * 7", "2026-11-26T14:00", "2026-11-22T02:00"),  # and as 7
        ("0 2 * * 0", "2026-11-22T02:00", "2026-11-22T02:00"),
        ("0 2 * * 0", "2026-11-22T01:59", "2026-11-15T02:00"),
        ("*/15 * * * *", "2026-11-26T14:44", "2026-11-26T14:30"),
        ("5-20/5 8,18 * * *", "2026-11-26T14:44", "2026-11-26T08:20"),
        ("0 0 1 * *", "2026-11-26T14:44", "2026-11-01T00:00"),
        ("0 0 13 * 5", "2026-11-26T14:44", "2026-11-20T00:00"),  # the 13th or a Friday
        ("0 0 29 2 *", "2026-11-26T14:44", "2024-02-29T00:00"),
    ],
)
def test_the_last_run_is_at_or_before_now(cron: str, now: str, run: str) -> None:
    assert last_run(cron, _us(now)) == _us(run)


def test_a_day_that_never_comes_has_no_run() -> None:
    assert last_run("0 0 30 2 *", _us("2026-11-26T14:44")) is None
