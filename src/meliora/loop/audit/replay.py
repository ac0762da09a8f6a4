"""Takes decisions again from what was recorded of them, and compares. A decision is replayed only by a function that reads its evidence.

An entry of the audit whose body has `decision` (a name), `evidence` and `outcome` can be replayed where a function of that name
is registered: it must come to the same outcome from the evidence alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from meliora.errors import Conflict, MelioraError
from meliora.loop.audit.entry import AuditEntry, canonical

Decide = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Evidence to outcome, without a look at anything else."""


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that was taken again."""

    seq: int
    at_us: int
    action: str
    decision: str
    result: Literal["same", "differs", "unknown", "failed"]
    """`unknown`: nobody can take this decision again. `failed`: what it rested on is not there any more."""
    recorded: dict[str, Any]
    again: dict[str, Any] = {}
    why: str = ""


@dataclass(slots=True)
class Replays:
    """The decisions that can be taken again, by name."""

    _known: dict[str, Decide] = field(default_factory=dict)

    def register(self, name: str, decide: Decide) -> None:
        """Make a decision replayable. Raises `Conflict` where the name is taken."""
        if name in self._known:
            raise Conflict(f"The decision {name!r} is registered already.")
        self._known[name] = decide

    def replay(self, entries: Iterable[AuditEntry]) -> tuple[Replayed, ...]:
        """Take every decision in these entries again, in their order; entries without one are left out."""
        return tuple(self._one(entry) for entry in entries if "decision" in entry.body)

    def _one(self, entry: AuditEntry) -> Replayed:
        name, evidence, recorded = entry.body["decision"], entry.body.get("evidence", {}), entry.body.get("outcome", {})
        known = Replayed(
            seq=entry.seq,
            at_us=entry.at_us,
            action=entry.action,
            decision=name,
            result="unknown",
            recorded=recorded,
            why=f"Nothing here takes decisions of the name {name!r}.",
        )
        decide = self._known.get(name)
        if decide is None:
            return known
        try:
            again = dict(decide(evidence))
            same = canonical(again) == canonical(recorded)
        except (MelioraError, LookupError, TypeError, ValueError) as error:
            return msgspec.structs.replace(known, result="failed", why=str(error))
        return msgspec.structs.replace(known, result="same" if same else "differs", again=again, why="")


def decided(name: str, evidence: Mapping[str, Any], outcome: Mapping[str, Any]) -> dict[str, Any]:
    """Give the body of an entry that can be replayed."""
    return {"decision": name, "evidence": dict(evidence), "outcome": dict(outcome)}
