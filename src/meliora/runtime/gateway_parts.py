"""What runs beside the gateway's requests: the ticker, the line to the control process, the reload of the settings."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path
from typing import Any

import structlog

from meliora import __version__
from meliora.clock import Clock
from meliora.errors import MelioraError
from meliora.gateway.app import Gateway, Lifespan, describe
from meliora.gateway.arms import Safety
from meliora.gateway.breaker import Breaker
from meliora.gateway.budgets import BudgetLedger
from meliora.gateway.cascade import check
from meliora.gateway.catalog import Building, Catalog
from meliora.gateway.catalog import build as build_catalog
from meliora.gateway.forward import Control
from meliora.gateway.http.server import ServerProtocol
from meliora.gateway.likings import Likings
from meliora.gateway.policies import Policies, TrialPolicies, refs_of
from meliora.gateway.prices import Ask, resolve
from meliora.gateway.safety import Guard
from meliora.gateway.simulated.upstream import SimulatedUpstream
from meliora.gateway.snapshot import Loaded, Snapshot, snapshot, with_loaded, with_safety
from meliora.gateway.state import State
from meliora.gateway.sync import Sync
from meliora.gateway.ticker import Ticker
from meliora.gateway.upstream import Upstream
from meliora.runtime.shared import effective, today
from meliora.settings import Settings
from meliora.settings.load import load
from meliora.settings.secret import resolve_secret
from meliora.telemetry.records import FORMAT
from meliora.telemetry.spool import SpoolWriter

log = structlog.get_logger(__name__)

GC_THRESHOLDS = (20_000, 20, 50)
"""A call makes a few hundred containers and nearly no cycles: at Python's 700 the collector would run on every call."""
STATE_FILE = "state.json"
RETIRED_SECONDS = 120.0
"""How long a provider's connections of before a reload are looked after at least: a call between two tries has none open."""


def catalog_of(
    settings: Settings,
    clock: Clock,
    before: Catalog | None,
    ask: Ask | None = None,
    simulated: Upstream | None = None,
) -> Catalog:
    """Build the catalog of these settings, prices looked up."""
    prices = resolve(settings, today(), ask)
    if prices.problem:
        log.warning(
            "the price list could not be read; prices that the settings lack are unknown", problem=prices.problem
        )
    building = Building(
        secret=resolve_secret,
        prices=prices.models,
        simulated=lambda _name, _provider: simulated or SimulatedUpstream(clock=clock),
        make_breaker=lambda: Breaker(settings.gateway.breaker),
        now_us=clock.now_us(),
    )
    return build_catalog(settings, building, before)


class Parts(Lifespan):
    """What runs beside the requests: the ticker, the line to the control process, the reload."""

    def __init__(
        self, settings: Settings, name: str, clock: Clock, spool: SpoolWriter, ledger: BudgetLedger, control: Control
    ) -> None:
        self._settings = settings
        self._name = name
        self._clock = clock
        self._spool = spool
        self._ledger = ledger
        self._ticker = Ticker()
        self._gateway: Gateway | None = None
        self._shouted = 0
        self._loses = False
        self._reloading = asyncio.Lock()
        self._started_us = clock.now_us()
        self._cache_epoch: Any = None
        self._retired: list[tuple[Upstream, float]] = []
        self.sync = Sync(
            control, ledger, settings.server.state_dir / STATE_FILE, self._take_state, self._heartbeat, name, clock
        )
        self.sync.on_answer = self._heard
        self.sync.on_renewal = self._renewed
        self.policies = Policies(control, settings.server.state_dir, self._take_loaded)
        self.likings = Likings(control, settings.server.state_dir, self._take_loaded)
        self.trialled = TrialPolicies(control, settings.server.state_dir, self._take_loaded)
        self.guard = Guard(settings.server.state_dir, clock.monotonic(), 0.0)

    def adopt(self, gateway: Gateway, state: State) -> None:
        """Belong to a gateway."""
        self._gateway = gateway
        gateway.house.shadows.current = lambda: gateway.snapshot
        self._set_secret(gateway, state)

    async def start(self, gateway: Gateway) -> None:
        """Begin before the first request."""
        self._ticker.add(self._tick)
        self._ticker.start()
        self.sync.start()
        self.policies.start()
        self.likings.start()
        self.trialled.start()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        log.info("the gateway serves", version=__version__, models=len(gateway.snapshot.catalog.models))

    async def stop(self, gateway: Gateway) -> None:
        """End after the last."""
        self._ticker.stop()
        await gateway.house.shadows.close()
        await self.policies.stop()
        await self.likings.stop()
        await self.trialled.stop()
        await self.sync.stop()
        await gateway.snapshot.catalog.close()
        await gateway.control.upstream.close()
        self._spool.close()

    def refresh(self, gateway: Gateway) -> None:
        """Bring the gauges up to date before they are read."""
        metrics, now = gateway.house.means.metrics, self._clock.monotonic()
        metrics.in_flight.set(gateway.house.admission.in_flight)
        metrics.spool_dropped.set(self._spool.dropped)
        metrics.spool_appended.set(self._spool.appended)
        for endpoint, breaker in gateway.snapshot.catalog.breakers.items():
            metrics.breaker.labels(endpoint).set(0.0 if breaker.available(now) else 1.0)
        heard = self.sync.heard
        metrics.policies.set(len(self.policies.serving))
        metrics.policies_refused.set(self.policies.refused)
        metrics.state_age.set(asyncio.get_running_loop().time() - heard if heard else float("inf"))

    async def reload(self, config: Path | None) -> None:
        """Read the settings again and swap them in; what is wrong with them is said, and the old ones serve on."""
        async with self._reloading:  # what was read earlier must not come in later
            await self._reload(config)

    async def _reload(self, config: Path | None) -> None:
        gateway = self._gateway
        assert gateway is not None
        before = gateway.snapshot
        try:
            settings = effective(await asyncio.to_thread(load, str(config) if config else None))
            catalog = await asyncio.to_thread(catalog_of, settings, self._clock, before.catalog)
            check(settings.routing.cascade, catalog)
        except MelioraError as error:
            log.error("the new settings were refused; the old ones serve on", error=str(error))
            return
        if (settings.server, settings.store) != (before.settings.server, before.settings.store):
            log.warning("changes of [server] and [store] take a restart")
        self._adapt(gateway, settings, catalog)
        # A state may have come while they were read: keys that were revoked, a kill switch that was turned.
        gateway.snapshot = self.snapshot(settings, catalog, gateway.snapshot.state)
        log.info("the settings were reloaded", models=len(catalog.models))
        self._retire(before.catalog)

    def _adapt(self, gateway: Gateway, settings: Settings, catalog: Catalog) -> None:
        """Tell what outlives a snapshot of the new settings."""
        house, made = gateway.house, settings.gateway
        house.watch.keepalive = made.keepalive
        house.watch.client_stall = made.limits.client_stall
        house.admission.limiter.concurrent = made.limits.concurrent_calls
        house.means.budget.settings = house.shadows.means.budget.settings = made.retry
        house.replies.adapt(made)
        self._ledger.adapt(made)
        self._spool.segment_bytes = settings.recording.segment_bytes
        self._spool.max_bytes = settings.recording.spool_max_bytes
        gateway.control.body_limit = made.limits.body_bytes
        ServerProtocol.head_limit = made.limits.header_bytes
        for breaker in catalog.breakers.values():
            breaker.adapt(made.breaker)

    def _retire(self, catalog: Catalog) -> None:
        """Let the calls of an old catalog end, with their timeouts, on the connections that they have."""
        until = asyncio.get_running_loop().time() + RETIRED_SECONDS
        for account in catalog.accounts.values():
            account.upstream.retire()
            self._retired.append((account.upstream, until))

    def snapshot(self, settings: Settings, catalog: Catalog, state: State) -> Snapshot:
        """Put a snapshot together of what is loaded, as safe as it is now; what is left out of it is said."""
        made = snapshot(settings, catalog, state, self._clock.monotonic, self._loaded(), self._safety(state))
        refused = dict(made.rules.refused)
        for rules in made.overlays.values():
            refused.update(rules.refused)
        for rule, problem in refused.items():
            log.error("a routing rule was left out", rule=rule, problem=problem)
        return made

    def _loaded(self) -> Loaded:
        return Loaded(self.policies.serving, self.likings.serving, self.trialled.serving)

    def _safety(self, state: State) -> Safety:
        return self.guard.judge(self._clock.monotonic(), halted=state.halted, lease_seconds=state.lease_seconds)

    def _renewed(self) -> None:
        self.guard.renew(self._clock.monotonic())

    def _take_state(self, state: State) -> None:
        gateway = self._gateway
        assert gateway is not None
        before = gateway.snapshot
        self.policies.want(state.policies)
        self.likings.want(state.preferences)
        self.trialled.want(refs_of(state))
        gateway.snapshot = self.snapshot(before.settings, before.catalog, state)
        gateway.house.shadows.hold(gateway.snapshot)
        gateway.house.admission.limiter.gateways = max(1, state.gateways)
        self._set_secret(gateway, state)
        if state.erased_us > before.state.erased_us:
            self._spool.close()  # it may hold words of somebody who was erased; the next record opens another
        if state.kill_epoch != before.state.kill_epoch:
            self.sync.beat_now()
        log.info("a new state was taken", version=state.version, keys=len(state.keys), rules=len(state.rules))

    def _take_loaded(self) -> None:
        gateway = self._gateway
        assert gateway is not None
        gateway.snapshot = with_loaded(gateway.snapshot, self._loaded())

    def _set_secret(self, gateway: Gateway, state: State) -> None:
        secret = bytes.fromhex(state.secret)
        gateway.house.recorder.rekey(secret)
        gateway.house.ids.rekey(secret)

    def _heartbeat(self) -> dict[str, Any]:
        gateway = self._gateway
        assert gateway is not None
        self._spool.rest()
        now = self._clock.monotonic()
        breakers = {name: breaker.view(now) for name, breaker in gateway.snapshot.catalog.breakers.items()}
        return {
            "id": self._name,
            "version": __version__,
            "record_format": FORMAT,
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "started_us": self._started_us,
            "state_version": gateway.snapshot.state.version,
            "kill_epoch": gateway.snapshot.state.kill_epoch,
            "breakers": breakers,
            "counters": {
                **describe(gateway),
                "spool_appended": self._spool.appended,
                "spool_dropped": self._spool.dropped,
                "spool_error": self._spool.last_error,
                "cache": gateway.house.replies.stats(),
                "policies": {tenant: policy.number for tenant, policy in self.policies.serving.items()},
                "policy_troubles": self.policies.troubles,
                "preference_troubles": self.likings.troubles,
                "trial_troubles": self.trialled.troubles,
                "halted": gateway.snapshot.safety.halted,
                "halted_by_file": self.guard.by_file,
                "lapsed": gateway.snapshot.safety.lapsed,
                "shadows": {"under_way": gateway.house.shadows.under_way, "left_out": gateway.house.shadows.left_out},
            },
        }

    def _heard(self, answer: dict[str, Any]) -> None:
        epoch = answer.get("cache_epochs")
        if epoch is not None and epoch != self._cache_epoch:
            if self._cache_epoch is not None and self._gateway is not None:
                self._gateway.house.replies.clear(changed(self._cache_epoch, epoch))
            self._cache_epoch = epoch

    def _tick(self, now: float) -> None:
        gateway = self._gateway
        if gateway is None:
            return
        gateway.house.watch.tick(now)
        before = gateway.snapshot
        safety = self._safety(before.state)
        if safety != before.safety:
            gateway.snapshot = with_safety(before, safety)
            gateway.house.shadows.hold(gateway.snapshot)
            self.sync.beat_now()
        for account in gateway.snapshot.catalog.accounts.values():
            account.upstream.check(now)
        gateway.control.upstream.check(now)
        if self._retired:
            for upstream, _ in self._retired:
                upstream.check(now)
            self._retired = [(one, until) for one, until in self._retired if one.busy or now < until]
        loses = self._spool.last_error is not None
        if loses != self._loses:
            self._loses = loses
            self.sync.beat_now()  # so that the health says so now
        if self._spool.dropped > self._shouted:
            log.critical(
                "records of calls are being lost; the calls themselves go on",
                lost=self._spool.dropped,
                reason=self._spool.last_error,
            )
            self._shouted = self._spool.dropped * 2


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """Give the tenants whose number changed."""
    return {tenant for tenant, epoch in after.items() if before.get(tenant) != epoch}
