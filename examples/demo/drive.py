"""Meliora in this process, on a clock that the driver moves: requests go through the real gateway and control apps, by ASGI.

Nothing of it is stood in for but the provider and the time. The worker's tasks are those of `meliora up`, run when a step is over.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from meliora.gateway.prices import Found
from meliora.gateway.snapshot import rules_of
from meliora.gateway.state import State
from meliora.gateway.sync import keep
from meliora.gateway.upstream import Upstream
from meliora.loop.front import Loop
from meliora.runtime.control import Offers
from meliora.runtime.control import build as build_control
from meliora.runtime.gateway import STATE_FILE, Parts
from meliora.runtime.gateway import build as build_gateway
from meliora.runtime.loop import loop_of
from meliora.runtime.shared import private_dir
from meliora.runtime.worker import build as build_worker
from meliora.settings import Settings
from meliora.store.engine import connect, database_url
from meliora.store.keys import KeyWish
from meliora.store.migrate import upgrade
from meliora.store.store import Store
from meliora.testing import FrozenClock

SECRET = "mel_demo-key-of-the-application"
TENANT = "default"
_MOST_EDGES = 50
"""Edges that one settling takes: what is due again at once is not waited for."""


@dataclass(frozen=True)
class Told:
    """What came back of a request."""

    status: int
    headers: dict[str, str]
    body: bytes


class Deployment:
    """Everything. `store` is left open for whoever reads the record, and closed by them."""

    def __init__(self, settings: Settings, clock: FrozenClock, seed: int, provider: Upstream) -> None:
        """Set up, with ids drawn by the seed; the settings are those of the file that commands read later."""
        self.settings, self.clock = settings, clock
        randbytes = random.Random(f"{seed}:ids").randbytes
        state_dir = private_dir(settings.server.state_dir)
        engine = connect(database_url(settings.store.url, state_dir))
        upgrade(engine)
        self.store = Store(
            engine,
            clock_us=clock.now_us,
            randbytes=randbytes,
            lease_seconds=settings.loop.gateway_lease_seconds,
            spool=state_dir / "spool",
            state_dir=state_dir,
        )
        wish = KeyWish(name="application", scopes=("admin", "call", "feedback", "read"))
        self.store.keys.create(TENANT, wish, secret=SECRET)
        keep(state_dir / STATE_FILE, msgspec.json.encode(self._state()))
        self.gateway = build_gateway(settings, clock, _no_list, provider)
        self.control = build_control(
            settings, self.store, clock, Offers(settings, clock, self.store, _no_list), lambda: "http://demo.invalid"
        )
        self.loop: Loop = loop_of(settings, self.store, clock, "worker-demo", lambda _: None, randbytes)
        self._worker = build_worker(_without_loop(settings), self.store, clock)
        self._version = -1
        self._follow()

    async def call(self, body: dict[str, Any], **headers: str) -> Told:
        """Make a model call."""
        return await _asked(self.gateway, "POST", "/v1/chat/completions", body, headers)

    async def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Told:
        """Ask the control app for something."""
        return await _asked(self.control, method, path, body, {})

    def settle(self) -> None:
        """Let the worker do all it has to do now, and the gateway take the state that came of it."""
        for task in self._worker.tasks:
            task.due = 0.0
        self._worker.once()
        if self._worker.errors:
            raise RuntimeError(f"The worker failed: {self._worker.errors}")
        self.loop.pulse.tick()
        for _ in range(_MOST_EDGES):
            if not self.loop.engine.step():
                break
        self._follow()

    def _state(self) -> State:
        return self.store.states.load(rules_of(self.settings), self.clock.now_us())

    def _follow(self) -> None:
        """Give the gateway what serves now, as its line to the control process does."""
        state, parts = self._state(), self.gateway.lifespan
        assert isinstance(parts, Parts)
        parts.guard.renew(self.clock.monotonic())
        if state.version != self._version:
            self.gateway.snapshot = parts.snapshot(self.settings, self.gateway.snapshot.catalog, state)
            self._version = state.version


def _without_loop(settings: Settings) -> Settings:
    """Leave the loop to the driver: in the worker it runs in threads, whose order is not the same twice."""
    return settings.model_copy(update={"loop": settings.loop.model_copy(update={"enabled": False})})


def _no_list(_queries: object, _today: object) -> list[Found]:
    return []


async def _asked(
    app: Callable[..., Any], method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]
) -> Told:
    """Send a request to an ASGI application."""
    sent = json.dumps(body).encode() if body is not None else b""
    head = {"authorization": f"Bearer {SECRET}", "content-type": "application/json", "host": "demo", **headers}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in head.items()],
        "client": ("127.0.0.1", 1),
        "server": ("demo", 80),
    }
    got: list[dict[str, Any]] = []
    messages = iter([{"type": "http.request", "body": sent, "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        got.append(message)

    await app(scope, receive, send)
    start = got[0]
    named = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Told(start["status"], named, b"".join(one.get("body", b"") for one in got[1:]))
