"""Who may take an edge now: the policies, the caps, the approvals and the kill switch, put together for the engine.

Gives `Decision`s and takes no edge. A denial is told to the audit when it is new; a permission goes there with the edge it lets pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from meliora.errors import InvalidRequest
from meliora.loop.approvals import Approval, ApprovalWish, Record, Standing
from meliora.loop.audit.entry import AuditNote, word
from meliora.loop.caps import Capped, Caps, Counts, capped
from meliora.loop.change import Change, Environment
from meliora.loop.control import Switch
from meliora.loop.policy.decide import Decision, Policies
from meliora.loop.policy.request import LOOP, RESTORING, Action, Facts, Request, Target


class Asking(Protocol):
    """Where approvals are asked for."""

    def request(self, tenant: str, wish: ApprovalWish) -> Approval:
        """Ask; once while one is open."""
        ...

    def latest(self, tenant: str, change: str, edge: str) -> Approval | None:
        """Give the last request for an edge."""
        ...


class Running(Protocol):
    """Knows whether the loop may begin anything."""

    def running(self) -> bool:
        """Tell."""
        ...


@dataclass(frozen=True, slots=True)
class Settled:
    """What the settings say of the loop."""

    environment: Environment
    auto_promote: bool = True
    protected: frozenset[str] = frozenset()
    caps: Caps = field(default_factory=Caps)
    approval_seconds: float = 7 * 86_400.0
    """How long a request for an approval stays open."""


@dataclass(frozen=True, slots=True)
class Offices:
    """Who is asked."""

    policies: Policies
    approvals: Asking
    switch: Switch
    control: Running
    audit: Record
    counts: Callable[[Change], Counts]
    """What was done today, and at the change's target."""
    now_us: Callable[[], int]


@dataclass(slots=True)
class Governed:
    """Implements what the engine asks of governance."""

    offices: Offices
    settled: Settled
    _told: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def ask(self, action: Action, change: Change, facts: Mapping[str, Any]) -> Decision:
        """Decide on an edge with these facts (fields of `Facts`, and `touches` and `destructive` of the target).

        Caps come first to say when they end, and hold nobody who acts in person; policies decide.
        Raises `InvalidRequest` for a fact that no policy knows.
        """
        free = action in RESTORING or change.origin.kind == "person"
        limit = None if free else capped(self.settled.caps, self.offices.counts(change), action)
        request = self.request_for(action, change, facts, limit)
        decision = self.offices.policies.decide(request)
        if limit is not None and not decision.allowed:
            decision = msgspec.structs.replace(
                decision, until_seconds=limit.seconds, reason=f"{decision.reason} {limit.sentence}"
            )
        self._tell(request, change, decision)
        return msgspec.structs.replace(decision, record=self.offices.policies.recorded(request, decision))

    def request_for(
        self, action: Action, change: Change, facts: Mapping[str, Any], limit: Capped | None = None
    ) -> Request:
        """Put the question to the policies together; with `Policies.recorded` it goes into the edge's audit entry."""
        strangers = facts.keys() - set(Facts.__struct_fields__) - {"touches", "destructive"}
        if strangers:
            raise InvalidRequest(f"No policy knows the fact {sorted(strangers)[0]!r}.", field="facts")
        given = {name: value for name, value in facts.items() if name not in ("touches", "destructive")}
        counts = self.offices.counts(change)
        approval = self.offices.approvals.latest(change.tenant, change.id, action)
        approved = approval is not None and approval.state == "approved"
        known: dict[str, Any] = {
            "environment": self.settled.environment,
            "proposer": change.origin.name,
            "proposer_kind": change.origin.kind,
            "auto_promote": self.settled.auto_promote,
            "approved": approved,
            "approver": (approval.decided_by or "") if approval is not None and approved else "",
            "halted": self.offices.switch.halted(),
            "running": self.offices.control.running(),
            "within_caps": limit is None,
            "changes_today": counts.changes,
            "cycles_today": counts.cycles,
            "spent_micros": counts.spent_micros,
        }
        target = Target(
            id=change.target,
            kind=change.kind,
            surface=change.surface,
            tenant=change.tenant,
            protected=change.target in self.settled.protected,
            destructive=bool(facts.get("destructive", False)),
            touches=tuple(facts.get("touches", ())),
        )
        return Request(actor=LOOP, action=action, target=target, facts=Facts(**{**given, **known}))

    def approval(self, change: Change, action: Action) -> Standing | Literal["none"]:
        """Give how the request for an approval stands: `none`, `asked`, `approved`, `rejected` or `expired`."""
        found = self.offices.approvals.latest(change.tenant, change.id, action)
        return "none" if found is None else found.standing(self.offices.now_us())

    def request(self, change: Change, action: Action, reason: str) -> None:
        """Ask people for an approval; once while one is open."""
        until = self.offices.now_us() + round(self.settled.approval_seconds * 1e6)
        wish = ApprovalWish(
            change=change.id, edge=action, asked_by=change.origin.name, asked_why=reason, expires_us=until
        )
        self.offices.approvals.request(change.tenant, wish)

    def halted(self) -> bool:
        """Tell whether the kill switch is on."""
        return self.offices.switch.halted()

    def running(self) -> bool:
        """Tell whether the loop may begin anything new."""
        return self.offices.control.running()

    def _tell(self, request: Request, change: Change, decision: Decision) -> None:
        key = (change.id, request.action)
        outcome = decision.outcome()
        if decision.allowed:
            self._told.pop(key, None)
            return
        if self._told.get(key) == outcome:
            return
        note = AuditNote(
            tenant=change.tenant,
            actor=LOOP.name,
            action="change.denied",
            subject=word(change.id),
            body=self.offices.policies.recorded(request, decision),
        )
        self.offices.audit.record(note)
        self._told[key] = outcome
        while len(self._told) > 10_000:
            del self._told[next(iter(self._told))]
