"""Times of a schedule in cron's five fields, in UTC. Pure; settings check the syntax before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_FIRST = (0, 0, 1, 1, 0)
_LAST = (59, 23, 31, 12, 6)
_DAYS = 366 * 5


def last_run(cron: str, now_us: int) -> int | None:
    """Give the last time at or before now, in microseconds; None where there is none within five years (30 February)."""
    minutes, hours, days, months, weekdays = (
        _values(field, first, last) for field, first, last in zip(cron.split(), _FIRST, _LAST, strict=True)
    )
    either = cron.split()[2] != "*" and cron.split()[4] != "*"  # as cron has it: where both are given, one is enough
    now = datetime.fromtimestamp(now_us / 1e6, UTC).replace(second=0, microsecond=0)
    for back in range(_DAYS):
        day = (now - timedelta(days=back)).date()
        in_month, in_week = day.day in days, day.isoweekday() % 7 in weekdays
        if day.month not in months or not (in_month or in_week if either else in_month and in_week):
            continue
        for hour in sorted(hours, reverse=True):
            for minute in sorted(minutes, reverse=True):
                run = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
                if run <= now:
                    return round(run.timestamp() * 1e6)
    return None


def _values(field: str, first: int, last: int) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = (f"{first}-{last}" if span == "*" else span).partition("-")
        end = int(high) if high else last if step else int(low)
        found.update(value % 7 if last == 6 else value for value in range(int(low), end + 1, int(step or 1)))
    return frozenset(found)
