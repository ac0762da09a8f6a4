"""What the control app is given, and what it keeps beside it. Everything comes in as a parameter; nothing is global."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from fastapi import Request

from meliora.clock import Clock
from meliora.errors import MissingExtra, UpstreamUnreachable
from meliora.gateway.state import RuleState
from meliora.routing.crosscheck import Ask
from meliora.routing.pool import Catalogue
from meliora.server.policies import ServedPolicies
from meliora.settings.models import Settings
from meliora.telemetry.improvement import ImprovementManager
from meliora.telemetry.records import Usage

if TYPE_CHECKING:
    from meliora.knowledge.front import Plane
    from meliora.knowledge.memory.memory import Memory
    from meliora.loop.front import Loop
    from meliora.routing.preferences.tracker import Preferences
    from meliora.server.auth import Keyring
    from meliora.server.feed import StateFeed
    from meliora.store import Store
    from meliora.store.housekeeping import Erasure


MOUNTED = "meliora.control"
"""Where a route that stands in another app has what it works with, in the scope."""
CHECKS = 8
"""Cross-checks that may run at once: each holds a thread for as long as models think."""


class SpoolSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The spool of this machine as it lies on the disk."""

    bytes_waiting: int
    """Not ingested yet."""
    segments: int
    quarantined: int = 0
    """Records that could not be read and were put aside."""


class DiskSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A file system that this process writes to."""

    path: str
    """What of the deployment lies on it."""
    free_bytes: int
    """That an ordinary user may still write."""
    free_files: int | None = None
    """How many more files it takes; None where it sets no number."""


class PriceOf(Protocol):
    """Estimate a call's cost."""

    def __call__(self, model: str, usage: Usage) -> int | None:
        """Give micro-dollars, None where a price is unknown."""
        ...


class AskModels(Protocol):
    """Make model calls under a caller's own key, through the gateway."""

    def __call__(self, secret: str, feature: str, seconds: float) -> Ask:
        """Give what asks, for so many seconds altogether."""
        ...


def nobody(secret: str, feature: str, seconds: float) -> Ask:
    """Stand where no gateway can be asked."""
    raise UpstreamUnreachable("No gateway can be asked from here.", hint="`meliora up` starts one beside this process.")


class Erase(Protocol):
    """Erase a person."""

    def __call__(self, tenant: str, user: str) -> Erasure:
        """Erase what is kept of a user, and tell what went and what is still held."""
        ...


@dataclass(frozen=True, slots=True)
class ControlContext:
    """Everything the app works with."""

    settings: Settings
    store: Store
    clock: Clock
    improvement: ImprovementManager
    offers: Callable[[], Catalogue]
    """The models on offer now."""
    price: PriceOf
    erase: Erase
    ask: AskModels = nobody
    loop: Loop | None = None
    """The loop; None where this process has none."""
    knowledge: Plane | None = None
    """Documents and searches; None where this process has none."""
    spool: Callable[[], SpoolSeen | None] = lambda: None
    """Look at the spool; None where it is not on this machine."""
    disks: Callable[[], Sequence[DiskSeen]] = lambda: ()
    """Look at the file systems that this process writes to; empty where nothing is known of them."""
    settings_rules: Sequence[RuleState] = ()
    """Active rules of the settings; gateways have them from their own settings."""
    version: str = "0"
    body_bytes: int = 2 * 1024 * 1024
    """Largest request body."""
    documents_bytes: int = 25 * 1024 * 1024
    """Largest body of a request that brings documents."""
    long_poll_seconds: float = 20.0
    """How long a gateway's question for a newer state is held."""
    look_seconds: float = 0.5
    """How old the state may be that a waiting gateway is compared with."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The last that a gateway said of itself here. Kept in memory: a disk that is full takes no heartbeat."""

    seen_us: int
    counters: Mapping[str, Any]
    refused: str = ""
    """Why the store did not keep it."""


@dataclass(frozen=True, slots=True)
class Control:
    """The context, and what the app remembers between requests."""

    context: ControlContext
    keyring: Keyring
    feed: StateFeed
    preferences: Preferences
    heard: dict[str, Heard] = field(default_factory=dict)
    """By gateway; those of this machine, which report here."""
    checking: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(CHECKS))
    """Room for cross-checks."""
    policies: ServedPolicies = field(default_factory=ServedPolicies)

    @property
    def store(self) -> Store:
        """The store."""
        return self.context.store

    @property
    def knowledge(self) -> Plane:
        """Documents and searches. Raises `MissingExtra` where this process has none."""
        if self.context.knowledge is None:
            raise MissingExtra(
                "This deployment keeps no documents.",
                hint="Set knowledge.enabled = true, and `pip install 'meliora[knowledge]'`.",
            )
        return self.context.knowledge

    @property
    def memory(self) -> Memory:
        """Conversations. Raises `MissingExtra` where this deployment keeps none."""
        memory = self.knowledge.memory
        if memory is None:
            raise MissingExtra("This deployment keeps no conversations.", hint="Set knowledge.memory.enabled = true.")
        return memory

    def now_us(self) -> int:
        """Give the time."""
        return self.context.clock.now_us()

    def changed(
        self, tenant: str, actor: str, action: str, subject: str, detail: Mapping[str, object] | None = None
    ) -> None:
        """Note an act in the activity log, and let gateways know that something may have changed."""
        self.store.activity.append(tenant, actor, action, subject, dict(detail or {}))
        self.feed.touch()


def control_of(request: Request) -> Control:
    """Give what a request is answered by: what its route was mounted with, else what its app works with."""
    return request.scope.get(MOUNTED) or request.app.state.control
