"""How a decision's trace reads once the call has ended: what failed could not have been served."""

from __future__ import annotations

import msgspec

from meliora.telemetry.records import RoutingTrace


def after_failures(trace: RoutingTrace | None, answered: str | None) -> RoutingTrace | None:
    """Move the probability of the model that was chosen to the one that took over from it.

    While the first is failing, a call that chooses it ends where its chain leads, and so does one that chooses the second.
    """
    if trace is None or answered is None or answered == trace.chosen or trace.decided_by != "policy":
        return trace
    lost = sum(one.served for one in trace.candidates if one.model == trace.chosen)
    if not lost or all(one.model != answered for one in trace.candidates):
        return trace
    moved = {trace.chosen: 0.0}
    candidates = tuple(
        msgspec.structs.replace(one, served=moved.get(one.model, one.served + (lost if one.model == answered else 0.0)))
        for one in trace.candidates
    )
    return msgspec.structs.replace(trace, candidates=candidates)
