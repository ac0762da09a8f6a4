"""The control process: the HTTP API over the store, served on a Unix socket that only its owner can use."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import structlog
from fastapi import FastAPI

from meliora import __version__
from meliora.clock import Clock, SystemClock
from meliora.errors import StoreError
from meliora.gateway.catalog import Endpoint
from meliora.gateway.offers import offers
from meliora.gateway.prices import Ask
from meliora.gateway.rates import cost_micros
from meliora.gateway.snapshot import rules_of
from meliora.knowledge.front import Plane
from meliora.routing.pool import Catalogue
from meliora.routing.rules import validate_pattern
from meliora.runtime.acknowledging import obeying
from meliora.runtime.asking import gateway_url
from meliora.runtime.disks import look_at_disks, written_to
from meliora.runtime.gateway_parts import catalog_of
from meliora.runtime.knowledge.erasing import Erasing
from meliora.runtime.knowledge.plane import knowledge_of
from meliora.runtime.legs import asking
from meliora.runtime.loop import loop_of
from meliora.runtime.shared import (
    control_socket,
    effective,
    on_signals,
    open_store,
    private_dir,
    process_name,
    spool_dir,
    start_logging,
)
from meliora.runtime.warming import make_ready
from meliora.server.app import build_app
from meliora.server.context import ControlContext, SpoolSeen
from meliora.settings import Settings
from meliora.store.gateways import GatewaySeen
from meliora.store.migrate import upgrade
from meliora.store.routing.heuristics import RuleHeuristics
from meliora.store.store import Store
from meliora.telemetry.improvement import ImprovementManager, Sources
from meliora.telemetry.records import Usage
from meliora.telemetry.spool import SpoolReader

log = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0
"""How old the gateways' word on their endpoints may be; they give it as often."""


class Offers:
    """The models on offer and their prices, with the health that the gateways report: this process makes no calls itself."""

    def __init__(self, settings: Settings, clock: Clock, store: Store, ask: Ask | None = None) -> None:
        """Build the catalog of the effective settings. Raises `SettingsError`."""
        self._clock = clock
        self._store = store
        self._catalog = catalog_of(settings, clock, None, ask)
        self._offers = offers(self._catalog, clock.monotonic, self._health)
        self._open: frozenset[str] = frozenset()
        self._looked = float("-inf")

    def __call__(self) -> Catalogue:
        """Give the models."""
        return self._offers

    def price(self, model: str, usage: Usage) -> int | None:
        """Estimate what a model's cheapest priced endpoint charges."""
        entry = self._catalog.find(model)
        costs = [cost_micros(usage, endpoint.rates) for endpoint in entry.endpoints] if entry is not None else []
        return min((cost for cost in costs if cost is not None), default=None)

    def _health(self, endpoint: Endpoint) -> float:
        """Give 0 for an endpoint that every gateway which reports it has taken out."""
        now = self._clock.monotonic()
        if now - self._looked > LOOK_SECONDS:
            self._looked = now
            self._open = open_endpoints(self._store.gateways.list(self._clock.now_us()))
        return 0.0 if endpoint.id in self._open else 1.0


def open_endpoints(gateways: Iterable[GatewaySeen]) -> frozenset[str]:
    """Give the endpoints that are out at every living gateway that knows them."""
    states: dict[str, set[object]] = {}
    for gateway in gateways:
        if gateway.alive:
            for name, view in gateway.breakers.items():
                states.setdefault(name, set()).add(view.get("state") if isinstance(view, dict) else None)
    return frozenset(name for name, seen in states.items() if seen == {"open"})


def improvement_of(store: Store) -> ImprovementManager:
    """Give the improvement manager over a store."""
    return ImprovementManager(
        Sources(
            heuristics=RuleHeuristics(store.rules),
            metrics=store.metrics,
            performances=store.model_performances,
            check_pattern=validate_pattern,
            create_tables=lambda: upgrade(store.engine),
        )
    )


def look_at_spool(directory: Path, offsets: Callable[[], dict[str, int]]) -> SpoolSeen:
    """Count what waits in the spool of this machine; all of it where the store cannot say what was taken."""
    try:
        taken = offsets()
    except StoreError:
        taken = {}
    reader = SpoolReader(directory)
    segments = reader.segments()
    quarantine = directory / "quarantine"
    kept = sum(1 for path in quarantine.glob("*") for _ in path.open("rb")) if quarantine.is_dir() else 0
    return SpoolSeen(
        bytes_waiting=sum(max(0, reader.size(segment) - taken.get(segment, 0)) for segment in segments),
        segments=len(segments),
        quarantined=kept,
    )


def run(settings: Settings, config: Path | None = None) -> None:
    """Serve until a signal. Other settings take a restart, which the supervisor does at SIGHUP."""
    import uvicorn

    start_logging(settings, "control")
    settings = effective(settings)
    clock = SystemClock()
    with open_store(settings) as store, knowledge_of(settings, store, clock) as knowledge:
        offers = Offers(settings, clock, store)
        name = process_name("control")
        served = uvicorn.Config(
            build_app(context_of(settings, store, clock, offers, knowledge=knowledge, name=name)),
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            forwarded_allow_ips="*",
            timeout_graceful_shutdown=1,
        )
        bound = bind(control_socket(settings))
        server = uvicorn.Server(served)
        # uvicorn ends at a signal and raises it again behind itself: heeded here, what is open is closed then.
        on_signals(partial(setattr, server, "should_exit", True))
        log.info("the control process serves", version=__version__)
        with obeying(settings, store, clock, name, knowledge, signals=True):
            server.run(sockets=[bound])


def build(
    settings: Settings,
    store: Store,
    clock: Clock,
    offers: Offers,
    gateway: Callable[[], str] | None = None,
    knowledge: Plane | None = None,
) -> FastAPI:
    """Give the control process's app; `settings` are the effective ones, `gateway` says where the gateway is."""
    return build_app(context_of(settings, store, clock, offers, gateway, knowledge))


def context_of(
    settings: Settings,
    store: Store,
    clock: Clock,
    offers: Offers,
    gateway: Callable[[], str] | None = None,
    knowledge: Plane | None = None,
    name: str = "",
) -> ControlContext:
    """Give all that the routes are given; `name` is this process's, drawn where it is empty."""
    make_ready()
    began = clock.monotonic()
    loop = loop_of(
        settings, store, clock, name or process_name("control"), uptime=lambda: round(clock.monotonic() - began, 1)
    )
    return ControlContext(
        settings=settings,
        store=store,
        clock=clock,
        improvement=improvement_of(store),
        offers=offers,
        price=offers.price,
        erase=Erasing(settings, store, knowledge, loop.archive),
        ask=asking(gateway or partial(gateway_url, settings), offers, clock),
        spool=lambda: look_at_spool(spool_dir(settings), store.sink.offsets),
        disks=partial(look_at_disks, written_to(settings)),
        settings_rules=rules_of(settings),
        loop=loop,
        knowledge=knowledge,
        version=__version__,
    )


def bind(path: Path) -> socket.socket:
    """Bind the socket so that nobody else can ever connect to it, not even for a moment."""
    private_dir(path.parent)
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        bound.bind(str(path))
    finally:
        os.umask(before)
    return bound
