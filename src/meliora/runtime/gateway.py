"""The gateway process: put together from the settings, served by uvicorn, reloaded without dropping a call."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
from pathlib import Path
from typing import Any

import structlog

from meliora.clock import Clock, SystemClock
from meliora.errors import SettingsError
from meliora.gateway.admission import Admission
from meliora.gateway.app import Gateway
from meliora.gateway.budgets import BudgetLedger
from meliora.gateway.cascade import check
from meliora.gateway.entropy import Entropy
from meliora.gateway.forward import Control
from meliora.gateway.http.server import ServerProtocol
from meliora.gateway.limits import Limiter
from meliora.gateway.metrics import Metrics
from meliora.gateway.policies import refs_of
from meliora.gateway.prices import Ask
from meliora.gateway.recorder import Recorder
from meliora.gateway.replies import Replies
from meliora.gateway.retry import RetryBudget
from meliora.gateway.safety import Guard
from meliora.gateway.serve import House
from meliora.gateway.shadow import Shadows
from meliora.gateway.state import State
from meliora.gateway.sync import kept_state
from meliora.gateway.tries import Means
from meliora.gateway.upstream import Upstream
from meliora.gateway.watch import Watch
from meliora.routing.escalation import Failures
from meliora.runtime.gateway_parts import STATE_FILE, Parts, catalog_of
from meliora.runtime.shared import control_socket, effective, process_name, spool_dir, start_logging
from meliora.runtime.warming import make_ready
from meliora.settings import Settings
from meliora.telemetry.ids import CallIds
from meliora.telemetry.redaction import Redactor
from meliora.telemetry.spool import SpoolWriter

log = structlog.get_logger(__name__)


def build(
    settings: Settings, clock: Clock | None = None, ask: Ask | None = None, simulated: Upstream | None = None
) -> Gateway:
    """Give the ASGI application with all that runs beside it. Raises `SettingsError`.

    `ask` stands in for the price list, `simulated` for the built-in provider behind accounts of kind `simulated`.
    """
    clock = clock or SystemClock()
    settings = effective(settings)
    name = process_name("gateway")
    catalog = catalog_of(settings, clock, None, ask, simulated)
    check(settings.routing.cascade, catalog)
    state = kept_state(settings.server.state_dir / STATE_FILE) or State(0, clock.now_us(), os.urandom(32).hex())
    metrics = Metrics()
    spool = SpoolWriter(
        spool_dir(settings),
        segment_bytes=settings.recording.segment_bytes,
        max_bytes=settings.recording.spool_max_bytes,
    )
    recorder = Recorder(spool, metrics, clock, Redactor(), name)
    ledger = BudgetLedger(settings.gateway)
    control = Control(str(control_socket(settings)), body_limit=settings.gateway.limits.body_bytes)
    parts = Parts(settings, name, clock, spool, ledger, control)
    admission = Admission(clock, Limiter(settings.gateway.limits.concurrent_calls), ledger, parts.sync.lease)
    randbytes = Entropy()
    ids = CallIds(bytes.fromhex(state.secret), clock.now_us, randbytes)
    failures = Failures()
    # Its own budget of retries, randomness and counts: ordinary calls go on as if there were no shadows.
    apart = Means(clock, random.Random(), RetryBudget(settings.gateway.retry), Metrics())
    house = House(
        means=Means(clock, random.Random(), RetryBudget(settings.gateway.retry), metrics),
        recorder=recorder,
        admission=admission,
        replies=Replies(settings.gateway, clock),
        watch=Watch(settings.gateway.keepalive, settings.gateway.limits.client_stall),
        ids=ids,
        randbytes=randbytes,
        shadows=Shadows(apart, recorder, admission, ids, randbytes, failures),
        failures=failures,
    )
    make_ready()
    parts.policies.restore(state.policies)
    parts.likings.restore(state.preferences)
    parts.trialled.restore(refs_of(state))
    parts.guard = Guard(settings.server.state_dir, clock.monotonic(), (clock.now_us() - state.made_us) / 1e6)
    gateway = Gateway(house, control, parts.snapshot(settings, catalog, state), parts)
    parts.adopt(gateway, state)
    return gateway


def run(settings: Settings, config: Path | None = None) -> None:
    """Serve until a signal. SIGHUP reloads."""
    import uvicorn

    start_logging(settings, "gateway")
    allow_connections()
    gateway = build(settings)
    ServerProtocol.head_limit = settings.gateway.limits.header_bytes
    server = uvicorn.Server(
        uvicorn.Config(
            gateway,
            host=settings.server.host,
            port=settings.server.port,
            loop="uvloop",
            http=ServerProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=4096,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=max(1, round(settings.server.drain_seconds)),
        )
    )
    gateway.house.shadows.draining = lambda: server.should_exit
    _run(server, gateway, config)


def allow_connections() -> None:
    """Let this process open as many files as it may: a call takes two connections, and many systems begin at 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError) as error:
        log.warning("the limit of open files stays as it is", error=str(error))


def _run(server: Any, gateway: Gateway, config: Path | None) -> None:
    import uvloop

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        lifespan = gateway.lifespan
        if isinstance(lifespan, Parts):
            loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(lifespan.reload(config)))
        await server.serve()

    uvloop.run(serve())
    if not server.started:
        raise SettingsError(
            f"The gateway could not listen on {server.config.host}:{server.config.port}.",
            hint="Another process may hold the port; set server.port.",
        )
