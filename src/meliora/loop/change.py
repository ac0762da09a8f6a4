"""The record of a change: who proposed what for which target, where it stands, and the evidence of each edge it took.

A change holds references (a snapshot's number, a rule's id, a commit), never content.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from meliora.loop.states import State

Environment = Literal["dev", "staging", "production"]
OriginKind = Literal["gate", "schedule", "person", "agent"]


class Origin(msgspec.Struct, frozen=True):
    """Who brought a change up: the gate's or schedule's name, or the actor (`key_...`, `cli`, an agent's key)."""

    kind: OriginKind
    name: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `changes`. The row is the truth; times are microseconds UTC by the database's clock."""

    id: str
    tenant: str
    kind: str
    target: str
    """What it changes, e.g. `routing`, `rule:\\bsql\\b`, `model:gpt-5-mini`."""
    surface: str
    """Where its effect is felt, e.g. `gateway`: changes that are tried or watched on one surface of a tenant exclude each other."""
    environment: Environment
    origin: Origin
    state: State
    summary: str = ""
    payload: dict[str, Any] = {}
    """The candidate by reference, in the kind's own words."""
    baseline: str | None = None
    """The frozen version that the candidate is compared with, and that a rollback restores. None: nothing was there."""
    candidate: str | None = None
    """The version that it puts in service."""
    paused_from: State | None = None
    reason: str | None = None
    """Why it was paused, rejected or rolled back, in a sentence."""
    cycle: str | None = None
    finding: str | None = None
    progress: dict[str, Any] = {}
    """What the present state has come to: the trial's stage, checks passed and failed, a kind's checkpoint."""
    attempt: int = 0
    """Number of the last job that took it up: a write with another one is refused."""
    due_us: int | None = None
    """When there is something to do; None: it waits for a person, or has ended."""
    lease_owner: str | None = None
    lease_until_us: int | None = None
    created_us: int = 0
    updated_us: int = 0


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `change_edges`: an edge that was taken, by whom, on what evidence, and which policy let it pass."""

    change: str
    seq: int
    source: State
    target: State
    at_us: int
    actor: str
    attempt: int
    evidence: dict[str, Any] = {}
    policy: str | None = None
