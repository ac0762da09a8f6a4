"""What gateways ask for: the state they serve by, slices of budgets, and a place to say that they live. Unix socket only."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from meliora.errors import InvalidRequest, StoreError
from meliora.gateway.sync import LeaseRequest
from meliora.server.auth import HereControl
from meliora.server.context import Heard
from meliora.server.shapes import Answer
from meliora.store.gateways import ALIVE_US, Heartbeat

router = APIRouter(prefix="/internal", include_in_schema=False)

CACHE_EPOCH = "cache_epoch:"
"""Deployment values `cache_epoch:TENANT`: a number that grows each time the tenant's cached answers shall be forgotten."""


class GatewayBeat(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway says of itself."""

    id: str
    version: str
    record_format: int
    host: str
    pid: int
    started_us: int | None = None
    state_version: int | None = None
    kill_epoch: int = 0
    """The turn of the kill switch that it serves by."""
    breakers: dict[str, Any] = {}
    counters: dict[str, Any] = {}


class BeatAnswer(msgspec.Struct, frozen=True):
    """What a gateway is told in return."""

    cache_epochs: dict[str, int]
    """By tenant. A gateway clears a tenant's cached answers when its number changes."""
    state_version: int


@router.get("/state")
async def state(
    request: Request,
    control: HereControl,
    have: int = -1,
    wait: Annotated[float, Query(ge=0, le=60)] = 60.0,
) -> Response:
    """Give the state if it is not `have`; otherwise wait for one, and answer 204 when there is none."""
    newer = asyncio.create_task(control.feed.newer(have, min(wait, control.context.long_poll_seconds)))
    gone = asyncio.create_task(_gone(request))
    try:
        # A gateway that went away is not waited for: it would hold up the end of this process.
        await asyncio.wait((newer, gone), return_when=asyncio.FIRST_COMPLETED)
        found = newer.result() if newer.done() else None
    finally:
        newer.cancel()
        gone.cancel()
    return Response(status_code=204) if found is None else Answer(found)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


@router.get("/policies/{tenant}/{number}")
def policy(tenant: str, number: int, control: HereControl) -> Response:
    """Give the bytes of a routing snapshot. Raises `NotFound`."""
    blob = control.store.routing_snapshots.blob(tenant, number)
    return Response(blob, media_type="application/octet-stream")


@router.get("/preferences/{tenant}/{number}")
def preferences(tenant: str, number: int, control: HereControl) -> Response:
    """Give the bytes of a table of preferences. Raises `NotFound`."""
    blob = control.store.preference_tables.blob(tenant, number)
    return Response(blob, media_type="application/octet-stream")


@router.post("/leases")
async def leases(request: Request, control: HereControl) -> Response:
    """Grant slices of budgets."""
    asked = _read(await request.body(), LeaseRequest)
    return Answer(await run_in_threadpool(control.store.budgets.lease, asked.gateway, asked.wishes, control.now_us()))


@router.post("/heartbeat")
async def heartbeat(request: Request, control: HereControl) -> Response:
    """Note that a gateway lives, and tell it whose caches to clear."""
    return Answer(await run_in_threadpool(_beat, control, _read(await request.body(), GatewayBeat)))


def _beat(control: HereControl, beat: GatewayBeat) -> BeatAnswer:
    now = control.now_us()
    _remember(control, beat, now)
    try:
        _keep(control, beat, now)
    except StoreError as error:
        _remember(control, beat, now, error.message)
        raise
    epochs = control.store.deployment.values(CACHE_EPOCH)
    return BeatAnswer(
        {name.removeprefix(CACHE_EPOCH): int(value) for name, value in epochs.items()},
        control.feed.current().version,
    )


def _keep(control: HereControl, beat: GatewayBeat, now: int) -> None:
    counters = beat.counters if beat.state_version is None else {**beat.counters, "state_version": beat.state_version}
    control.store.gateways.beat(
        Heartbeat(
            id=beat.id,
            version=beat.version,
            format=beat.record_format,
            host=beat.host,
            pid=beat.pid,
            started_us=now if beat.started_us is None else beat.started_us,
            breakers=beat.breakers,
            counters=counters,
            kill_epoch=beat.kill_epoch,
        ),
        now,
    )


def _remember(control: HereControl, beat: GatewayBeat, now: int, refused: str = "") -> None:
    """Keep what was said before the store is asked to: it may be away, or its disk full."""
    control.heard[beat.id] = Heard(now, beat.counters, refused)
    for id in [id for id, heard in control.heard.copy().items() if now - heard.seen_us > ALIVE_US]:
        control.heard.pop(id, None)


def _read(body: bytes, shape: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.MsgspecError as error:
        raise InvalidRequest(f"The gateway's message does not read: {error}.") from error
