"""One attempt at one edge, as the kind of change sees it: its fence, its key, its progress and the checkpoint of earlier attempts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from meliora.errors import Conflict


class Superseded(Conflict):
    """Another attempt has taken over, or the edge was stopped: what this one does is refused."""

    code = "superseded"


class Fence(msgspec.Struct, frozen=True):
    """Goes with every write of an attempt; the store refuses it in the write's own transaction when it is not the current one."""

    tenant: str
    change: str
    attempt: int


@dataclass(slots=True)
class Work:
    """What a kind is handed at an edge."""

    fence: Fence
    key: str
    """Idempotency key of the edge's effect, the same for every attempt: `chg_.../deliver`."""
    seed: int
    """Of all that is drawn at this edge: the same for every attempt, so that a decision can be replayed."""
    now_us: Callable[[], int]
    tell: Callable[[float | None, str, dict[str, Any] | None], None]
    """Store progress (share done, a sentence, a checkpoint) and extend the lease. Raises `Superseded`."""
    checkpoint: dict[str, Any] = field(default_factory=dict)
    """What an earlier attempt left."""
    finding: dict[str, Any] | None = None
    """The finding that the change answers, as plain data."""

    def progress(self, share: float | None, sentence: str, checkpoint: dict[str, Any] | None = None) -> None:
        """Say how far it is (0..1, None where that is unknown), and keep a checkpoint. Raises `Superseded` where it is not wanted."""
        self.tell(share, sentence, checkpoint)
