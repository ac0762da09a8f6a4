"""What learning is told and what it keeps: signals about an answer, the reward made of them, outcomes, snapshots' rows.

Plain data without numpy, so that the store and the API can use it. The protocols say what learning asks of the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from meliora.telemetry.records import RoutedCandidate

SnapshotKind = Literal["fit", "calibrated", "prior", "online"]
"""How a policy came about: fitted on a file, by `calibrate`, shipped, or moved by outcomes."""
SnapshotState = Literal["candidate", "serving", "retired"]

Ending = Literal["ok", "error", "failed", "cancelled"]
"""`failed`: the model or its provider gave no answer; `error`: the call was at fault, which says nothing of the model."""


class Signals(msgspec.Struct, frozen=True, kw_only=True):
    """All that has been said or seen about one answer so far."""

    call_id: str
    tenant: str
    outcome: Ending
    started_us: int
    touched: int
    """Grows with each new signal: a reward made of an older state is not kept."""
    feedback: float | None = None
    """What a person said, in [0, 1]; the last word stands."""
    scores: Mapping[str, float] = {}
    """By scorer, in [0, 1]."""
    again_us: int | None = None
    """When the same user or session first sent the same prompt again."""
    cost_micros: int | None = None
    latency_us: int | None = None


class Reward(msgspec.Struct, frozen=True):
    """How good an answer was, in [0, 1]; how much it counts, in (0, 1]; and who says so: `feedback`, `scorer:NAME`, `retry`, `failure`."""

    value: float
    weight: float
    source: str


class Settled(msgspec.Struct, frozen=True):
    """A reward to keep, or that there is none, made of the signals as they were when `touched` was that."""

    call_id: str
    tenant: str
    touched: int
    reward: Reward | None


class Unscored(msgspec.Struct, frozen=True):
    """A recorded answer that a scorer has not been asked about."""

    call_id: str
    dialect: str
    request_text: str | None
    response_text: str | None
    truncated: bool


Said = tuple[float | None, float | None]
"""What a scorer said of the shown answer, and of the candidate's."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two answers to one request. A text is None where it was not kept whole."""

    id: str
    parent: str
    """The call that was answered."""
    tenant: str
    dialect: str
    task: str | None
    started_us: int
    request_text: str | None
    shown_text: str | None
    text: str | None
    shown_failed: bool
    failed: bool
    shown_cost_micros: int | None
    cost_micros: int | None
    shown_latency_us: int
    latency_us: int
    scores: Mapping[str, float] = {}
    """What scorers said of the shown answer already."""


class PairBook(Protocol):
    """Pairs as the store keeps them. All methods raise `StoreError`."""

    def tenants(self) -> Sequence[str]:
        """Give the tenants that have pairs which wait."""
        ...

    def waiting(self, tenant: str, since_us: int, limit: int) -> Sequence[Pair]:
        """Give pairs that nobody has scored, the oldest first."""
        ...

    def judge(
        self, tenant: str, shadow: str, scores: Mapping[str, Said], shown: float | None, reward: float | None
    ) -> None:
        """Keep what was found of a pair."""
        ...


class Asked(msgspec.Struct, frozen=True):
    """What is kept of a call's request, and whose it was: user, else session, else key."""

    dialect: str
    request_text: str
    person: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One decision of a policy and what came of it. `reward` is None where nothing is known yet."""

    call_id: str
    tenant: str
    key_id: str
    started_us: int
    task: str | None
    model: str
    """That answered; where none did, the one that was chosen."""
    outcome: Ending
    cost_micros: int | None
    latency_us: int | None
    snapshot: int
    trunk: str
    phi: bytes
    """float16, little-endian."""
    candidates: tuple[RoutedCandidate, ...]
    decided_by: str
    explored: bool
    reward: float | None
    weight: float | None
    source: str | None
    seq: int | None
    """Place in the order in which outcomes were first rewarded."""
    changed: int | None
    """Number of the reward's last change; `changed > seq` where it replaced another one."""

    @property
    def propensity(self) -> float | None:
        """Probability with which the model that answered was served; None where it was not the policy's to choose."""
        if self.decided_by != "policy":
            return None
        return next((one.served for one in self.candidates if one.model == self.model and one.served > 0), None)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered policy as it is listed; its bytes are apart. Times in microseconds UTC."""

    tenant: str
    number: int
    parent: int | None
    anchor: int
    """The snapshot from which learning set out; itself where it was not made by learning."""
    kind: SnapshotKind
    state: SnapshotState
    sha256: str
    bytes: int
    kept: bool
    """Whether its bytes are still here. Superseded snapshots of online learning lose them after a while."""
    learned_seq: int
    evidence: dict[str, Any]
    made_by: str
    made_us: int
    replaced: int | None
    served_us: int | None
    retired_us: int | None


Encode = Callable[[int], bytes]
"""Gives a policy's bytes under the number that it gets."""


class OutcomeLog(Protocol):
    """The outcomes as the store keeps them. All methods raise `StoreError`."""

    def waiting(self, limit: int) -> Sequence[Signals]:
        """Give answers about which something new is known, of all tenants."""
        ...

    def settle(self, settled: Sequence[Settled]) -> int:
        """Keep rewards; one made of an older state of its signals is left out. Give how many changed."""
        ...

    def rewarded(self, tenant: str, trunk: str, after: int, limit: int) -> Sequence[Outcome]:
        """Give the last `limit` rewarded outcomes of a trunk with `seq` above `after`, in that order."""
        ...

    def changes(self, tenant: str, trunk: str, after: int, limit: int) -> Sequence[Outcome]:
        """Give outcomes whose reward came or changed after number `after`, in the order of the changes."""
        ...


class SnapshotShelf(Protocol):
    """The snapshots as the store keeps them. All methods raise `StoreError`."""

    def serving(self, tenant: str) -> Snapshot | None:
        """Give what serves a tenant."""
        ...

    def get(self, tenant: str, number: int) -> Snapshot:
        """Give a snapshot. Raises `NotFound`."""
        ...

    def blob(self, tenant: str, number: int) -> bytes:
        """Give a snapshot's bytes. Raises `NotFound`."""
        ...

    def tenants(self) -> Sequence[str]:
        """Give the tenants that a snapshot serves."""
        ...

    def publish(
        self, tenant: str, expected: int, encode: Encode, *, learned_seq: int, evidence: dict[str, Any], keep: int
    ) -> Snapshot | None:
        """Let what was learned serve in place of `expected`; None, and nothing changed, where that serves no more or must not move."""
        ...
