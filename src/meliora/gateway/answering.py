"""What one call is decided and answered by, whoever is shown the answer. Refuses to know who is."""

from __future__ import annotations

from meliora.gateway.arms import Basis
from meliora.gateway.attempt import Opened, Whole
from meliora.gateway.call import Call
from meliora.gateway.cascade import Rungs
from meliora.gateway.catalog import Endpoint, Entry
from meliora.gateway.escalation import escalated
from meliora.gateway.outgoing import Asked, Outgoing, outgoing
from meliora.gateway.snapshot import Snapshot
from meliora.gateway.tries import Means, Prepare, Tries
from meliora.routing.decide import Decision, Wanted, decide, relayed
from meliora.routing.escalation import Failures


def decided(call: Call, wanted: Wanted, snapshot: Snapshot, basis: Basis, failures: Failures, now: float) -> Decision:
    """Choose the model for a call by a basis, its failures and its tenant's choices in mind. Raises as `decide`."""
    decision = decide(wanted, snapshot.offers, basis.rules, snapshot.settings, basis.learned)
    if failures:
        decision = escalated(decision, call, wanted, snapshot, basis, failures, now)
    if basis.choices is not None and snapshot.settings.gateway.mode != "observe":
        decision = basis.choices.applied(decision, wanted, snapshot.offers)
    return decision


async def answered(
    call: Call, decision: Decision, snapshot: Snapshot, means: Means, stream: bool, *, quiet: bool = False
) -> Whole | Opened:
    """Give the first answer that can be used: one that a cascade's models agree on, or that of the chain. `quiet` as `Tries` has it.

    Raises `AttemptFailed` with the last failure, or a `MelioraError`.
    """
    prepare = _prepare(call)
    if decision.relay is not None:
        stood, agreed = await Rungs(call, snapshot, means, quiet=quiet).ask(decision.relay, prepare)
        call.decision = decision = relayed(decision, stood)
        if agreed is not None:
            return agreed
        call.strong_started = means.clock.monotonic()
    chain = (decision.model, *decision.chain)
    return await Tries(call, snapshot, chain, means, quiet=quiet).run(prepare, stream)


def _prepare(call: Call) -> Prepare:
    view = call.view
    assert view is not None and call.span is not None
    asked = Asked(
        call.inbound,
        call.dialect,
        call.body,
        view.model,
        view.stream,
        view.includes_usage,
        call.key.allow_loss,
        call.span,
        call.id,
        call.started_us,
    )

    def prepare(endpoint: Endpoint, entry: Entry) -> Outgoing:
        return outgoing(asked, endpoint, entry.max_output)

    return prepare
