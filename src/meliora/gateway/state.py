"""What the gateway learns from the store, as plain data: keys, rules and the deployment's secret.

The control process builds a `State` and numbers it; each gateway swaps it in whole and keeps the last one on disk, so
that it starts and serves when the store is away.
"""

from __future__ import annotations

from typing import Literal

import msgspec

STATE_FORMAT = 1
"""Version of this shape. A gateway refuses a newer one loudly and serves on with what it has."""

Scope = Literal["call", "feedback", "read", "admin"]
"""`call`: model calls. `feedback`: give feedback and record metrics. `read`: analytics and calls. `admin`: everything."""


class KeyHash(msgspec.Struct, frozen=True, omit_defaults=True):
    """SHA-256 (hex) of a secret that opens the key; a rotated one has an end."""

    sha256: str
    until_us: int | None = None


class KeyState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A virtual key as the request path needs it. `None` limits nothing."""

    id: str
    tenant: str
    hashes: tuple[KeyHash, ...]
    name: str = ""
    scopes: tuple[Scope, ...] = ("call", "feedback")
    models: tuple[str, ...] | None = None
    """Allowed models: names or globs (`gpt-5*`)."""
    regions: tuple[str, ...] | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
    budget_day_micros: int | None = None
    budget_month_micros: int | None = None
    allow_loss: bool = False
    """Fields without counterpart in the upstream's dialect are dropped instead of refused."""
    explore: bool = True
    """Calls of this key may be used to explore."""
    quality_floor: float | None = None
    """Share of the reference model's quality to hold (0 < floor <= 1), in place of the settings'."""
    willingness_to_pay: float | None = None
    """US dollars paid for one more point of quality 1.0 in an answer, in place of the settings'."""
    expires_us: int | None = None
    feature: str | None = None
    """Default feature of its calls, for cost per feature."""
    agent: bool = False
    """It is a program's that acts by itself: its changes wait for people, and it approves none."""


class RuleState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A routing rule as the request path needs it (table `routing_rules`, settings `[[rules]]`)."""

    id: str
    tenant: str
    pattern: str
    preferred_layer: str | None = None
    preferred_model: str | None = None
    priority: int = 0
    applies_to: Literal["auto", "all"] = "auto"


class PolicyRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which version of something serves a tenant; its bytes are fetched apart (`GET /internal/policies/{tenant}/{number}`)."""

    number: int
    sha256: str
    """Hex, of the snapshot's bytes as they are sent: what does not match is refused."""


class ChoiceState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A delivered choice of a model: what answers in place of `model`, or by which of its endpoints."""

    id: str
    tenant: str
    model: str
    """The name that was asked for, or that routing came to."""
    serve: str | None = None
    """The model that answers instead; None: the same."""
    endpoints: tuple[str, ...] | None = None
    """Endpoints (`PROVIDER/MODEL`) of the model that answers, the preferred first; those left out come last. None: by weight."""
    task: str | None = None
    """Only for calls of this task; None: for all."""


class SearchRef(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which snapshot of a collection's search answers."""

    collection: str
    snapshot: int


class Overlay(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one arm of a trial does differently from what serves everybody else."""

    policy: PolicyRef | None = None
    """The routing snapshot that it is served by; None: the same, unless `no_policy`."""
    no_policy: bool = False
    rules: tuple[RuleState, ...] = ()
    """In addition. One that has the id of another stands in its place."""
    without_rules: tuple[str, ...] = ()
    """Ids."""
    choices: tuple[ChoiceState, ...] = ()
    """In addition. One that has the id of another stands in its place."""
    without_choices: tuple[str, ...] = ()
    """Ids."""
    search: SearchRef | None = None
    """On the surface `search`: the gateway reads none."""


Phase = Literal["shadow", "trial", "watch"]
"""`shadow`: the overlay's answers are recorded and never shown. `trial`: the overlay makes the candidate's arm. `watch`: the
candidate serves, and the overlay keeps a holdback on the baseline."""
ArmName = Literal["candidate", "baseline"]
Unit = Literal["user", "session", "key"]
SHADOW_KEY = "shadow"
"""Stands for a key where shadow calls are charged: no secret opens it."""
SHADOW_FEATURE = "loop"
"""Feature that shadow calls are accounted under."""
GATEWAY = "gateway"
"""The surface on which the gateway splits traffic."""


class TrialState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whose calls are split into two arms now, and how. One at most for a tenant and surface."""

    change: str
    tenant: str
    phase: Phase
    salt: str
    """Makes the split another one than that of any other trial."""
    stage: int
    share: float
    """Of units that get the overlay, 0..1. While it only grows, who has the overlay keeps it."""
    overlay: Overlay
    unit: Unit = "user"
    surface: str = GATEWAY

    @property
    def arms(self) -> tuple[ArmName, ArmName]:
        """Name the arm with the overlay, then the other."""
        return ("baseline", "candidate") if self.phase == "watch" else ("candidate", "baseline")


LEASE_SECONDS = 60.0


class State(msgspec.Struct, frozen=True, omit_defaults=True):
    """One numbered version of all of it."""

    version: int
    made_us: int
    secret: str
    """Hex; keys the hashes of prompts and proves that an id was made by this deployment."""
    keys: tuple[KeyState, ...] = ()
    rules: tuple[RuleState, ...] = ()
    gateways: int = 1
    """Gateways that reported in the last minute."""
    policies: dict[str, PolicyRef] = {}
    """By tenant; a tenant that is missing is served without a learned policy."""
    preferences: dict[str, PolicyRef] = {}
    """By tenant: the table of what its users like (`GET /internal/preferences/{tenant}/{number}`)."""
    trials: tuple[TrialState, ...] = ()
    choices: tuple[ChoiceState, ...] = ()
    """Of all tenants, in the order in which they were made: of two for the same calls the later one counts."""
    halted: bool = False
    """The kill switch: all traffic to the baselines, nothing explored."""
    kill_epoch: int = 0
    """Grows with each turn of the kill switch; a gateway says which one it serves by."""
    erased_us: int = 0
    """When somebody was erased last: a gateway then closes the segment of its spool, so that it is taken in and goes."""
    lease_seconds: float = LEASE_SECONDS
    """A gateway that hears nothing for longer serves the baselines."""
    format: int = STATE_FORMAT

    def trial_of(self, tenant: str) -> TrialState | None:
        """Give the trial that splits the tenant's calls in the gateway."""
        return next((one for one in self.trials if one.tenant == tenant and one.surface == GATEWAY), None)


class LeaseWish(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a gateway spent of a key's budget since its last report, and how much more it asks for."""

    key_id: str
    period: str
    """`day:2026-11-21` or `month:2026-11` (UTC)."""
    spent_micros: int
    want_micros: int
    total_micros: int | None = None
    """All that it spent in the period since it started: makes a report that is repeated harmless."""
    held_micros: int | None = None
    """What it holds by its own account after that spending: corrects a grant that never arrived."""


class LeaseGrant(msgspec.Struct, frozen=True, omit_defaults=True):
    """What it may spend from now on; 0 with `exhausted` when the budget is used up.

    `granted_micros` is added to what the gateway still holds of earlier grants; every wish gets an answer.
    """

    key_id: str
    period: str
    granted_micros: int
    exhausted: bool = False
    spent_micros: int | None = None
    """What all gateways have spent in the period, this report included, as far as the store knows."""
