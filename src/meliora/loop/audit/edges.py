"""The decisions that stand in the evidence of edges: held against the hash that the audit has, and made ready to be taken again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from meliora.loop.audit.entry import AuditEntry
from meliora.loop.audit.replay import decided
from meliora.loop.change import Edge
from meliora.loop.record import evidence_hash

JUDGED = {"trial": "trial", "check": "watch"}
"""Where an edge's evidence has a verdict, and the name that it is taken again by."""


class Retold(msgspec.Struct, frozen=True):
    """Entries with the verdicts of edges, and what is wrong with the evidence."""

    entries: tuple[AuditEntry, ...]
    altered: tuple[int, ...]
    """Numbers of the edges whose evidence is not what the audit has the hash of, that the audit does not know, or that are gone."""


def retold(edges: Sequence[Edge], entries: Iterable[AuditEntry]) -> Retold:
    """Give the verdicts in the evidence of a change's edges as entries that can be replayed."""
    known = {entry.body["seq"]: entry for entry in entries if "evidence_sha256" in entry.body}
    found, altered = [], []
    for edge in edges:
        entry = known.get(edge.seq)
        if entry is None or entry.body["evidence_sha256"] != evidence_hash(edge.evidence):
            altered.append(edge.seq)
            continue
        for place, name in JUDGED.items():
            said = edge.evidence.get(place)
            if isinstance(said, dict) and "verdict" in said:
                body = decided(name, said, {"outcome": said["outcome"]})
                found.append(msgspec.structs.replace(entry, body=body))
    gone = known.keys() - {edge.seq for edge in edges}
    return Retold(tuple(found), tuple(sorted({*altered, *gone})))


def has_edges(entries: Iterable[AuditEntry]) -> bool:
    """Tell whether entries are of edges that a change took."""
    return any("evidence_sha256" in entry.body for entry in entries)


def verdict_again(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Take the verdict of a trial again."""
    from meliora.loop.judge import again

    return {"outcome": again(evidence)[0]}


def watch_again(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Take the verdict of a watch's check again."""
    from meliora.loop.judge import again

    return {"outcome": "fail" if again(evidence)[0] == "worse" else "pass"}
