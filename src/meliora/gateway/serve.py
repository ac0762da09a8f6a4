"""One call from its body to its record: who asks, what they may, which model, the attempts, the answer.

Reads as the sentence above. Each call keeps the snapshot that it began with, whatever is reloaded meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from meliora.errors import MelioraError, UpstreamBroken
from meliora.gateway.admission import Admission, Ticket
from meliora.gateway.answering import answered, decided
from meliora.gateway.attempt import CHECK_OWN_KEY, OWN_KEY_REFUSED, AttemptFailed, Opened, Whole
from meliora.gateway.call import Call, labels_of
from meliora.gateway.dialects.errors import fault_as, render, status_for, stream_error_event, translate_error
from meliora.gateway.dialects.inspect import check_duplicates, inspect_request
from meliora.gateway.dialects.summary import Summary, summarise_body, summarise_stream
from meliora.gateway.escalation import note_end
from meliora.gateway.heads import answer_headers, content_type, retry_after
from meliora.gateway.inbound import Inbound, Line, Send
from meliora.gateway.outgoing import upstream_dialect
from meliora.gateway.reading import parse_body
from meliora.gateway.recorder import Recorder, Result
from meliora.gateway.relay import MUST_TERMINATE, STREAM_HEADERS, Kept, Stream, drain, relay
from meliora.gateway.replies import Keeping, Replies, Reply
from meliora.gateway.shadow import Shadows
from meliora.gateway.snapshot import Snapshot
from meliora.gateway.tracing import span_for
from meliora.gateway.tries import Means
from meliora.gateway.upstream import Headers
from meliora.gateway.watch import Watch
from meliora.gateway.wishes import wanted_of
from meliora.routing.decide import Decision
from meliora.routing.escalation import Failures
from meliora.telemetry.ids import CallIds
from meliora.telemetry.records import CallFinished, Dialect

_JSON: tuple[bytes, bytes] = (b"content-type", b"application/json")
_LEFT = {"stalled": "client_stalled", "left": "client_left"}


@dataclass(frozen=True, slots=True)
class House:
    """What all calls of a gateway share."""

    means: Means
    recorder: Recorder
    admission: Admission
    replies: Replies
    watch: Watch
    ids: CallIds
    randbytes: Callable[[int], bytes]
    shadows: Shadows
    failures: Failures = field(default_factory=Failures)


class Serving:
    """Serve one call. `run` answers in every case; what it raises is a defect."""

    def __init__(self, house: House, snapshot: Snapshot, dialect: Dialect, send: Send) -> None:
        self._house = house
        self._snapshot = snapshot
        self._dialect: Dialect = dialect
        self._send = send
        self._line: Line | None = None
        self._call: Call | None = None
        self._ticket: Ticket | None = None
        self._stream: Stream | None = None
        self._keeping: Keeping | None = None
        self._record: CallFinished | None = None

    async def run(self, inbound: Inbound) -> None:
        """Serve the call and record how it ended."""
        house = self._house
        self._line = inbound.line
        try:
            call = self._accept(inbound)
            house.watch.enter(call)
            try:
                await self._serve(call)
            finally:
                house.watch.leave(call)
        except AttemptFailed as failed:
            await self._give_failure(failed)
        except MelioraError as error:
            await self._give_error(error)
        except asyncio.CancelledError:
            self._left()
            if self._call is None or not self._call.gone:
                raise
        except Exception:
            self._defect()
            raise
        finally:
            if self._ticket is not None:
                house.admission.leave(self._ticket)
        if self._record is not None and self._call is not None:
            house.shadows.follow(self._call, self._record, self._snapshot)

    # -- what is asked -----------------------------------------------------------------------------------------------

    def _accept(self, inbound: Inbound) -> Call:
        clock = self._house.means.clock
        now_us = clock.now_us()
        key = self._snapshot.authenticate(inbound.secret(), now_us, "call")
        call = self._call = Call(self._house.ids.new(now_us), self._dialect, inbound, key, now_us)
        call.started = clock.monotonic()
        call.span = span_for(inbound.headers.get(b"traceparent"), self._house.randbytes)
        call.body = parse_body(inbound.body, self._snapshot.settings.gateway.limits.json_depth)
        view = call.view = inspect_request(self._dialect, call.body)
        check_duplicates(inbound.body, call.body)
        call.labels = labels_of(inbound, view.user)
        return call

    def _decide(self, call: Call) -> Decision:
        house, snapshot = self._house, self._snapshot
        basis, call.arm = snapshot.basis_of(call.key, call.labels)
        call.basis = basis
        wanted = call.wanted = wanted_of(call, snapshot, basis, house.admission, house.means)
        call.decided = decided(call, wanted, snapshot, basis, house.failures, house.means.clock.monotonic())
        return call.decided

    # -- the way through ---------------------------------------------------------------------------------------------

    async def _serve(self, call: Call) -> None:
        house, snapshot = self._house, self._snapshot
        decision = call.decision = self._decide(call)
        call.entry = snapshot.catalog.find(decision.model)
        found = None
        if house.replies.concern(call, snapshot.settings.gateway):
            found = await house.replies.find(call, decision.model, decision.tier, snapshot.settings.gateway)
        if isinstance(found, Reply):
            await self._replay(call, found)
            return
        self._keeping = found
        try:
            self._ticket = await house.admission.enter(call, decision, snapshot)
            house.recorder.begun(call)
            assert call.view is not None
            if call.view.stream:
                push = self._line.push if self._line is not None else None
                self._stream = Stream(self._dialect, self._send, push, asyncio.get_running_loop().time())
                self._stream.copy = [] if found is not None else None
                house.watch.stream(call, self._stream, answer_headers(call, None))
            answer = await self._answer_of(call, decision)
            call.endpoint = answer.endpoint
            if isinstance(answer, Opened):
                await self._give_stream(call, answer)
            else:
                await self._give_whole(call, answer)
        finally:
            if found is not None and found.claim is not None:
                found.claim.fail()

    async def _answer_of(self, call: Call, decision: Decision) -> Whole | Opened:
        """Give the first answer that can go to the client: one that a cascade's models agree on, or that of the chain."""
        return await answered(call, decision, self._snapshot, self._house.means, self._stream is not None)

    async def _give_whole(self, call: Call, answer: Whole) -> None:
        translation = answer.outgoing.translation
        body, parsed = answer.body, answer.parsed
        summary = summarise_body(answer.outgoing.dialect, parsed)
        assert call.view is not None
        if call.view.stream and self._dialect != "embeddings":
            error = UpstreamBroken(f"{answer.endpoint.id} answered a stream with a whole body.")
            await self._give_unusable(call, summary, error)
            return
        if translation is not None:
            try:
                parsed = translation.response(parsed)
            except MelioraError as error:
                await self._give_unusable(call, summary, error)
                return
            body = msgspec.json.encode(parsed)
            summary = _renamed(summary, parsed)
        result = Result("ok", answer.status, summary, response=parsed, raw=body, response_bytes=len(body))
        line = self._line
        record = self._finish(call, result, noted=line is not None)
        headers = answer_headers(call, answer.headers)
        if record is not None and record.cost_micros is not None:
            headers.append((b"x-meliora-cost", b"%d.%06d" % divmod(record.cost_micros, 1_000_000)))
        kind = content_type(answer.headers)
        if self._keeping is not None:
            self._house.replies.keep(call, self._keeping, answer.status, [(b"content-type", kind)], body)
        headers.insert(0, (b"content-type", kind))
        if line is not None:
            self._house.recorder.answer(line.promise(answer.status, headers, body))
        else:
            await self._answer(answer.status, headers, body)

    async def _give_unusable(self, call: Call, summary: Summary, error: MelioraError) -> None:
        """Refuse an answer that the client could make nothing of; it was paid for, and is counted."""
        begun = self._stream is not None and self._stream.sent
        status = 200 if begun else status_for(self._dialect, error)
        self._finish(call, Result("error", status, summary, error.code, error.message))
        await self._give_error(error)

    async def _give_stream(self, call: Call, opened: Opened) -> None:
        stream, kept, clock = self._stream, Kept(), self._house.means.clock
        assert stream is not None
        await stream.open(answer_headers(call, opened.headers))
        self._house.recorder.release(call, self._snapshot.settings)

        def on_first() -> None:
            if call.ttft_us is None:
                call.ttft_us = int((clock.monotonic() - call.started) * 1e6)

        try:
            last = await relay(opened, stream, kept, on_first)
        except MelioraError as error:
            opened.answer.abort()
            await self._break_stream(call, opened, stream, kept, error)
            return
        except BaseException:
            opened.answer.abort()
            self._finish_stream(call, opened, stream, kept, None)
            raise
        on_first()
        summary = _told_of(opened, summarise_stream(opened.dialect, kept.raw()))
        cut = not summary.complete and (kept.whole or opened.dialect in MUST_TERMINATE)
        if cut and summary.error_code is None:
            error = UpstreamBroken("The upstream's stream ended without its closing event.")
            await self._break_stream(call, opened, stream, kept, error, last)
            return
        self._finish_stream(call, opened, stream, kept, summary, len(last))
        if summary.error_code is None and self._keeping is not None and stream.copy is not None:
            whole = b"".join((*stream.copy, last))
            self._house.replies.keep(call, self._keeping, 200, STREAM_HEADERS, whole)
        await stream.end(last)
        await drain(opened)

    async def _break_stream(
        self, call: Call, opened: Opened, stream: Stream, kept: Kept, error: MelioraError, before: bytes = b""
    ) -> None:
        now = self._house.means.clock.monotonic()
        opened.endpoint.breaker.failure(now)
        summary = _told_of(opened, summarise_stream(opened.dialect, kept.raw()))
        told = summary.error_code is not None  # the provider said why, and the client was told; one error is enough
        code, message = (None, None) if told else (error.code, error.message)
        result = Result("error", 200, summary, code, message, response_bytes=stream.bytes, chunks=stream.chunks)
        self._finish(call, result)
        await (stream.end(before) if told else stream.fail(error, before))

    def _finish_stream(
        self, call: Call, opened: Opened, stream: Stream, kept: Kept, summary: Summary | None, more: int = 0
    ) -> None:
        code = None
        outcome = "ok"
        if summary is None:
            summary = summarise_stream(opened.dialect, kept.raw())
            outcome, code = "cancelled", _LEFT.get(call.gone, "shutdown")
        elif summary.error_code is not None:
            outcome = "error"
            opened.endpoint.breaker.failure(self._house.means.clock.monotonic())
        sent = stream.bytes + more
        self._finish(call, Result(outcome, 200, summary, code, response_bytes=sent, chunks=stream.chunks + bool(more)))

    async def _replay(self, call: Call, reply: Reply) -> None:
        """Give an answer again; it costs nothing, and is recorded as what it is."""
        call.cached = True
        if reply.source == "idempotency":
            call.arm = None  # it was given by the arm that the first call was in
        self._house.recorder.begun(call)
        kept = reply.answer
        assert call.view is not None
        summary = (summarise_stream if call.view.stream else summarise_body)(self._dialect, kept.body)
        self._finish(call, Result("ok", kept.status, summary, response_bytes=len(kept.body)))
        self._house.means.metrics.cache_hits.inc()
        headers = [*kept.headers, *answer_headers(call, None), (b"x-meliora-cache", reply.source.encode())]
        headers.append((b"x-meliora-cost", b"0.000000"))
        await self._answer(kept.status, headers, kept.body)

    # -- how it can fail ---------------------------------------------------------------------------------------------

    async def _give_failure(self, failed: AttemptFailed) -> None:
        """Give the upstream's own refusal on, in the client's dialect; a refused provider key is not the client's fault."""
        call = self._call
        assert call is not None
        fault = failed.fault
        if failed.cause is not None or failed.status is None or failed.status in (401, 403):
            await self._give_error(failed.cause or _as_error(failed))
            return
        status, body = failed.status, failed.body
        status, body = translate_error(self._spoken(call), self._dialect, status, body)
        stream = self._stream
        begun = stream is not None and stream.sent
        code = fault.code or fault.type or "upstream_error"
        self._finish(call, Result("error", 200 if begun else status, None, code, fault.message))
        if stream is not None and begun:
            await stream.end(stream_error_event(self._dialect, fault_as(self._dialect, fault)[1]))
            return
        headers = answer_headers(call, failed.headers)
        if fault.quota:
            headers.append((b"x-should-retry", b"false"))
        await self._answer(status, [_JSON, *headers], body)

    async def _give_error(self, error: MelioraError) -> None:
        call = self._call
        begun = self._stream is not None and self._stream.sent
        status = 200 if begun else status_for(self._dialect, error)
        if call is None:
            self._house.means.metrics.refused.labels(error.code).inc()
        elif not call.gone:
            self._finish(call, Result("error", status, None, error.code, error.message))
        if self._stream is not None and self._stream.sent and call is not None:
            await self._stream.fail(error)
            return
        body = render(self._dialect, error, call.id if call is not None else "")
        headers: Headers = [_JSON]
        if call is not None:
            headers.extend(answer_headers(call, None))
        headers.extend(retry_after(error))
        if error.code == "budget_exhausted":
            headers.append((b"x-should-retry", b"false"))
        await self._answer(status, headers, body)

    def _left(self) -> None:
        """Record a call whose client went away, or that was cut by the end of the process."""
        call = self._call
        if call is not None:
            code = _LEFT.get(call.gone, "shutdown")
            self._finish(
                call, Result("cancelled", 499, None, code, "The call was cancelled before its answer was whole.")
            )

    def _defect(self) -> None:
        """Record a call that came to its end by a defect of this gateway, which the server logs and answers."""
        if self._call is not None:
            self._finish(self._call, Result("error", 500, None, "defect", "The gateway failed; this is a defect."))

    # -- small things ------------------------------------------------------------------------------------------------

    def _finish(self, call: Call, result: Result, *, noted: bool = False) -> Any:
        """Record the end once; whatever comes later is an echo of it. `noted`: it is written when the recorder answers."""
        if call.finished:
            return None
        call.finished = True
        record = self._house.recorder.finished(call, result, self._snapshot.settings, noted=noted)
        if self._ticket is not None:
            self._record = record
            self._house.admission.settle(self._ticket, record)
        if record.outcome == "error":
            note_end(record, call, self._snapshot, self._house.failures, self._house.means.clock.monotonic())
        return record

    def _spoken(self, call: Call) -> Dialect:
        endpoint = call.endpoint
        return (upstream_dialect(self._dialect, endpoint) if endpoint is not None else None) or self._dialect

    async def _answer(self, status: int, headers: Headers, body: bytes) -> None:
        if self._line is not None:
            self._line.reply(status, headers, body)
            return
        headers.append((b"content-length", b"%d" % len(body)))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def _told_of(opened: Opened, summary: Summary) -> Summary:
    """Add what went wrong in translation, where the provider itself reported nothing."""
    fault = opened.translation.fault if opened.translation is not None else None
    if fault is None or summary.error_code is not None:
        return summary
    return msgspec.structs.replace(summary, error_code=fault.code or "upstream_error", error_message=fault.message)


def _renamed(summary: Summary, parsed: dict[str, Any]) -> Summary:
    """The client knows the translated answer by the id that it was given."""
    return msgspec.structs.replace(summary, response_id=parsed.get("id"))


def _as_error(failed: AttemptFailed) -> MelioraError:
    if failed.status in (401, 403):
        return UpstreamBroken(OWN_KEY_REFUSED, hint=CHECK_OWN_KEY)
    return UpstreamBroken(failed.fault.message or "The upstream failed.")
