"""What is too old: by the days of its category, from when it was last changed or used; twice as many where nobody ever used it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from meliora.knowledge.documents import CATEGORIES, STALE_DAYS, Kept
from meliora.knowledge.upkeep.figures import Ageing

DAY_US = 86_400_000_000
NEVER_USED = 0.9
"""Confidence where nobody used it in twice the days."""
PRUNED_FROM = 0.8
"""Confidence from which on a document is archived without being asked for, where nothing else is set."""


class Stale(msgspec.Struct, frozen=True, kw_only=True):
    """A document that is too old."""

    id: str
    category: str
    days: float
    """Since it was last changed or used."""
    threshold: float
    """Days of its category, twice as many where it never was used."""
    confidence: float
    used: bool

    @property
    def reason(self) -> str:
        """Say it in a sentence."""
        since = "last changed or used" if self.used else "never used, and last changed"
        return f"{since} {self.days:.0f} days ago; {self.category or 'its category'} is stale after {self.threshold:g}"


def threshold_days(category: str, days: Mapping[str, float] | None = None) -> float:
    """Give the days of a category, those of `days` first; `STALE_DAYS` for one of the caller's own."""
    return (days or {}).get(category, CATEGORIES.get(category, STALE_DAYS))


def ageing(now_us: int, days: Mapping[str, float] | None = None) -> Ageing:
    """Give the days of all categories as of a moment, those of `days` first."""
    own = {name: threshold_days(name, days) for name in (*CATEGORIES, *(days or {}))}
    return Ageing(now_us=now_us, days=own, others=STALE_DAYS, never_used=NEVER_USED)


def stale(kept: Kept, now_us: int, days_of: Mapping[str, float] | None = None) -> Stale | None:
    """Tell whether a live document is stale; None where it is not, or where nothing is known of when it was added.

    What somebody has just written anew is not old, also where nobody has used it yet.

    Confidence is min(1, 0.5 + 0.5 x over / threshold), `over` being the days beyond; 0.9 where it never was used.
    """
    threshold = float(threshold_days(kept.document.category, days_of))
    used = kept.accessed_us is not None
    since = max(kept.updated_us, kept.added_us, kept.accessed_us or 0)
    if kept.state != "live" or since <= 0:
        return None
    threshold = threshold if used else 2 * threshold
    days = (now_us - since) / DAY_US
    if days <= threshold:
        return None
    confidence = min(1.0, 0.5 + 0.5 * (days - threshold) / threshold) if used else NEVER_USED
    category = kept.document.category
    return Stale(
        id=kept.document.id, category=category, days=days, threshold=threshold, confidence=confidence, used=used
    )


def all_stale(kept: Iterable[Kept], now_us: int, days_of: Mapping[str, float] | None = None) -> list[Stale]:
    """Give the stale ones, the surest first."""
    found = (stale(one, now_us, days_of) for one in kept)
    return sorted((one for one in found if one is not None), key=lambda one: (-one.confidence, -one.days, one.id))
