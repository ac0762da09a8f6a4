"""Who is asked at an edge: governance decides; where it wants a person, the person is asked once and waited for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from meliora.loop.change import Change
from meliora.loop.house import Action, Happened, House
from meliora.loop.steps.outcome import Wait


@dataclass(frozen=True, slots=True)
class Permit:
    """It may pass: the deciding policies, and what was asked and answered, for the evidence."""

    policy: str
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """It may not, and waiting does not help."""

    reason: str
    policy: str
    evidence: dict[str, Any]


def permit(house: House, action: Action, change: Change, facts: Mapping[str, Any]) -> Permit | Refusal | Wait:
    """Ask for an edge."""
    approval = house.governance.approval(change, action)
    decision = house.governance.ask(action, change, {**facts, "approved": approval == "approved"})
    policy = ",".join(decision.policies) or "none"
    evidence = {"decision": decision.record}
    if decision.allowed:
        return Permit(policy, evidence)
    if approval == "rejected":
        return Refusal("a person rejected it", policy, evidence)
    if decision.needs_approval:
        if approval != "asked":
            house.governance.request(change, action, decision.reason)
            house.tell(Happened(change=change, what="approval_needed", sentence=f"{action}: {decision.reason}"))
        return Wait(house.rules.wait_seconds, f"waits for an approval to {action.replace('_', ' ')}: {decision.reason}")
    if decision.until_seconds is not None:
        return Wait(decision.until_seconds, decision.reason)
    return Refusal(decision.reason or "no policy permits it", policy, evidence)
