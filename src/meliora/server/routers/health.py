"""How it is: of this process, and of the deployment as a whole. Needs no key; tells nothing of any tenant."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter

from meliora.server.again import Again
from meliora.server.auth import HereControl
from meliora.server.health import Health, look
from meliora.server.shapes import Answer, says

router = APIRouter(tags=["health"], route_class=Again)


class Alive(msgspec.Struct, frozen=True):
    """A word."""

    status: str


def _open(shape: type[msgspec.Struct]) -> dict[str, Any]:
    described = says(shape)
    responses = described["responses"]
    for status in (401, 403, 413):
        del responses[status]
    responses[503] = {**responses[200], "description": "It is not well."}
    return described


@router.get("/health", **_open(Health))
def health(control: HereControl) -> Answer:
    """Look at gateways, worker, store, spool and disk. 503 when one is unhealthy; what is not known is `unknown`."""
    found = look(control.context, control.heard)
    return Answer(found, status_code=503 if found.status == "unhealthy" else 200)


@router.get("/live", **_open(Alive))
async def live() -> Answer:
    """Say that the process runs."""
    return Answer(Alive("alive"))


@router.get("/ready", **_open(Alive))
def ready(control: HereControl) -> Answer:
    """Say whether the process can serve: the store answers."""
    control.store.deployment.value("state_version")
    return Answer(Alive("ready"))
