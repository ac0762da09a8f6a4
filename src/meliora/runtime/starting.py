"""Starts without data, put together from settings and store: what the worker looks after, and what a person asks for once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from meliora.clock import Clock
from meliora.errors import InvalidRequest
from meliora.gateway.prices import Ask
from meliora.routing.pool import Catalogue
from meliora.settings import Settings
from meliora.store.store import Store

if TYPE_CHECKING:
    from meliora.gateway.catalog import Catalog
    from meliora.routing.learning.starting import Starting

log = structlog.get_logger(__name__)

PRICES_SECONDS = 3600.0
"""How old the price list may be by which a start is judged."""


class Offered:
    """The models of the settings at their prices, looked up when they are first asked for and then now and again."""

    def __init__(self, settings: Settings, clock: Clock, ask: Ask | None = None) -> None:
        self._settings, self._clock, self._ask = settings, clock, ask
        self._held: tuple[Catalog, Catalogue] | None = None
        self._looked = 0.0

    def __call__(self) -> Catalogue:
        """Give them."""
        return self._looked_up()[1]

    def catalog(self) -> Catalog:
        """Give them with their endpoints."""
        return self._looked_up()[0]

    def _looked_up(self) -> tuple[Catalog, Catalogue]:
        from meliora.gateway.offers import offers
        from meliora.runtime.gateway_parts import catalog_of

        now = self._clock.monotonic()
        if self._held is None or now - self._looked > PRICES_SECONDS:
            catalog = catalog_of(self._settings, self._clock, None, self._ask)
            self._held = catalog, offers(catalog, self._clock.monotonic)
            self._looked = now
        return self._held


def starting(settings: Settings, store: Store, offers: Callable[[], Catalogue]) -> Starting:
    """Give what begins policies; `settings` are the effective ones."""
    from meliora.routing.learning.starting import Starting

    return Starting(store.routing_snapshots, offers, settings.routing)


class Starter:
    """Begins policies by itself, tenant by tenant; what stands in the way of one is said once."""

    def __init__(self, settings: Settings, store: Store, offers: Callable[[], Catalogue]) -> None:
        self._settings, self._store, self._offers = settings, store, offers
        self._said: dict[str, str] = {}

    def step(self) -> bool:
        """Look at every tenant whose policy may move. Raises `MelioraError` where store, prices or the shipped prior cannot be read."""
        work = starting(self._settings, self._store, self._offers)
        for tenant in self._tenants():
            if self._store.trials.frozen(tenant):
                continue
            try:
                made = work.by_itself(tenant)
                self._said.pop(tenant, None)
                if made is not None:
                    reference = made.evidence["reference"]
                    log.info("a policy begins without data", tenant=tenant, number=made.number, reference=reference)
            except InvalidRequest as error:
                if self._said.get(tenant) != str(error):
                    log.warning("no policy begins; the classifier chooses", tenant=tenant, why=str(error))
                self._said[tenant] = str(error)
        return False

    def _tenants(self) -> list[str]:
        named = {*self._store.keys.tenants(), *self._store.routing_snapshots.tenants()}
        return sorted(named | {"default"} if self._settings.gateway.anonymous else named)
