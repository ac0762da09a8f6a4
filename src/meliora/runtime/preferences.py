"""The worker's part in preferences: computing the offsets of those of whom something new was heard."""

from __future__ import annotations

from meliora.clock import Clock
from meliora.routing.preferences.refresh import Refresh
from meliora.settings import Settings
from meliora.store.store import Store

PREFERENCES_SECONDS = 5.0


def refresher(settings: Settings, store: Store, clock: Clock) -> Refresh:
    """Give what keeps the tables of offsets current."""
    largest = settings.routing.preferences.largest
    return Refresh(
        store.preferences, store.preference_tables, clock.now_us, rate=settings.learning.rate, largest=largest
    )
