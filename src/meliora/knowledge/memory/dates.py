"""Days that are asked for and told of: "7 May 2023", "in May", "2023-05-07", "yesterday", "two weeks ago". Reads English words."""

from __future__ import annotations

import re

import msgspec

DAY_US = 86_400_000_000
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august")
_MONTHS += ("september", "october", "november", "december")
_BY_NAME = {name: at + 1 for at, name in enumerate(_MONTHS)} | {
    name[:3]: at + 1 for at, name in enumerate(_MONTHS) if name != "may"
}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "few": 3, "couple": 2}
_UNITS = {"day": 1, "week": 7, "month": 30, "year": 365}
_ISO = re.compile(r"\b((?:19|20)\d\d)-(\d\d)(?:-(\d\d))?\b")
_WORDS = re.compile(r"[a-z]+|\d+")
_AGO = re.compile(r"\b(\d{1,3}|a|an|one|two|three|four|five|six|few|couple(?: of)?) (day|week|month|year)s? ago\b")
_SIDE = re.compile(r"\b(last|next|this) (night|week|weekend|month|year|" + "|".join(_WEEKDAYS) + r")\b")
_NEAR = {"yesterday": -1, "today": 0, "tonight": 0, "tomorrow": 1}


class Date(msgspec.Struct, frozen=True):
    """A date as far as it was said; 0: not said."""

    year: int = 0
    month: int = 0
    day: int = 0


def day_of(at_us: int) -> int:
    """Give the day since the epoch (UTC)."""
    return at_us // DAY_US


def said_dates(text: str) -> tuple[Date, ...]:
    """Give the dates that a text names by year, month or day of the month. "May" counts where it is written as a month is."""
    found = [Date(int(y), int(m), int(d or 0)) for y, m, d in _ISO.findall(text) if int(m) <= 12 and int(d or 0) <= 31]
    plain = _ISO.sub(" ", text)
    words = [(at.group(), plain[at.start()].isupper()) for at in _WORDS.finditer(plain.lower())]
    years = [int(word) for word, _ in words if re.fullmatch(r"(?:19|20)\d\d", word)]
    months = [
        at for at, (word, upper) in enumerate(words) if word in _BY_NAME and (word not in ("may", "mar") or upper)
    ]
    for at in months:
        near = [words[i][0] for i in (at - 1, at + 1, at - 2) if 0 <= i < len(words)]
        days = [int(word) for word in near if word.isdigit() and 1 <= int(word) <= 31]
        found.append(Date(years[0] if years else 0, _BY_NAME[words[at][0]], days[0] if days else 0))
    return tuple(found or (Date(year) for year in years))


def told_days(text: str, day: int) -> tuple[int, int] | None:
    """Give the first and last day, since the epoch, that a text tells of relative to `day`; None where it does not."""
    low = text.lower()
    if (ago := _AGO.search(low)) is not None:
        count = ago.group(1).split()[0]
        size = _UNITS[ago.group(2)]
        middle = day - size * (int(count) if count.isdigit() else _COUNTS[count])
        return middle - size // 4, middle + size // 4
    if (side := _SIDE.search(low)) is not None:
        return _beside(side.group(1), side.group(2), day)
    for word in _WORDS.findall(low):
        if word in _NEAR:
            return day + _NEAR[word], day + _NEAR[word]
    return None


def _beside(which: str, unit: str, day: int) -> tuple[int, int]:
    step = {"last": -1, "this": 0, "next": 1}[which]
    if unit == "night":
        return day + step, day + step
    if unit in _WEEKDAYS:
        away = (_WEEKDAYS.index(unit) - weekday(day)) % 7
        at = day + (away - 7 if step < 0 else away + 7 * (step > 0 and away == 0))
        return at, at
    monday = day - weekday(day)
    if unit in ("week", "weekend"):
        start = monday + 7 * step + 5 * (unit == "weekend")
        return start, monday + 7 * step + 6
    size = _UNITS[unit]
    return day + size * step - size // 2, day + size * step + size // 2


def weekday(day: int) -> int:
    """Give the weekday of a day since the epoch; Monday is 0."""
    return (day + 3) % 7
