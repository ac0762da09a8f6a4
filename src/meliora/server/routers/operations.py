"""Running the deployment: who is alive, which endpoints are out, who did what, what the caches hold."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query

from meliora.server.again import Again
from meliora.server.auth import AdminCaller, HereControl, ReadCaller
from meliora.server.inputs import Cursor, Filter, PageLimit
from meliora.server.routers.internal import CACHE_EPOCH
from meliora.server.shapes import Answer, says
from meliora.store.activity import ActivityEntry
from meliora.store.cursors import Page
from meliora.store.gateways import GatewaySeen
from meliora.telemetry.processes import WorkerBeat, workers

router = APIRouter(prefix="/api/v1", tags=["operations"], route_class=Again)


class BreakerSeen(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint's circuit breaker as one gateway reported it."""

    gateway: str
    endpoint: str
    state: str
    """`closed`, `open`, `half_open`, or `unknown`."""
    seen_us: int
    detail: dict[str, Any]


class Breakers(msgspec.Struct, frozen=True):
    """The breakers of the gateways that are alive."""

    items: tuple[BreakerSeen, ...]


class Processes(msgspec.Struct, frozen=True):
    """The gateways and workers that reported within a day."""

    gateways: tuple[GatewaySeen, ...]
    workers: tuple[WorkerBeat, ...]


class Cleared(msgspec.Struct, frozen=True):
    """The caches of the tenant are cleared by each gateway at its next heartbeat, within seconds."""

    epoch: int
    gateways: int


class CacheStats(msgspec.Struct, frozen=True):
    """Sums over the gateways that are alive, and each of them."""

    total: dict[str, float]
    gateways: dict[str, dict[str, Any]]


@router.get("/breakers", **says(Breakers))
def breakers(caller: ReadCaller, control: HereControl) -> Answer:
    """List the circuit breakers, as the gateways reported them."""
    seen = [one for one in control.store.gateways.list(control.now_us()) if one.alive]
    return Answer(
        Breakers(
            tuple(
                BreakerSeen(
                    gateway=one.id,
                    endpoint=endpoint,
                    state=str(_as_dict(view).get("state", "unknown")),
                    seen_us=one.seen_us,
                    detail=_as_dict(view),
                )
                for one in seen
                for endpoint, view in sorted(one.breakers.items())
            )
        )
    )


@router.get("/gateways", **says(Processes))
def gateways(caller: AdminCaller, control: HereControl) -> Answer:
    """List the processes that reported within a day."""
    now = control.now_us()
    return Answer(Processes(control.store.gateways.list(now), workers(control.store.deployment, now)))


@router.get("/activity", **says(Page[ActivityEntry]))
def activity(
    caller: AdminCaller, control: HereControl, action: Filter = None, limit: PageLimit = 50, cursor: Cursor = None
) -> Answer:
    """List who did what, the newest first."""
    return Answer(control.store.activity.list(caller.tenant, action=action, limit=limit, cursor=cursor))


@router.post("/cache/clear", **says(Cleared))
def clear_cache(caller: AdminCaller, control: HereControl) -> Answer:
    """Forget the cached answers of the tenant."""
    epoch = control.store.deployment.grow(CACHE_EPOCH + caller.tenant)
    control.changed(caller.tenant, caller.key_id, "cache.clear", caller.tenant, {"epoch": epoch})
    alive = sum(one.alive for one in control.store.gateways.list(control.now_us()))
    return Answer(Cleared(epoch, alive))


@router.get("/cache/stats", **says(CacheStats))
def cache_stats(
    caller: ReadCaller,
    control: HereControl,
    gateway: Annotated[str | None, Query(max_length=200, description="Of this gateway only.")] = None,
) -> Answer:
    """Show what the caches hold and how often they answered, as the gateways reported it."""
    seen = {
        one.id: _as_dict(one.counters.get("cache"))
        for one in control.store.gateways.list(control.now_us())
        if one.alive and gateway in (None, one.id)
    }
    total: dict[str, float] = {}
    for stats in seen.values():
        for name, value in stats.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                total[name] = total.get(name, 0) + value
    return Answer(CacheStats(total, seen))


def _as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
