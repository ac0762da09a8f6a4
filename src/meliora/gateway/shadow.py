"""A candidate in the shadow: what it would have answered, asked once the client has its answer, recorded and never shown.

Neither delays nor changes what is shown: it begins after the answer was handed to the connection, makes way when the gateway is
busy, and leaves no trace at breakers, limits, metrics or keys. What it may cost is leased like a key's budget.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import structlog

from meliora.errors import BudgetExhausted, MelioraError, UpstreamTimeout
from meliora.gateway.admission import Admission, asked_models
from meliora.gateway.answering import answered, decided
from meliora.gateway.arms import Arm, Basis, Halves
from meliora.gateway.attempt import AttemptFailed, Opened
from meliora.gateway.budgets import Reservation
from meliora.gateway.call import Call, Labels
from meliora.gateway.dialects.summary import Summary, summarise_body
from meliora.gateway.estimates import expected
from meliora.gateway.likeness import beside
from meliora.gateway.prices import cost_micros
from meliora.gateway.recorder import Recorder, Result
from meliora.gateway.snapshot import Snapshot
from meliora.gateway.state import SHADOW_FEATURE, SHADOW_KEY
from meliora.gateway.tracing import span_for
from meliora.gateway.tries import Means
from meliora.gateway.wishes import wanted_of
from meliora.routing.decide import Decision
from meliora.routing.escalation import Failures
from meliora.telemetry.ids import CallIds
from meliora.telemetry.records import CallFinished

log = structlog.get_logger(__name__)

OWN_FEATURES = frozenset(("loop", "routing", "crosscheck"))
"""Of Meliora's own calls, which have no shadow: a judge is not judged."""
_ROOM = 2
"""A gateway that is more than half full is busy."""


class Shadows:
    """The shadows of one gateway. `means` are its own: what ordinary calls count and retry is theirs."""

    def __init__(
        self,
        means: Means,
        recorder: Recorder,
        admission: Admission,
        ids: CallIds,
        randbytes: Callable[[int], bytes],
        failures: Failures,
    ) -> None:
        self.means = means
        self._recorder = recorder
        self._admission = admission
        self._ids = ids
        self._randbytes = randbytes
        self._failures = failures
        self._under_way: dict[asyncio.Task[None], str] = {}
        """To the change that each is of."""
        self._closed = False
        self.current: Callable[[], Snapshot | None] = lambda: None
        """Gives what the gateway serves by now."""
        self.draining: Callable[[], bool] = lambda: False
        self.left_out: dict[str, int] = {}
        """Why calls that would have had a shadow got none, and how often, since the start."""

    @property
    def under_way(self) -> int:
        """Shadows that are being asked."""
        return len(self._under_way)

    def follow(self, call: Call, shown: CallFinished, snapshot: Snapshot) -> None:
        """Ask the candidate about a call once its answer has left, where it is on trial in the shadow and may be asked."""
        halves = snapshot.trials.get(call.key.tenant)
        if halves is None or halves.state.phase != "shadow" or not _may(call, shown, snapshot):
            return
        arm = halves.shadowed(call.labels.user, call.labels.session, call.key.id)
        if arm is not None:
            # In the queue of answers that are to be sent, this one's stands before.
            self._recorder.answer(lambda: self._begin(call, shown, snapshot, halves, arm))

    def hold(self, snapshot: Snapshot) -> None:
        """Stop what may not go on by a snapshot: the switch is turned, the lease is over, or the trial is another one."""
        for task, change in tuple(self._under_way.items()):
            if not _goes_on(snapshot, change):
                task.cancel()

    async def close(self) -> None:
        """Stop all of them, recorded as such."""
        self._closed = True
        tasks = tuple(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, call: Call, shown: CallFinished, snapshot: Snapshot, halves: Halves, arm: Arm) -> None:
        now = self.current() or snapshot
        if self._closed or self.draining() or not _goes_on(now, arm.change):
            return self._leave_out("stopped")
        limiter = self._admission.limiter
        if limiter.flying * _ROOM > limiter.concurrent:
            return self._leave_out("busy")
        if len(self._under_way) >= snapshot.settings.loop.trial.shadowing.most:
            return self._leave_out("too many at once")
        task = asyncio.get_running_loop().create_task(self._run(call, shown, snapshot, halves, arm))
        self._under_way[task] = arm.change
        task.add_done_callback(self._ended)
        return None

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a shadow came to its end by a defect", exc_info=error)

    def _leave_out(self, why: str) -> None:
        self.left_out[why] = self.left_out.get(why, 0) + 1

    async def _run(self, call: Call, shown: CallFinished, snapshot: Snapshot, halves: Halves, arm: Arm) -> None:
        own = self._own(call, arm, halves.overlaid)
        try:
            decision = self._decide(call, snapshot, halves.overlaid)
        except MelioraError as error:
            refusal = Result("error", error.status, None, error.code, error.message)
            self._recorder.shadowed(own, shown, refusal, snapshot.settings)
            return
        own.decision = own.decided = decision
        if _same(call, decision, halves.overlaid):
            self._recorder.shadowed(own, shown, None, snapshot.settings)
            return
        reservation = self._reserve(own, decision, snapshot)
        if reservation is None:
            return
        record = None
        try:
            self._recorder.shadow_begun(own, shown)
            record = await self._ask(own, shown, decision, snapshot)
        finally:
            # What was cut off has an unknown cost: its estimate is charged.
            cost = None if record is None or record.usage is None else record.cost_micros
            refused = record is not None and record.outcome == "error" and record.usage is None
            self._admission.ledger.settle(reservation, 0 if refused else cost)

    def _own(self, call: Call, arm: Arm, basis: Basis) -> Call:
        """Give the shadow's own call, beside the one that was shown."""
        clock = self.means.clock
        own = beside(call)
        own.started_us, own.started = clock.now_us(), clock.monotonic()
        own.id = self._ids.new(own.started_us)
        own.key = msgspec.structs.replace(
            call.key, id=SHADOW_KEY, name=SHADOW_KEY, hashes=(), feature=None, budget_month_micros=None
        )
        of = call.labels
        own.labels = Labels(user=of.user, session=of.session, feature=SHADOW_FEATURE, kept=of.kept)
        own.span = span_for(None, self._randbytes)
        own.arm, own.basis = arm, basis
        own.decision = own.decided = own.wanted = None
        own.asked = own.ttft_us = None
        own.loss = ()
        own.strong_started = 0.0
        own.finished = own.cached = False
        own.gone = ""
        return own

    def _decide(self, call: Call, snapshot: Snapshot, basis: Basis) -> Decision:
        """Choose as the candidate would have for this call, with the same draw for exploration."""
        wanted = wanted_of(call, snapshot, basis, self._admission, self.means)
        drawn = call.wanted.uniform if call.wanted is not None else None
        if drawn is not None and wanted.uniform is not None:
            wanted = msgspec.structs.replace(wanted, uniform=drawn)
        return decided(call, wanted, snapshot, basis, self._failures, self.means.clock.monotonic())

    def _reserve(self, own: Call, decision: Decision, snapshot: Snapshot) -> Reservation | None:
        """Set aside what the call may cost; None where that is not known, or the day's money is gone."""
        estimate = self._estimate(own, decision, snapshot)
        if estimate is None:
            self._leave_out("no known price")
            return None
        limit = round(snapshot.settings.loop.trial.shadowing.budget_usd * 1e6)
        own.key = msgspec.structs.replace(own.key, budget_day_micros=limit)
        try:
            return self._admission.ledger.reserve(own.key, estimate, own.started_us, strictly=True)
        except BudgetExhausted:
            self._leave_out("no money")
            return None

    def _estimate(self, own: Call, decision: Decision, snapshot: Snapshot) -> int | None:
        assert own.view is not None
        usage = expected(own.view)
        total = 0
        for model in asked_models(decision, snapshot):
            entry = snapshot.catalog.find(model)
            costs = [cost_micros(usage, endpoint.rates) for endpoint in entry.endpoints] if entry is not None else []
            known = [cost for cost in costs if cost is not None]
            if not costs or len(known) < len(costs):
                return None
            total += max(known)
        return total

    async def _ask(self, own: Call, shown: CallFinished, decision: Decision, snapshot: Snapshot) -> CallFinished | None:
        """Ask, and record what came of it, also where it is stopped."""
        settings, result = snapshot.settings, _STOPPED
        try:
            async with asyncio.timeout(settings.loop.trial.shadowing.timeout):
                result = await self._answer(own, decision, snapshot)
        except TimeoutError:
            error = UpstreamTimeout("The candidate took longer than a shadow may.")
            result = Result("error", error.status, None, error.code, error.message)
        finally:
            record = self._recorder.shadowed(own, shown, result, settings)
        return record

    async def _answer(self, own: Call, decision: Decision, snapshot: Snapshot) -> Result:
        summary: Summary | None = None
        try:
            answer = await answered(own, decision, snapshot, self.means, False, quiet=True)
            if isinstance(answer, Opened):
                raise AssertionError("a stream was not asked for")
            own.endpoint = answer.endpoint
            summary = summarise_body(answer.outgoing.dialect, answer.parsed)
            translation = answer.outgoing.translation
            said = answer.parsed if translation is None else translation.response(answer.parsed)
            raw = answer.body if translation is None else msgspec.json.encode(said)
            return Result("ok", answer.status, summary, response=said, raw=raw, response_bytes=len(raw))
        except AttemptFailed as failed:
            code = failed.fault.code or failed.fault.type or "upstream_error"
            return Result("error", failed.status or 502, None, code, failed.fault.message)
        except MelioraError as error:
            return Result("error", error.status, summary, error.code, error.message)


_STOPPED = Result("cancelled", 499, None, "stopped", "The shadow was stopped.")


def _may(call: Call, shown: CallFinished, snapshot: Snapshot) -> bool:
    """Whether a call may have a shadow at all: asked and answered here and now, its content kept, its key open to exploration."""
    view = call.view
    if view is None or call.decided is None or call.cached or view.stream or call.dialect == "embeddings":
        return False
    if view.has_tools and not snapshot.settings.loop.trial.shadowing.tools:
        return False
    if snapshot.settings.recording.content == "off" or not call.key.explore or shown.feature in OWN_FEATURES:
        return False
    if snapshot.settings.gateway.mode == "observe":
        return False
    # Where the baseline was refused the candidate is asked too: else failures could only ever be the candidate's.
    return shown.outcome == "ok" or (shown.outcome == "error" and bool(shown.attempts))


def _goes_on(snapshot: Snapshot, change: str) -> bool:
    return not snapshot.safety.baselines and any(
        halves.state.change == change and halves.state.phase == "shadow" for halves in snapshot.trials.values()
    )


def _same(call: Call, decision: Decision, basis: Basis) -> bool:
    """Whether the candidate would have asked whom the baseline asked."""
    first = call.decided
    return first is not None and _asks(first, call.basis) == _asks(decision, basis)


def _asks(decision: Decision, basis: Basis | None) -> tuple[object, ...]:
    choices = basis.choices if basis is not None else None
    endpoints = choices.endpoints(decision.model, decision) if choices is not None else None
    return decision.model, decision.relay, endpoints
