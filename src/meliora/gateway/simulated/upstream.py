"""The simulated provider as an upstream in this process: with the declared latencies, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from meliora.clock import Clock, SystemClock
from meliora.errors import UpstreamBroken
from meliora.gateway.simulated.answers import Answer, answer, dialect_of, refusal
from meliora.gateway.simulated.models import PROVIDER, SIMULATED, SimulatedModel, find_model
from meliora.gateway.simulated.rendering.wire import Problem
from meliora.gateway.upstream import Headers, UpstreamAnswer, UpstreamRequest

NAP = 0.001
"""Seconds of declared latency that are gathered before there is a sleep: shorter ones are not kept by any clock."""

Sleep = Callable[[float], Awaitable[None]]
Send = Callable[[UpstreamRequest], Awaitable[UpstreamAnswer]]


class Faults(Protocol):
    """Stands between a request and its answer, and may spoil it. `meliora.testing.FaultPlan` is one."""

    async def around(self, request: UpstreamRequest, send: Send) -> UpstreamAnswer:
        """Send the request by `send` or do not, and give an answer or raise as `Upstream.send` does."""
        ...


@dataclass(frozen=True)
class Pace:
    """How declared latencies pass: times `scale` (0: not at all), by `sleep`."""

    scale: float = 1.0
    sleep: Sleep = asyncio.sleep


class SimulatedAnswer:
    """An answer whose body comes at the declared pace, a token a chunk."""

    def __init__(self, made: Answer, pieces: Iterable[bytes], pace: Pace, token_seconds: float) -> None:
        self.made = made
        """The answer before it was cut into chunks."""
        self.status = made.status
        self.headers: Headers = made.headers
        self._pieces = iter(pieces)
        self._pace = pace
        self._token_seconds = token_seconds
        self._owed = 0.0
        self._aborted = False

    def instead(self, made: Answer, pieces: Iterable[bytes]) -> SimulatedAnswer:
        """Give another answer at the same pace."""
        return SimulatedAnswer(made, pieces, self._pace, self._token_seconds)

    async def chunk(self) -> bytes:
        """Give the next chunk, `b""` at the end. Raises `UpstreamBroken` after `abort`."""
        if self._aborted:
            raise UpstreamBroken("The answer was dropped.")
        self._owed += self._token_seconds * self._pace.scale
        if self._owed >= NAP:
            owed, self._owed = self._owed, 0.0
            await self._pace.sleep(owed)
        return next(self._pieces, b"")

    async def read(self, limit: int) -> bytes:
        """Give the rest of the body. Raises `UpstreamBroken` past `limit` bytes."""
        whole = bytearray()
        while data := await self.chunk():
            whole += data
            if len(whole) > limit:
                self.abort()
                raise UpstreamBroken(f"The answer is longer than {limit} bytes.")
        return bytes(whole)

    def abort(self) -> None:
        """Drop the rest."""
        self._aborted = True


class SimulatedUpstream:
    """Answer requests in this process. Counts them, so that each answer gets ids of its own."""

    def __init__(
        self, seed: int = 0, pace: Pace | None = None, clock: Clock | None = None, faults: Faults | None = None
    ) -> None:
        self._seed = seed
        self._pace = pace or Pace()
        self._clock = clock or SystemClock()
        self._faults = faults
        self.sent = 0
        """How many requests came this far."""

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        """Answer after the model's time to the first token, or to the last one where the answer is not a stream."""
        self.sent += 1
        if self._faults is not None:
            return await self._faults.around(request, self._send)
        return await self._send(request)

    def check(self, now: float) -> None:
        """Have nothing to time out."""

    @property
    def busy(self) -> bool:
        """Hold nothing open."""
        return False

    def retire(self) -> None:
        """Hold nothing open."""

    async def close(self) -> None:
        """Hold nothing, so close nothing."""

    async def _send(self, request: UpstreamRequest) -> SimulatedAnswer:
        now_us = self._clock.now_us()
        made, model = respond(request, self._seed, self.sent, now_us)
        token_seconds = model.token_ms / 1000 if made.status == 200 else 0.0
        tokens = 0 if made.stream else made.output_tokens
        wait = (model.first_token_ms / 1000 + tokens * token_seconds) * self._pace.scale
        if wait > 0:
            await self._pace.sleep(wait)
        pieces = (event.data for event in made.each_event()) if made.stream else [made.body]
        return SimulatedAnswer(made, pieces, self._pace, token_seconds if made.stream else 0.0)


def respond(
    request: UpstreamRequest, seed: int, serial: int, now_us: int, stand_in: SimulatedModel | None = None
) -> tuple[Answer, SimulatedModel]:
    """Answer a request by the model it names. An unknown one gets 404, or is played by `stand_in`."""
    fast = SIMULATED[0]
    path = request.path.partition("?")[0]
    if request.method == "GET" and path.rstrip("/").endswith("/models"):
        return Answer("chat", 200, f"req_sim_{serial}", told=msgspec.json.encode(_listing())), fast
    dialect = dialect_of(path) or "chat"
    try:
        body = msgspec.json.decode(request.body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return refusal(dialect, Problem(400, "The body is not valid JSON."), serial), fast
    name = body.get("model") if isinstance(body, dict) else None
    model = find_model(name) if isinstance(name, str) else fast
    if model is None:
        model = _embedding() if stand_in and dialect == "embeddings" else stand_in
    if model is None:
        problem = Problem(404, f"The model `{name}` does not exist.", field="model")
        return refusal(dialect, problem, serial), fast
    return answer(request.path, body, model, seed, serial=serial, now_us=now_us), model


def _embedding() -> SimulatedModel:
    return next(model for model in SIMULATED if model.dimensions)


def _listing() -> dict[str, object]:
    known = [{"id": model.name, "object": "model", "created": 0, "owned_by": PROVIDER} for model in SIMULATED]
    return {"object": "list", "data": known}
