"""A control app over a real store, and a client for it that carries a key."""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.testclient import TestClient

from meliora.gateway.snapshot import rules_of
from meliora.gateway.state import Scope
from meliora.routing.crosscheck import Told
from meliora.runtime.control import Offers, improvement_of
from meliora.runtime.knowledge.erasing import Erasing
from meliora.runtime.knowledge.plane import knowledge_of
from meliora.runtime.shared import effective
from meliora.server import ControlContext, build_app
from meliora.server.context import DiskSeen
from meliora.settings.models import Server, Settings
from meliora.store import Store
from meliora.store.engine import connect, database_url
from meliora.store.keys import KeyWish
from meliora.store.migrate import upgrade
from meliora.telemetry.ingest import Ingester
from meliora.telemetry.records import CallBegun, CallFinished, Usage
from meliora.telemetry.rollups import Roller
from meliora.telemetry.spool import SpoolReader, SpoolWriter
from meliora.testing.clock import FrozenClock

ROOMY = DiskSeen(path="/state", free_bytes=10**12, free_files=10**6)
ALL: tuple[Scope, ...] = ("call", "feedback", "read", "admin")


@dataclass
class House:
    """What a test works with."""

    context: ControlContext
    app: FastAPI
    clock: FrozenClock
    spool: Path

    @property
    def store(self) -> Store:
        return self.context.store

    def key(self, tenant: str = "default", *scopes: Scope, **limits: Any) -> str:
        """Make a key and give its secret."""
        wish = KeyWish(name=tenant, scopes=scopes or ALL, **limits)
        return self.store.keys.create(tenant, wish).secret

    def call(self, **fields: Any) -> str:
        """Record a call that just ended, as a gateway does, and give its id. It is in the spool, not in the store."""
        call_id = self.store.call_ids.new()
        self.record(finished(call_id, self.clock.now_us(), **fields))
        return call_id

    def record(self, *records: CallBegun | CallFinished) -> None:
        """Write records to the spool."""
        writer = SpoolWriter(self.spool)
        for record in records:
            assert writer.append(msgspec.json.encode(record))
        writer.close()

    def ingest(self) -> None:
        """Do what the worker does: take the spool, roll up."""
        ingester = Ingester(SpoolReader(self.spool), self.store.sink, self.clock.now_us)
        while ingester.step().more:
            pass
        while Roller(self.store.windows).step():
            pass

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


@cache
def empty_database() -> Path:
    """Give a database that has the schema and nothing in it, made once a run."""
    directory = TemporaryDirectory(prefix="meliora-")
    atexit.register(directory.cleanup)
    engine = connect(database_url("", Path(directory.name)))
    upgrade(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()
    engine.dispose()
    return Path(directory.name) / "meliora.db"


@contextmanager
def control_house(
    state_dir: Path, settings: Settings | None = None, *, database: str = "", **changes: Any
) -> Iterator[House]:
    """Give an app over an empty store, of SQLite or at the URL `database`; `changes` replace fields of its context."""
    clock = FrozenClock()
    given = settings or Settings()
    served = effective(given.model_copy(update={"server": Server(state_dir=state_dir)}))
    engine = connect(database_url(database, state_dir))
    if database:
        upgrade(engine)
    else:
        shutil.copy(empty_database(), state_dir / "meliora.db")
    with (
        Store(engine, clock_us=clock.now_us, spool=state_dir / "spool") as store,
        knowledge_of(served, store, clock) as plane,
    ):
        offers = Offers(served, clock, store)
        context = ControlContext(
            settings=served,
            store=store,
            clock=clock,
            improvement=improvement_of(store),
            offers=offers,
            price=offers.price,
            erase=Erasing(served, store, plane),
            ask=lambda _secret, _feature, _seconds: lambda model, _messages, _schema: Told("Yes.", model),
            knowledge=plane,
            disks=lambda: (ROOMY,),
            settings_rules=rules_of(served),
            version="0.0.test",
            look_seconds=0.0,
        )
        context = replace(context, **changes)
        yield House(context, build_app(context), clock, state_dir / "spool")


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
