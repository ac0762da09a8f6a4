"""How much the loop may do: cycles and changes a day, a pause for each target, money. Pure; counting is the caller's.

A day is a UTC day; it ends for everybody at the same moment.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from meliora.loop.policy.request import Action

DAY_US = 86_400_000_000


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """The limits. None: no limit."""

    cycles_per_day: int | None = 6
    changes_per_day: int | None = 10
    cooldown_seconds: float = 3600.0
    """After a change of a target ended or was rolled back, before the next of that target."""
    budget_micros_per_day: int | None = None
    """Of the loop's own calls."""


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What was done since this UTC day began, over all tenants, and at the target."""

    now_us: int
    cycles: int = 0
    changes: int = 0
    """Delivered, rolled back since or not."""
    last_change_us: int | None = None
    """When the last other change of this target ended; None: never."""
    spent_micros: int = 0


class Capped(msgspec.Struct, frozen=True):
    """Why not now, and when it ends."""

    sentence: str
    until_us: int
    seconds: float


def capped(caps: Caps, counts: Counts, action: Action) -> Capped | None:
    """Say which cap stands in the way of an action, the one that lasts longest; None where none does.

    Cycles are counted where one begins (`trigger`), changes where they reach traffic (`try`, `deliver`), money where it is spent
    (`trigger`, `prove`, `try`). Restoring is never capped. A target whose last change lies in the future (a clock went back)
    waits one cooldown at most.
    """
    now = counts.now_us
    midnight = (now // DAY_US + 1) * DAY_US
    found: list[tuple[int, str]] = []
    if action == "trigger" and _full(counts.cycles, caps.cycles_per_day):
        found.append((midnight, f"{counts.cycles} of {caps.cycles_per_day} cycles of the day are used"))
    if action in ("try", "deliver") and _full(counts.changes, caps.changes_per_day):
        found.append((midnight, f"{counts.changes} of {caps.changes_per_day} changes of the day are used"))
    if action in ("trigger", "prove", "try") and _full(counts.spent_micros, caps.budget_micros_per_day):
        budget = (caps.budget_micros_per_day or 0) / 1e6
        found.append((midnight, f"${counts.spent_micros / 1e6:.2f} of the loop's ${budget:.2f} a day are spent"))
    if action in ("trigger", "try", "deliver") and counts.last_change_us is not None:
        until = min(counts.last_change_us, now) + round(caps.cooldown_seconds * 1e6)
        if until > now:
            found.append((until, f"the target was changed {(now - min(counts.last_change_us, now)) / 1e6:.0f} s ago"))
    if not found:
        return None
    until, sentence = max(found)
    when = datetime.fromtimestamp(until / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return Capped(f"Not before {when} UTC: {sentence}.", until, (until - now) / 1e6)


def _full(used: int, most: int | None) -> bool:
    return most is not None and used >= most
