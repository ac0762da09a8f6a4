"""An edge as the audit has it: ids, and the hash of the evidence that is kept with the edge."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from meliora.loop.audit.entry import AuditNote, word
from meliora.loop.change import Change, Edge


def evidence_hash(evidence: dict[str, Any]) -> str:
    """Give SHA-256 over evidence in its one form, hex."""
    return sha256(msgspec.json.encode(evidence, order="sorted")).hexdigest()


def noted(change: Change, edge: Edge) -> AuditNote:
    """Give the audit's note of an edge, with the policies' decision that let it pass: enough to take that again."""
    decision = edge.evidence.get("decision")
    return AuditNote(
        tenant=change.tenant,
        actor=word(edge.actor),
        action=f"change.{edge.target}",
        subject=change.id,
        body={
            "kind": word(change.kind),
            "target": word(change.target),
            "source": str(edge.source),
            "seq": edge.seq,
            "attempt": edge.attempt,
            "baseline": None if change.baseline is None else word(change.baseline),
            "candidate": None if change.candidate is None else word(change.candidate),
            "evidence_sha256": evidence_hash(edge.evidence),
            "policy": None if edge.policy is None else word(edge.policy),
            **(decision if isinstance(decision, dict) else {}),
        },
    )
