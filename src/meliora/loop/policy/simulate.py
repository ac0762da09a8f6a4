"""Holds policies against decisions of the past: which would differ, and whether one comes out the same again. Decides nothing new."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from meliora.errors import NotFound
from meliora.loop.audit.entry import AuditEntry
from meliora.loop.policy.bundle import read_bundle
from meliora.loop.policy.decide import DECISION, Decision, Policies


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A decision of the past that these policies would take otherwise."""

    seq: int
    at_us: int
    tenant: str
    subject: str
    action: str
    was: dict[str, Any]
    now: Decision

    @property
    def turned(self) -> bool:
        """Whether allowed became denied or the other way round; else only the deciding policies differ."""
        return self.was.get("allowed") != self.now.allowed or self.was.get("needs") != self.now.needs


class Simulated(msgspec.Struct, frozen=True):
    """How many decisions were looked at, and those that differ."""

    decisions: int
    differences: tuple[Difference, ...]


def simulate(entries: Iterable[AuditEntry], policies: Policies) -> Simulated:
    """Take all policy decisions in these entries by other policies."""
    count = 0
    found = []
    for entry in entries:
        if entry.body.get("decision") != DECISION:
            continue
        count += 1
        plain = entry.body["evidence"]["request"]
        now, was = policies.decide_plain(plain), entry.body["outcome"]
        if now.outcome() != was:
            found.append(
                Difference(
                    seq=entry.seq,
                    at_us=entry.at_us,
                    tenant=entry.tenant,
                    subject=entry.subject,
                    action=plain["action"],
                    was=was,
                    now=now,
                )
            )
    return Simulated(count, tuple(found))


def again(text_of: Callable[[str], str | None]) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """Give what takes a recorded policy decision again, by the very policies that took it; `text_of` finds them by hash."""
    known: dict[str, Policies] = {}

    def decide(evidence: Mapping[str, Any]) -> Mapping[str, Any]:
        name = evidence["bundle"]
        policies = known.get(name)
        if policies is None:
            text = text_of(name)
            if text is None:
                raise NotFound(f"The policies {name[:12]} that decided are not kept here.")
            policies = known[name] = Policies(read_bundle(text))
            if policies.sha256 != name:
                raise NotFound(f"The policies kept as {name[:12]} were altered: they hash to {policies.sha256[:12]}.")
        return policies.decide_plain(evidence["request"]).outcome()

    return decide
