"""A real HTTP server on the loopback that plays a provider, and misbehaves on the wire as a plan says. For tests alone."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

from meliora.clock import Clock, SystemClock
from meliora.gateway.simulated.answers import Answer, dialect_of, refusal
from meliora.gateway.simulated.models import SimulatedModel, find_model
from meliora.gateway.simulated.rendering.wire import Problem
from meliora.gateway.simulated.upstream import respond
from meliora.gateway.upstream import UpstreamRequest
from meliora.testing.connection import Connection, Exchange, Roster, Seen
from meliora.testing.faults import Refuse
from meliora.testing.plan import FaultPlan, model_in
from meliora.testing.wire import steps


@dataclass(frozen=True)
class Play:
    """How the provider is played."""

    seed: int = 0
    api_key: str | None = None
    """Asked for as bearer token, `x-api-key` or `api-key`; None: nobody is asked."""
    event_delay: float = 0.0
    """Seconds before each event of a stream."""
    stand_in: str | None = "simulated-medium"
    """The model that plays any name which is not simulated; None: such a name gets 404."""
    keep: int = 1000
    """How many requests are remembered, the latest."""


class FakeProvider:
    """A provider at `http://127.0.0.1:PORT` in a thread of its own, to be used by `with`. Safe to ask from any thread.

    Raises `ValueError` for a plan with `Refuse`: no port can refuse a single call, see `refusing`.
    """

    def __init__(
        self,
        plan: FaultPlan | None = None,
        play: Play | None = None,
        clock: Clock | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.plan = plan or FaultPlan()
        if any(isinstance(fault, Refuse) for fault in self.plan.faults):
            raise ValueError("A listening port cannot refuse one call; use `with provider.refusing():` around it.")
        self.play = play or Play()
        self._clock = clock or SystemClock()
        self._ssl = ssl_context
        self._seen: deque[Seen] = deque(maxlen=self.play.keep)
        self._change = threading.Condition()
        self._count = 0
        self._open_calls = 0
        self._port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None
        self._roster = Roster()

    def __enter__(self) -> FakeProvider:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port, chosen by the system at the first start."""
        return self._port

    @property
    def base_url(self) -> str:
        """The address without a path."""
        return f"{'https' if self._ssl else 'http'}://127.0.0.1:{self._port}"

    @property
    def base_url_openai(self) -> str:
        """The address as OpenAI's clients and Meliora's settings want it."""
        return f"{self.base_url}/v1"

    @property
    def base_url_anthropic(self) -> str:
        """The address as Anthropic's client wants it, without the version."""
        return self.base_url

    @property
    def base_url_anthropic_v1(self) -> str:
        """The address with the version, as Meliora's settings want it."""
        return f"{self.base_url}/v1"

    @property
    def count(self) -> int:
        """How many requests came, those that are forgotten too."""
        with self._change:
            return self._count

    @property
    def requests(self) -> list[Seen]:
        """The latest requests, oldest first."""
        with self._change:
            return list(self._seen)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._roster.opened)

    def start(self) -> None:
        """Listen. At a second start the port is the same."""
        if self._loop is not None:
            return
        loop = asyncio.new_event_loop()
        self._loop = loop
        self._thread = threading.Thread(target=loop.run_forever, name="fake-provider", daemon=True)
        self._thread.start()
        self._do(self._listen)

    def stop(self) -> None:
        """Close everything. Safe to call twice."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._do(self._silence)
        self._loop = self._thread = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse connections: open ones are closed, new ones find a closed port. Afterwards it listens again."""
        self._do(self._silence)
        with socket.socket() as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", self._port))
            try:
                yield
            finally:
                held.close()
                self._do(self._listen)

    def wait_for(self, condition: Callable[[FakeProvider], bool], timeout: float = 20.0) -> bool:
        """Wait until the condition holds, which is looked at when a request comes or ends. False after the timeout."""
        with self._change:
            return self._change.wait_for(lambda: condition(self), timeout)

    def wait_idle(self, timeout: float = 20.0) -> bool:
        """Wait until no call is under way, so that `finished` and `aborted` stand. False after the timeout."""
        return self.wait_for(lambda _: self._open_calls == 0, timeout)

    def _do(self, step: Callable[[], object]) -> None:
        """Run a step in the server's thread, to its end."""
        loop = self._loop
        if loop is None:
            raise RuntimeError("The provider is not started.")

        async def run() -> None:
            made = step()
            if asyncio.iscoroutine(made):
                await made

        asyncio.run_coroutine_threadsafe(run(), loop).result(timeout=10)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._roster.closed = False
        self._server = await loop.create_server(
            lambda: Connection(self._serve, self._roster), "127.0.0.1", self._port, ssl=self._ssl
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def _silence(self) -> None:
        """Close the port and every connection. A connection that is just being made takes a few turns of the loop."""
        self._roster.closed = True
        for _ in range(5):
            await asyncio.sleep(0)
        if self._server is not None:
            self._server.close()
        await asyncio.gather(*(connection.drop() for connection in tuple(self._roster.opened)))
        for _ in range(5):
            await asyncio.sleep(0)

    async def _serve(self, seen: Seen) -> Exchange:
        with self._change:
            self._count += 1
            self._open_calls += 1
            seen.number = self._count
            self._seen.append(seen)
            self._change.notify_all()
        seen.fault = self.plan.next(seen.path, model_in(seen.body))
        answer = self._answer(seen)
        return Exchange(seen, steps(answer, seen.fault, seen.number), self.play.event_delay, self._done)

    def _answer(self, seen: Seen) -> Answer:
        if not self._admits(seen):
            dialect = dialect_of(seen.path) or "chat"
            return refusal(dialect, Problem(401, "The key is not known."), seen.number)
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in seen.headers]
        request = UpstreamRequest(seen.method, seen.path, headers, seen.body)
        stand_in: SimulatedModel | None = find_model(self.play.stand_in) if self.play.stand_in else None
        return respond(request, self.play.seed, seen.number, self._clock.now_us(), stand_in)[0]

    def _admits(self, seen: Seen) -> bool:
        key = self.play.api_key
        given = (seen.header("authorization"), seen.header("x-api-key"), seen.header("api-key"))
        return key is None or given[0] == f"Bearer {key}" or key in given[1:]

    def _done(self) -> None:
        with self._change:
            self._open_calls -= 1
            self._change.notify_all()
