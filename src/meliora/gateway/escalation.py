"""A conversation whose calls keep failing goes a tier up. Kept in this process's memory: it is lost with it, and rebuilt by failing."""

from __future__ import annotations

import msgspec

from meliora.gateway.arms import Basis
from meliora.gateway.call import Call
from meliora.gateway.snapshot import Snapshot
from meliora.routing.decide import Decision, Wanted, decide
from meliora.routing.escalation import Failures, is_failure, raised
from meliora.telemetry.records import CallFinished

_OURS = ("classifier", "default", "policy")
"""What decides where the tier is left to Meliora, and no rule says otherwise."""


def escalated(
    decision: Decision, call: Call, wanted: Wanted, snapshot: Snapshot, basis: Basis, failures: Failures, now: float
) -> Decision:
    """Give the decision of a higher tier where the conversation failed too often, else the one that stands."""
    settings = snapshot.settings.routing.escalation
    if decision.tier is None or decision.reason.partition(":")[0] not in _OURS:
        return decision
    tier = raised(decision.tier, failures.count(call.key.tenant, _conversation(call), now, settings), settings)
    if tier is None:
        return decision
    higher = msgspec.structs.replace(wanted, model=f"auto:{tier}")
    made = decide(higher, snapshot.offers, basis.rules, snapshot.settings, basis.learned)
    return msgspec.structs.replace(made, reason=f"escalated:{made.reason.removeprefix('tier:')}")


def note_end(record: CallFinished, call: Call, snapshot: Snapshot, failures: Failures, now: float) -> None:
    """Remember a call that failed."""
    if call.view is not None and is_failure(record.outcome, record.status):
        failures.note(call.key.tenant, _conversation(call), now, snapshot.settings.routing.escalation)


def _conversation(call: Call) -> str:
    """Name the conversation: the session that the application sends, or else the prompt itself."""
    assert call.view is not None
    return call.labels.session or f"prompt:{hash(call.view.prompt_text)}"
