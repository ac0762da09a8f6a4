"""The attempts of one call: which endpoint next, whether to wait, when to give up.

A failure moves on to the next endpoint of the model, then to the models it falls back to. Only where nothing else is left is
the same endpoint tried again. Exhausted quota is never tried again at the same provider.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from meliora.clock import Clock
from meliora.errors import MelioraError, NoEndpoint
from meliora.gateway.attempt import AttemptFailed, Opened, Whole, attempt
from meliora.gateway.balance import choose, first
from meliora.gateway.call import Call
from meliora.gateway.catalog import Endpoint, Entry
from meliora.gateway.dialects.errors import Fault
from meliora.gateway.metrics import Metrics
from meliora.gateway.outgoing import Outgoing
from meliora.gateway.retry import RetryBudget, backoff
from meliora.gateway.snapshot import Snapshot
from meliora.telemetry.records import Attempt

Prepare = Callable[[Endpoint, Entry], Outgoing]
"""Build the request for an endpoint; raises `UntranslatableField` or `NoEndpoint` where it cannot go there."""


@dataclass(frozen=True, slots=True)
class Means:
    """What all calls share when they try."""

    clock: Clock
    random: random.Random
    budget: RetryBudget
    metrics: Metrics


class Tries:
    """Make the attempts of one call."""

    def __init__(
        self,
        call: Call,
        snapshot: Snapshot,
        chain: tuple[str, ...],
        means: Means,
        attempts: int | None = None,
        *,
        quiet: bool = False,
    ) -> None:
        """Walk down `chain`; `attempts` stands in for the settings' number.

        `quiet` leaves no trace at the endpoints: their breakers neither hear of it nor let it probe, so other calls go as they would.
        """
        self._quiet = quiet
        self._call = call
        self._catalog = snapshot.catalog
        self._settings = snapshot.settings.gateway
        self._means = means
        self._chain = chain
        self._attempts = attempts or self._settings.retry.attempts
        self._failed: set[str] = set()
        self._barred: set[str] = set()
        """Providers whose quota is exhausted."""
        self._last: AttemptFailed | None = None
        self._unfit: MelioraError | None = None
        self._at = 0

    async def run(self, prepare: Prepare, stream: bool) -> Whole | Opened:
        """Give the first answer that can go to the client. Raises `AttemptFailed` with the last failure, or a `MelioraError`."""
        limit = self._settings.limits.response_bytes
        now = self._means.clock.monotonic()
        self._means.budget.call(now)
        for number in range(self._attempts):
            if number:
                now = self._means.clock.monotonic()
            found = self._next(prepare, now) if number == 0 or self._means.budget.allow(now) else None
            if found is None:
                break
            entry, endpoint, prepared = found
            if self._failed and endpoint.id in self._failed and not await self._wait(number, endpoint):
                break
            self._call.entry, self._call.endpoint = entry, endpoint
            try:
                answer = await self._once(endpoint, prepared, stream, limit)
            except AttemptFailed as failed:
                self._last = failed
                if not self._elsewhere(failed.fault):
                    raise
                self._note(endpoint, failed.fault)
                continue
            self._call.loss = prepared.loss
            return answer
        raise self._conclusion()

    async def _once(self, endpoint: Endpoint, prepared: Outgoing, stream: bool, limit: int) -> Whole | Opened:
        clock = self._means.clock
        began, began_us = clock.monotonic(), clock.now_us()
        status: int | None = None
        error: str | None = "cancelled"
        report = endpoint.breaker.cancelled
        try:
            answer = await attempt(endpoint, prepared, stream, limit)
            status, error = answer.status if isinstance(answer, Whole) else 200, None
            report = endpoint.breaker.success
            return answer
        except AttemptFailed as failed:
            status, error = failed.status, failed.fault.code or failed.fault.type
            at_fault = failed.fault.retryable or (failed.status or 500) >= 500
            report = endpoint.breaker.failure if at_fault else endpoint.breaker.success
            raise
        finally:
            now = clock.monotonic()
            if not self._quiet:
                report(now)
            self._call.upstream_seconds += now - began
            ended_us = began_us + int((now - began) * 1e6)
            self._call.attempts.append(Attempt(endpoint.id, endpoint.model, began_us, ended_us, status, error))
            self._means.metrics.tally.attempt(endpoint.id, error or "ok")

    def _next(self, prepare: Prepare, now: float) -> tuple[Entry, Endpoint, Outgoing] | None:
        """Give the next endpoint that the call can be sent to, walking down the chain; at its end, the same ones again."""
        for again in (False, True):
            for name in self._chain:
                entry = self._catalog.find(name)
                left = [e for e in entry.endpoints if self._usable(e, again, now)] if entry is not None else []
                preferred = self._preferred(name)
                while entry is not None and left:
                    endpoint = first(left, preferred, now) if preferred else None
                    if endpoint is None:
                        endpoint = choose(left, self._means.random.random(), now)
                    if endpoint is None:
                        break
                    try:
                        return entry, endpoint, prepare(endpoint, entry)
                    except MelioraError as error:
                        endpoint.breaker.cancelled(now)  # being chosen may have taken the place of its probe
                        self._unfit = self._unfit or error
                        self._barred.add(endpoint.id)
                        left.remove(endpoint)
        return None

    def _preferred(self, model: str) -> tuple[str, ...] | None:
        """Give the endpoints of a model that a delivered choice prefers for this call, in their order."""
        basis = self._call.basis
        if basis is None or basis.choices is None:
            return None
        return basis.choices.endpoints(model, self._call.decision)

    def _usable(self, endpoint: Endpoint, again: bool, now: float) -> bool:
        if self._quiet and endpoint.breaker.state(now) != "closed":
            return False
        if endpoint.account.name in self._barred or endpoint.id in self._barred:
            return False
        regions = self._call.key.regions
        if regions is not None and endpoint.region not in regions:
            return False
        return again or endpoint.id not in self._failed

    def _elsewhere(self, fault: Fault) -> bool:
        """Whether another endpoint, or another time, could do better."""
        return fault.retryable or fault.quota or fault.status in (401, 403, 404)

    def _note(self, endpoint: Endpoint, fault: Fault) -> None:
        self._failed.add(endpoint.id)
        if fault.quota or fault.status in (401, 403):
            self._barred.add(endpoint.account.name)
        elif fault.status == 404:
            self._barred.add(endpoint.id)

    async def _wait(self, number: int, endpoint: Endpoint) -> bool:
        """Wait before the same endpoint is tried again; False where it asks for more patience than is configured."""
        retry, ready = self._settings.retry, False
        asked = self._last.fault.retry_after if self._last is not None else None
        try:
            if asked is None or asked <= retry.retry_after_max:
                await asyncio.sleep(backoff(number, asked, self._means.random.random(), retry))
                ready = True
        finally:
            if not ready and not self._quiet:
                endpoint.breaker.cancelled(self._means.clock.monotonic())
        return ready

    def _conclusion(self) -> Exception:
        if self._last is not None:
            return self._last
        if self._unfit is not None:
            return self._unfit
        return NoEndpoint(
            f"No endpoint of {', '.join(self._chain)} can be called now.",
            hint="Look at the breakers: GET /api/v1/breakers.",
            retry_after=self._settings.breaker.open_seconds,
        )
