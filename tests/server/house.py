"""A control app over a real store, and a client for it that carries a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from meliora.gateway.catalog import Catalog
from meliora.gateway.offers import offers
from meliora.gateway.rates import cost_micros
from meliora.gateway.snapshot import rules_of
from meliora.gateway.state import Scope
from meliora.runtime.gateway import catalog_of
from meliora.runtime.shared import effective
from meliora.server import ControlContext, build_app
from meliora.settings.models import Server, Settings
from meliora.store import Store
from meliora.store.improvement import improvement
from meliora.store.keys import KeyWish
from meliora.telemetry.records import CallFinished, Usage
from meliora.testing import FrozenClock
from meliora.testing.store import temporary_store

ALL: tuple[Scope, ...] = ("call", "feedback", "read", "admin")
SOCKET = "http://control"
"""A base URL without a port looks to the app as its Unix socket does."""


@dataclass
class House:
    """What a test works with."""

    context: ControlContext
    app: FastAPI
    clock: FrozenClock

    @property
    def store(self) -> Store:
        return self.context.store

    def key(self, tenant: str = "default", *scopes: Scope, **limits: Any) -> str:
        """Make a key and give its secret."""
        wish = KeyWish(name=tenant, scopes=scopes or ALL, **limits)
        return self.store.keys.create(tenant, wish).secret

    def client(self, secret: str | None = None) -> TestClient:
        """Give a client that carries a key, coming the way a gateway passes requests on."""
        headers = {"x-forwarded-for": "127.0.0.1"}
        if secret is not None:
            headers["authorization"] = f"Bearer {secret}"
        return TestClient(self.app, headers=headers, raise_server_exceptions=False)

    def gateway(self) -> TestClient:
        """Give a client that comes over the socket, as a gateway does for itself."""
        return _SocketClient(self.app, raise_server_exceptions=False)


class _SocketClient(TestClient):
    """Starlette's client always names a port; a socket has none."""

    def __init__(self, app: FastAPI, **options: Any) -> None:
        async def over_socket(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope = {**scope, "server": ("/run/control.sock", None), "client": None}
            await app(scope, receive, send)

        super().__init__(over_socket, **options)


@contextmanager
def control_house(state_dir: Path, settings: Settings | None = None, **changes: Any) -> Iterator[House]:
    """Give an app over an empty SQLite store; `changes` replace fields of its context."""
    clock = FrozenClock()
    given = settings or Settings()
    served = effective(given.model_copy(update={"server": Server(state_dir=state_dir)}))
    catalog = catalog_of(served, clock, None)
    with temporary_store(clock) as store:
        context = ControlContext(
            settings=served,
            store=store,
            clock=clock,
            improvement=improvement(store),
            offers=lambda: offers(catalog, clock.monotonic),
            price=lambda model, usage: _price(catalog, model, usage),
            erase=lambda tenant, user: {"calls": 0},
            settings_rules=rules_of(served),
            version="0.0.test",
            look_seconds=0.0,
        )
        context = replace(context, **changes)
        yield House(context, build_app(context), clock)


def _price(catalog: Catalog, model: str, usage: Usage) -> int | None:
    entry = catalog.find(model)
    costs = [cost_micros(usage, endpoint.rates) for endpoint in entry.endpoints] if entry is not None else []
    return min((cost for cost in costs if cost is not None), default=None)


def finished(call_id: str, started_us: int, **fields: Any) -> CallFinished:
    """Make the record of a call that went well; `fields` say what was different."""
    given: dict[str, Any] = {
        "tenant": "default",
        "key_id": "key_1",
        "gateway": "g1",
        "dialect": "chat",
        "model_asked": "auto",
        "model": "sim-small",
        "outcome": "ok",
        "status": 200,
        "ended_us": started_us + 250_000,
        "usage": Usage(input=100, output=20),
        "usage_source": "provider",
        "cost_micros": 1_500,
        "reason": "classifier:fast",
        "tier": "fast",
        "task": "chat",
    }
    return CallFinished(id=call_id, started_us=started_us, **{**given, **fields})


def error_of(answer: Any) -> Mapping[str, Any]:
    """Give the error of an answer; an assertion fails where it is none."""
    body = answer.json()
    assert set(body) == {"error"}, body
    assert set(body["error"]) == {"code", "message", "hint", "field"}
    return body["error"]
