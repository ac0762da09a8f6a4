"""A cascade: two cheap models are asked at once; if they agree, the cheaper one's answer is the call's. If not, a third may be asked,
and the one that it agrees with stands. Else nobody's answer does yet.

Every model that was asked becomes a leg of the call, answered, failed or cut off. Refuses to wait longer than is configured, and
leaves nothing running: when the client leaves, all are cancelled.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Sequence
from functools import cache

import msgspec
import structlog

from meliora.errors import MelioraError, SettingsError, UpstreamBroken
from meliora.gateway.attempt import AttemptFailed, Opened, Whole
from meliora.gateway.call import Call
from meliora.gateway.catalog import Catalog
from meliora.gateway.dialects.summary import Summary, summarise_body
from meliora.gateway.likeness import beside, comparable, cosine, embedding_call
from meliora.gateway.listing import allowed
from meliora.gateway.prices import cost_micros
from meliora.gateway.snapshot import Snapshot
from meliora.gateway.tries import Means, Prepare, Tries
from meliora.routing.wanted import Relay
from meliora.settings.routing import Cascade
from meliora.telemetry.records import Leg, Usage

log = structlog.get_logger(__name__)

Verifier = Callable[[str, str, str], object]
"""Given the prompt and both answers, says whether they agree (by something true)."""

_ROUNDING = 1e-9


class _Asked(msgspec.Struct):
    """A model while it is asked: one that answers, or one that compares answers."""

    call: Call
    model: str
    started: float
    answer: Whole | None = None
    summary: Summary | None = None
    error: str | None = "cancelled"
    ended: float = 0.0


class Rungs:
    """Ask the cheaper models of a cascade about one call."""

    def __init__(self, call: Call, snapshot: Snapshot, means: Means, *, quiet: bool = False) -> None:
        """Ask as `Tries` does; `quiet` as it has it."""
        self._quiet = quiet
        self._call = call
        self._snapshot = snapshot
        self._means = means
        self._settings = snapshot.settings.routing.cascade

    async def ask(self, relay: Relay, prepare: Prepare) -> tuple[str | None, Whole | None]:
        """Give the model whose answer another one agrees with, and the answer; None where there is none.

        What was asked stands in the call's legs.
        """
        call, clock = self._call, self._means.clock
        began = clock.monotonic()
        prompt = call.view.prompt_text if call.view is not None else ""
        both = [_Asked(beside(call), model, began) for model in (relay.first, relay.second)]
        asked = [*both]
        accepted: _Asked | None = None
        try:
            async with asyncio.timeout(self._settings.latency):
                if await self._answered(both, prepare):
                    if await self._agree(prompt, both[0], both[1], asked):
                        accepted = both[0]
                    elif relay.third is not None:
                        accepted = await self._broken(relay.third, prompt, both, asked, prepare)
        except TimeoutError:
            log.info("the cheaper models of a cascade took too long; the strong one is asked", call=call.id)
        finally:
            for one in asked:
                call.attempts.extend(one.call.attempts)
                call.legs.append(self._leg(one, one is accepted))
            call.upstream_seconds += clock.monotonic() - began
        if accepted is None:
            return None, None
        call.entry, call.endpoint, call.loss = accepted.call.entry, accepted.call.endpoint, accepted.call.loss
        return accepted.model, accepted.answer

    async def _broken(
        self, third: str, prompt: str, both: Sequence[_Asked], asked: list[_Asked], prepare: Prepare
    ) -> _Asked | None:
        """Break the tie of two: give the one that a third agrees with, the cheaper first."""
        one = _Asked(beside(self._call), third, self._means.clock.monotonic())
        asked.append(one)
        if not await self._one(one, prepare):
            return None
        for other in both:
            if await self._agree(prompt, other, one, asked):
                return other
        return None

    async def _answered(self, both: list[_Asked], prepare: Prepare) -> bool:
        """Wait for both answers, or for the first failure; whatever still runs then is cancelled."""
        tasks = {asyncio.create_task(self._one(one, prepare)) for one in both}
        try:
            left = tasks
            while left:
                done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                if not all(task.result() for task in done):
                    return False
            return True
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, asked: _Asked, prepare: Prepare) -> bool:
        tries = Tries(asked.call, self._snapshot, (asked.model,), self._means, attempts=1, quiet=self._quiet)
        try:
            answer = await tries.run(prepare, False)
            if isinstance(answer, Opened):
                raise AssertionError("a stream was not asked for")
            asked.answer = answer
            asked.summary = summarise_body(answer.outgoing.dialect, answer.parsed)
            asked.error = asked.summary.error_code
        except AttemptFailed as failed:
            asked.error = failed.fault.code or failed.fault.type or "upstream_error"
        except MelioraError as error:
            asked.error = error.code
        finally:
            asked.ended = self._means.clock.monotonic()
        return asked.error is None

    async def _agree(self, prompt: str, one: _Asked, other: _Asked, asked: list[_Asked]) -> bool:
        """Say whether two answers agree; what is asked to find out is put to `asked`."""
        first, second = (each.summary.text if each.summary is not None else "" for each in (one, other))
        how = self._settings.agreement
        if how != "verifier":
            from meliora.routing.learned.cascade import agrees

            if agrees(first, second, "normalised" if how == "embedding" else how):
                return True
            alike = how == "embedding" and comparable(one.summary, other.summary)
            return alike and await self._alike((first, second), asked)
        try:
            return bool(await asyncio.to_thread(verifier_of(self._settings.verifier), prompt, first, second))
        except Exception:
            log.exception("the cascade's verifier failed; the strong model is asked", verifier=self._settings.verifier)
            return False

    async def _alike(self, texts: tuple[str, str], asked: list[_Asked]) -> bool:
        """Say whether an embedding model takes two answers for near; not where it does not answer, or the key may not use it."""
        model, means = self._settings.embedding_model, self._means
        if not allowed(self._snapshot, self._call.key, model):
            means.metrics.likeness.labels("forbidden").inc()
            return False
        own, prepare = embedding_call(self._call, model, texts)
        one = _Asked(own, model, means.clock.monotonic())
        asked.append(one)
        found = "cancelled"
        try:
            if await self._one(one, prepare) and one.answer is not None:
                near = cosine(one.answer.parsed)
                found = "alike" if near >= self._settings.similarity - _ROUNDING else "unlike"
            else:
                found = "failed"
        except UpstreamBroken as error:
            found, one.error = "failed", error.code
        finally:
            means.metrics.likeness.labels(found).inc()
        if found == "failed":
            log.warning("a cascade's answers were not embedded; the strong one is asked", model=model, error=one.error)
        return found == "alike"

    def _leg(self, asked: _Asked, accepted: bool) -> Leg:
        call, endpoint = asked.call, asked.call.endpoint
        usage, cost = None, 0 if asked.error != "cancelled" else None
        if asked.summary is not None and endpoint is not None:
            usage = usage_of(asked.summary, call)
            cost = cost_micros(usage, endpoint.rates)
        at = call.started_us + int((asked.started - call.started) * 1e6)
        last = call.attempts[-1] if call.attempts else None
        return Leg(
            model=asked.model,
            started_us=at,
            ended_us=at + int(((asked.ended or self._means.clock.monotonic()) - asked.started) * 1e6),
            endpoint=endpoint.id if endpoint is not None else None,
            status=last.status if last is not None else None,
            error=asked.error,
            usage=usage,
            cost_micros=cost,
            accepted=accepted,
        )


def check(settings: Cascade, catalog: Catalog) -> None:
    """Load the verifier or find the embedding model, if one is used. Raises `SettingsError` where there is none by that name."""
    if settings.enabled and settings.agreement == "verifier":
        verifier_of(settings.verifier)
    if settings.enabled and settings.agreement == "embedding":
        found = catalog.find(settings.embedding_model)
        if found is None or (found.capabilities is not None and "embeddings" not in found.capabilities):
            raise SettingsError(
                f"routing.cascade.embedding_model: {settings.embedding_model!r} is no model that gives embeddings.",
                hint="`meliora models` lists the models there are.",
            )


@cache
def verifier_of(name: str) -> Verifier:
    """Give the function that `module:function` names. Raises `SettingsError`."""
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"routing.cascade.verifier: {name!r} cannot be loaded: {error}.",
            hint="Write module:function, of a module that the gateway can import.",
        ) from error
    if not callable(found):
        raise SettingsError(f"routing.cascade.verifier: {name!r} is no function.")
    return found


def usage_of(summary: Summary, call: Call) -> Usage:
    """Give what an answer took; where its provider does not say, by the length of its text."""
    if summary.usage is not None:
        return summary.usage
    chars = call.view.input_chars if call.view is not None else 0
    return Usage(input=max(1, chars // 4), output=len(summary.text.encode()) // 4)
