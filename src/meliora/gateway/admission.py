"""Whether a call may begin now: room in the house, the key's rates, the key's budget. What was taken is settled at its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from meliora.clock import Clock
from meliora.errors import BudgetExhausted
from meliora.gateway.budgets import BudgetLedger, Reservation
from meliora.gateway.call import Call
from meliora.gateway.estimates import expected
from meliora.gateway.limits import Admission as Admitted
from meliora.gateway.limits import Limiter
from meliora.gateway.prices import cost_micros
from meliora.gateway.snapshot import Snapshot
from meliora.routing.decide import Decision
from meliora.telemetry.records import CallFinished, Usage


class Ticket(msgspec.Struct):
    """What a call holds while it runs."""

    admitted: Admitted
    reservation: Reservation | None
    settled: bool = False


class Admission:
    """Let calls in, and take back what they did not use."""

    def __init__(
        self, clock: Clock, limiter: Limiter, ledger: BudgetLedger, lease: Callable[[], Awaitable[bool]]
    ) -> None:
        self._clock = clock
        self.limiter = limiter
        self.ledger = ledger
        self._lease = lease

    @property
    def in_flight(self) -> int:
        """Calls that are let in and have not ended."""
        return self.limiter.flying

    async def enter(self, call: Call, decision: Decision, snapshot: Snapshot) -> Ticket:
        """Let a call in. Raises `Overloaded`, `RateLimited` or `BudgetExhausted`."""
        view = call.view
        assert view is not None
        estimate = expected(view)
        asked = asked_models(decision, snapshot)
        tokens = ((estimate.input or 0) + (estimate.output or 0)) * len(asked)
        admitted = self.limiter.admit(call.key, tokens, self._clock.monotonic())
        if call.key.budget_day_micros is None and call.key.budget_month_micros is None:
            return Ticket(admitted, None)
        try:
            reservation = await self._reserve(call, asked, snapshot, estimate)
        except BaseException:
            self.limiter.settle(admitted, 0)
            raise
        return Ticket(admitted, reservation)

    def settle(self, ticket: Ticket, record: CallFinished) -> None:
        """Charge what the call really took: nothing where nobody was asked or all refused, the estimate where the usage is unknown."""
        if ticket.settled:
            return
        ticket.settled = True
        usage = record.usage
        unknown = any(leg.cost_micros is None for leg in record.legs)
        billed = record.outcome == "ok" or usage is not None or unknown
        known = usage is not None and usage.input is not None and usage.output is not None
        tokens = (usage.input or 0) + (usage.output or 0) if usage is not None and known else None
        self.limiter.settle(ticket.admitted, tokens if billed else 0)
        if ticket.reservation is not None:
            self.ledger.settle(ticket.reservation, record.cost_micros if billed else 0)

    def leave(self, ticket: Ticket) -> None:
        """End a call that came to no record."""
        if not ticket.settled:
            ticket.settled = True
            self.limiter.settle(ticket.admitted, 0)
            if ticket.reservation is not None:
                self.ledger.settle(ticket.reservation, 0)

    async def _reserve(self, call: Call, models: tuple[str, ...], snapshot: Snapshot, estimate: Usage) -> Reservation:
        key = call.key
        amount = sum(_dearest(model, snapshot, estimate) for model in models)
        try:
            return self.ledger.reserve(key, amount, self._clock.now_us())
        except BudgetExhausted as error:
            if error.retry_after is None:
                raise
            await self._lease()  # also where nothing came of it: another call's asking may have brought some
            return self.ledger.reserve(key, amount, self._clock.now_us())


def asked_models(decision: Decision, snapshot: Snapshot) -> tuple[str, ...]:
    """Give the models that a call may have to pay."""
    relay, cascade = decision.relay, snapshot.settings.routing.cascade
    if relay is None:
        return (decision.model,)
    compared = (cascade.embedding_model,) if cascade.agreement == "embedding" else ()
    return (*relay.models, *compared)


def _dearest(model: str, snapshot: Snapshot, estimate: Usage) -> int:
    """Give the micro-dollars of a call at the model's dearest endpoint; 0 where no price is known."""
    entry = snapshot.catalog.find(model)
    costs = [cost_micros(estimate, endpoint.rates) for endpoint in entry.endpoints] if entry is not None else []
    return max((cost for cost in costs if cost is not None), default=0)
