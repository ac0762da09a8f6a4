"""Who did what, append-only: keys made and revoked, rules changed, people erased."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.store.cursors import Page


class ActivityEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One act. `actor` is a key id, `cli` or `system`; `detail` holds ids and settings, never content or secrets."""

    id: int
    at_us: int
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


class Activity:
    """Append acts and read them."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int]) -> None:
        self._engine = engine
        self._clock_us = clock_us

    def append(
        self, tenant: str, actor: str, action: str, subject: str = "", detail: dict[str, Any] | None = None
    ) -> ActivityEntry:
        """Note an act, e.g. `key.create`."""
        raise NotImplementedError

    def list(
        self, tenant: str, *, action: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[ActivityEntry]:
        """Give acts, the newest first; at most 500."""
        raise NotImplementedError
