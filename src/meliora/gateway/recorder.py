"""What is written of a call: a begin when it is accepted, a finish before its last bytes leave, masked before either.

Whole answers that are ready in one turn of the loop leave after one write for all of them; nothing waits for a timer.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from meliora.clock import Clock
from meliora.gateway.call import NOTHING, Asked, Call, Text
from meliora.gateway.dialects.summary import Summary
from meliora.gateway.estimates import abandoned, prompt_tokens
from meliora.gateway.legs import cost_of, summed
from meliora.gateway.metrics import Metrics
from meliora.gateway.prices import cost_micros
from meliora.gateway.tasks import task_now
from meliora.gateway.traces import after_failures
from meliora.settings.models import Settings
from meliora.telemetry.records import (
    FORMAT,
    CallBegun,
    CallFinished,
    Leg,
    Outcome,
    Shadow,
    ShadowBegun,
    Shown,
    Usage,
    UsageSource,
)
from meliora.telemetry.redaction import Redactor
from meliora.telemetry.spool import SpoolWriter

_encoder = msgspec.json.Encoder()
_NOTED_SECONDS = 0.01
"""How long the begin of a call may wait to be written."""
_MARGIN = 8192
"""Characters read beyond the kept length, so that what is masked there is not cut into something that looks harmless."""
_NO_SUMMARY = Summary()
_NO_TAGS: dict[str, str] = {}


class Result(msgspec.Struct):
    """How a call ended."""

    outcome: Outcome
    status: int
    summary: Summary | None = None
    error_code: str | None = None
    error_message: str | None = None
    response: Any = None
    """The answer's decoded body; for a stream its collected text stands in `summary`."""
    raw: bytes = b""
    """The same, encoded."""
    response_bytes: int = 0
    chunks: int = 0


class Recorder:
    """Write records to the spool and count them."""

    def __init__(self, spool: SpoolWriter, metrics: Metrics, clock: Clock, redactor: Redactor, gateway: str) -> None:
        self._spool = spool
        self._metrics = metrics
        self._clock = clock
        self._redactor = redactor
        self._gateway = gateway
        self._flushing = False
        """A timer is set that writes what was noted."""
        self._keyed = hashlib.blake2b(digest_size=16)
        self._answers: deque[Callable[[], None]] = deque()
        """What waits for the next write."""

    def rekey(self, secret: bytes) -> None:
        """Hash prompts with this secret from now on."""
        self._keyed = hashlib.blake2b(key=secret[:64], digest_size=16)

    @property
    def dropped(self) -> int:
        """Records that the disk refused since the start."""
        return self._spool.dropped

    def begun(self, call: Call) -> None:
        """Note that a call was accepted: written together with the next record, or a hundredth of a second later."""
        view = call.view
        record = CallBegun(
            id=call.id,
            tenant=call.key.tenant,
            key_id=call.key.id,
            gateway=self._gateway,
            started_us=call.started_us,
            dialect=call.dialect,
            model_asked=view.model if view is not None else "",
            stream=view.stream if view is not None else False,
            user=call.labels.user,
            session=call.labels.session,
        )
        self._spool.note(_encoder.encode(record))
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_later(_NOTED_SECONDS, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        self._spool.flush()

    def answer(self, send: Callable[[], None]) -> None:
        """Write what was noted, then `send`: once for all calls that end in one turn of the loop."""
        self._answers.append(send)
        if len(self._answers) == 1:
            asyncio.get_running_loop().call_soon(self._commit)

    def _commit(self) -> None:
        answers = self._answers
        self._spool.flush()
        try:
            while answers:
                answers.popleft()()
        finally:
            if answers:  # one of them failed, which the loop tells; the others shall not wait for it
                asyncio.get_running_loop().call_soon(self._commit)

    def finished(
        self,
        call: Call,
        result: Result,
        settings: Settings,
        *,
        noted: bool = False,
    ) -> CallFinished:
        """Write how a call ended, and give what was written; `noted`: `answer` follows, and writes it."""
        record = self._record(call, result, settings)
        (self._spool.note if noted else self._spool.append)(_encoder.encode(record))
        self._metrics.tally.finished(record)
        return record

    def shadow_begun(self, call: Call, shown: CallFinished) -> None:
        """Write that a shadow call is about to be made, beside the call that was shown."""
        arm = call.arm
        assert arm is not None
        record = ShadowBegun(
            id=call.id,
            parent=shown.id,
            parent_us=shown.started_us,
            tenant=call.key.tenant,
            gateway=self._gateway,
            started_us=call.started_us,
            trial=arm.change,
            stage=arm.stage,
            unit=arm.unit,
            user=call.labels.user,
            v=FORMAT,
        )
        self._spool.append(_encoder.encode(record))

    def shadowed(
        self, call: Call, shown: CallFinished, result: Result | None, settings: Settings
    ) -> CallFinished | None:
        """Write what came of a shadow, and give the record of its call; without `result` none was needed."""
        arm = call.arm
        assert arm is not None
        made = None if result is None else self._record(call, result, settings)
        if made is not None:
            made = msgspec.structs.replace(made, request_text=None, prompt_hash=None)  # the shown call has them
        record = Shadow(
            id=call.id,
            parent=shown.id,
            parent_us=shown.started_us,
            tenant=shown.tenant,
            gateway=self._gateway,
            started_us=call.started_us,
            trial=arm.change,
            stage=arm.stage,
            unit=arm.unit,
            user=call.labels.user,
            shown=Shown(shown.outcome, shown.model, shown.cost_micros, max(0, shown.ended_us - shown.started_us)),
            call=made,
            v=FORMAT,
        )
        self._spool.append(_encoder.encode(record))
        return made

    def _record(self, call: Call, result: Result, settings: Settings) -> CallFinished:
        view, decision, endpoint, entry = call.view, call.decision, call.endpoint, call.entry
        key, labels, span, arm = call.key, call.labels, call.span, call.arm
        summary = result.summary or _NO_SUMMARY
        asked = call.asked or self._asked(call, settings)
        content, limit = settings.recording.content if labels.kept else "off", settings.recording.content_bytes
        told = summary.usage is not None or bool(summary.text)
        left = result.outcome == "cancelled" and call.under_way
        served = result.outcome == "ok" or told or left
        elapsed = int((self._clock.monotonic() - call.started) * 1e6)
        usage, source = self._usage(call, result.summary) if served and not call.cached else (None, "none")
        answer = result.response if result.response is not None else result.summary and summary.text
        response = self._keep(answer, result.raw, content, limit) if answer is not None else NOTHING
        legs = self._legs(call, result, usage, call.started_us + elapsed) if call.legs else ()
        return CallFinished(
            id=call.id,
            tenant=key.tenant,
            key_id=key.id,
            gateway=self._gateway,
            started_us=call.started_us,
            ended_us=call.started_us + elapsed,
            dialect=call.dialect,
            model_asked=view.model if view is not None else "",
            outcome=result.outcome,
            status=result.status,
            stream=view is not None and view.stream,
            model=entry.name if entry is not None and served else None,
            provider=endpoint.account.name if endpoint is not None else None,
            endpoint=endpoint.id if endpoint is not None else None,
            tier=(entry.tier if entry is not None else None) or (decision.tier if decision is not None else None),
            task=asked.task,
            reason=call.reason,
            rule_id=decision.rule_id if decision is not None else None,
            observed_model=decision.observed if decision is not None else None,
            confidence=decision.confidence if decision is not None else None,
            attempts=tuple(call.attempts),
            ttft_us=call.ttft_us,
            overhead_us=self._overhead(call, elapsed, result),
            usage=summed(leg.usage for leg in legs) if legs else usage,
            usage_source="estimated" if legs and source == "none" else source,
            cost_micros=0 if call.cached else cost_of(legs) if legs else self._cost(call, usage),
            error_code=result.error_code or summary.error_code,
            error_message=self._short(result.error_message or summary.error_message),
            finish_reason=summary.finish_reason,
            response_id=summary.response_id,
            message_id=labels.message_id,
            user=labels.user,
            session=labels.session,
            feature=labels.feature or key.feature,
            tags=labels.tags or _NO_TAGS,
            trace_id=span.trace_id if span is not None else None,
            span_id=span.span_id if span is not None else None,
            parent_span_id=span.parent if span is not None else None,
            request_bytes=asked.size,
            response_bytes=result.response_bytes,
            chunks=result.chunks,
            prompt_hash=asked.prompt_hash,
            features=asked.features,
            cached=call.cached,
            simulated=endpoint is not None and endpoint.account.simulated,
            loss=call.loss,
            content=content,
            request_text=asked.text.text,
            response_text=response.text,
            truncated=asked.text.cut or response.cut,
            masked=asked.text.masked + response.masked,
            legs=legs,
            trial=arm.change if arm is not None else None,
            trial_phase=arm.phase if arm is not None else None,
            trial_stage=arm.stage if arm is not None else None,
            arm=arm.name if arm is not None else None,
            trial_unit=arm.unit if arm is not None else None,
            routing=decision and decision.routing and after_failures(decision.routing, call.model if served else None),
        )

    def release(self, call: Call, settings: Settings) -> None:
        """Take from a call what its record needs of the request, and let go of the request: a stream may stay open for long."""
        call.asked = self._asked(call, settings)
        call.body = {}
        call.inbound.body = b""
        call.inbound.headers = {}
        if call.view is not None:
            call.view = msgspec.structs.replace(call.view, prompt_text="")

    def _asked(self, call: Call, settings: Settings) -> Asked:
        recording = settings.recording
        text = NOTHING
        kept = call.labels.kept
        if call.body and kept:
            text = self._keep(call.body, call.inbound.body, recording.content, recording.content_bytes)
        return Asked(
            text=text,
            task=task_now(call, text, settings.routing),
            prompt_hash=self._hash(call.view.prompt_text) if call.view is not None and kept else None,
            features=_features(call),
            size=len(call.inbound.body),
        )

    def _usage(self, call: Call, summary: Summary | None) -> tuple[Usage | None, UsageSource]:
        if summary is not None and summary.usage is not None:
            if summary.complete or summary.finish_reason is not None:
                return summary.usage, "provider"
            written = len(summary.text.encode()) // 4
            if 2 * (summary.usage.output or 0) < written:
                # Cut off, and all that was counted stands at the beginning: Anthropic's `message_start` says 1.
                return msgspec.structs.replace(summary.usage, output=written), "estimated"
            return summary.usage, "provider"
        if call.view is None:
            return None, "none"
        if summary is None:
            return abandoned(call.view, call.dialect), "estimated"
        return Usage(input=prompt_tokens(call.view), output=len(summary.text.encode()) // 4), "estimated"

    def _cost(self, call: Call, usage: Usage | None) -> int | None:
        if usage is None or call.endpoint is None:
            return None
        return cost_micros(usage, call.endpoint.rates)

    def _legs(self, call: Call, result: Result, usage: Usage | None, ended_us: int) -> tuple[Leg, ...]:
        """Give the legs of a cascade, the strong model's among them where it was asked."""
        if not call.strong_started:
            return tuple(call.legs)
        began = call.started_us + int((call.strong_started - call.started) * 1e6)
        last = call.attempts[-1] if call.attempts else None
        strong = Leg(
            model=call.model,
            started_us=began,
            ended_us=ended_us,
            endpoint=call.endpoint.id if call.endpoint is not None else None,
            status=last.status if last is not None else None,
            error=None if result.outcome == "ok" else result.error_code or result.outcome,
            usage=usage,
            cost_micros=self._cost(call, usage) if usage is not None else 0 if result.outcome == "error" else None,
            accepted=result.outcome == "ok",
        )
        return (*call.legs, strong)

    def _keep(self, value: Any, raw: bytes, content: str, limit: int) -> Text:
        """Give content as it is kept. `raw` is its encoded form, where there is one."""
        if content == "off":
            return NOTHING
        clean = content == "full" or self._redactor.is_clean(raw) if raw else None
        if clean:
            return Text(raw[: 4 * limit].decode("utf-8", "replace")[:limit], 0, len(raw) > limit)
        masked = 0
        if content == "redacted":
            value, masked = self._redactor.mask_json(_bounded(value, limit + _MARGIN), suspicious=clean is False)
        text = value if isinstance(value, str) else _encoder.encode(value).decode()
        return Text(text[:limit], masked, len(text) > limit)

    def _short(self, message: str | None) -> str | None:
        return self._redactor.mask(message[:2000])[0][:1000] if message else None

    def _hash(self, text: str) -> str:
        keyed = self._keyed.copy()
        keyed.update(text.encode("utf-8", "surrogatepass"))
        return keyed.hexdigest()

    def _overhead(self, call: Call, elapsed: int, result: Result) -> int | None:
        if call.ttft_us is not None:
            return max(0, call.ttft_us - int(call.upstream_seconds * 1e6))
        return None if result.chunks else max(0, elapsed - int(call.upstream_seconds * 1e6))


def _bounded(value: Any, limit: int) -> Any:
    """Cut one long string before it is masked; nested values are bounded by the body's own limit."""
    return value[:limit] if isinstance(value, str) else value


def _features(call: Call) -> dict[str, float]:
    view = call.view
    if view is None:
        return {}
    found = {"chars": float(view.input_chars), "prompt_chars": float(len(view.prompt_text))}
    if view.has_tools:
        found["tools"] = 1.0
    if view.has_images:
        found["images"] = 1.0
    if view.has_schema:
        found["schema"] = 1.0
    return found
