"""Approvals: a person other than the proposer lets a change pass an edge, once, in time. Every refusal is told to the audit too.

That nobody approves what they proposed is held here whatever the policies say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

from meliora.errors import Forbidden, MelioraError, NotFound
from meliora.loop.audit.entry import AuditEntry, AuditNote, word
from meliora.loop.policy.decide import Policies
from meliora.loop.policy.request import Request

Verdict = Literal["approved", "rejected"]
Standing = Literal["asked", "approved", "rejected", "expired"]


class ApprovalWish(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: that a change may pass an edge, until a time."""

    change: str
    edge: str
    """The action at the edge, e.g. `deliver`."""
    asked_by: str
    """The proposer, who cannot approve it."""
    asked_why: str
    expires_us: int


class Approval(ApprovalWish, frozen=True, kw_only=True):
    """A row of `approvals`."""

    id: str
    tenant: str
    state: Literal["asked", "approved", "rejected"]
    asked_us: int
    decided_by: str | None = None
    decided_us: int | None = None
    decided_why: str | None = None

    def standing(self, now_us: int) -> Standing:
        """Say how it stands: one that nobody decided in time has expired; a decision stays."""
        return "expired" if self.state == "asked" and now_us >= self.expires_us else self.state


class ApprovalShelf(Protocol):
    """Where approvals are kept."""

    def get(self, tenant: str, approval: str) -> Approval:
        """Give one. Raises `NotFound`."""
        ...

    def decide(
        self, tenant: str, approval: str, verdict: Verdict, by: str, why: str, body: Mapping[str, Any]
    ) -> Approval:
        """Decide it, if nobody has and it is in time, and tell the audit in the same transaction. Raises `Conflict`."""
        ...


class Record(Protocol):
    """Appends to the audit in a transaction of its own."""

    def record(self, note: AuditNote) -> AuditEntry:
        """Append."""
        ...


class Approvers:
    """Let people approve and reject."""

    def __init__(self, shelf: ApprovalShelf, policies: Policies, audit: Record) -> None:
        self._shelf = shelf
        self._policies = policies
        self._audit = audit

    def decide(self, approval: str, verdict: Verdict, why: str, asked: Request) -> Approval:
        """Approve or reject as the actor of `asked`, whose action is `approve` or `reject` and whose target is the change's.

        Raises `Forbidden` for who may not, the proposer among them, `Conflict` where it has expired or somebody decided before,
        `NotFound` where there is none; all but the last are told to the audit first.
        """
        tenant = asked.target.tenant
        found = self._shelf.get(tenant, approval)
        facts = msgspec.structs.replace(asked.facts, proposer=found.asked_by)
        asked = msgspec.structs.replace(asked, action="approve" if verdict == "approved" else "reject", facts=facts)
        try:
            return self._decide(found, verdict, why, asked)
        except NotFound:
            raise
        except MelioraError as error:
            body = {"approval": found.id, "edge": found.edge, "verdict": verdict, "code": error.code}
            self._audit.record(
                AuditNote(
                    tenant=tenant,
                    actor=word(asked.actor.name),
                    action="approval.refused",
                    subject=found.change,
                    body=body,
                )
            )
            raise

    def _decide(self, found: Approval, verdict: Verdict, why: str, asked: Request) -> Approval:
        if asked.actor.tenant != found.tenant:
            raise Forbidden(f"{asked.actor.name} belongs to another tenant.")
        if verdict == "approved" and found.asked_by in (asked.actor.key, asked.actor.name):
            raise Forbidden(
                f"{asked.actor.name} proposed {found.change}, and who proposes does not approve.",
                hint="Somebody else has to, with a key of their own.",
            )
        decision = self._policies.decide(asked)
        if not decision.allowed:
            raise Forbidden(decision.reason, hint="Ask somebody whose key has the scope `admin`.")
        body = self._policies.recorded(asked, decision)
        return self._shelf.decide(found.tenant, found.id, verdict, asked.actor.name, why, body)
