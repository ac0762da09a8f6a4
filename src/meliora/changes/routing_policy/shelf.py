"""What a change of the policy asks of snapshots and outcomes as the store keeps them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from meliora.routing.learning.records import Encode, Outcome, Snapshot, SnapshotKind


class PolicyShelf(Protocol):
    """Numbered policies, and which one serves. All methods raise `StoreError`."""

    def list(self, tenant: str, *, limit: int) -> Sequence[Snapshot]:
        """Give the snapshots, the newest first."""
        ...

    def get(self, tenant: str, number: int) -> Snapshot:
        """Give a snapshot. Raises `NotFound`."""
        ...

    def blob(self, tenant: str, number: int) -> bytes:
        """Give a snapshot's bytes. Raises `NotFound`, also where they were let go."""
        ...

    def serving(self, tenant: str) -> Snapshot | None:
        """Give what serves; None where no learned policy does."""
        ...

    def add(
        self,
        tenant: str,
        encode: Encode,
        *,
        kind: SnapshotKind,
        made_by: str,
        evidence: dict[str, Any] | None,
        parent: int | None,
    ) -> Snapshot:
        """Keep a candidate under the next number."""
        ...

    def note(self, tenant: str, number: int, evidence: dict[str, Any]) -> Snapshot:
        """Add to what is known of a snapshot, name by name."""
        ...

    def exchange(
        self,
        tenant: str,
        number: int | None,
        *,
        instead_of: int | None,
        evidence: dict[str, Any],
        is_return: bool,
        fenced: Callable[[Any], None],
    ) -> bool:
        """Let a snapshot (None: none) serve in place of what descends from `instead_of`; False, and nothing changed, where else serves.

        With `is_return` what came in until now is not learned anew. `fenced` is called first in the transaction.
        """
        ...


class LoggedOutcomes(Protocol):
    """Recorded outcomes. Raises `StoreError`."""

    def logged(self, tenant: str, trunk: str, since_us: int, limit: int) -> Sequence[Outcome]:
        """Give the last outcomes of a trunk since a time, the oldest first."""
        ...


class Frozen(msgspec.Struct, frozen=True):
    """The baseline as a change keeps it: what served when the candidate was proposed."""

    number: int
    anchor: int
    """The snapshot that learning set out from: what it publishes descends from it and is the same version."""
    sha256: str


class Wanted(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change's payload."""

    snapshot: int
    sha256: str
    baseline: Frozen | None = None
    fitted_until_us: int = 0
    """The candidate was fitted to outcomes up to here: what proves it comes later. 0: to none of the recorded ones."""
    forced: bool = False
    """A person puts it in service whatever its proof says, and without a trial; the proof says so."""


def version(number: int) -> str:
    """Name a snapshot as a version of the policy."""
    return f"snapshot {number}"
