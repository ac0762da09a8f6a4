"""Erasure of a person."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter

from meliora.server.again import Again
from meliora.server.auth import AdminCaller, HereControl
from meliora.server.inputs import User
from meliora.server.shapes import Answer, says
from meliora.telemetry.clearing import ErasureStanding, standing
from meliora.telemetry.processes import workers

router = APIRouter(prefix="/api/v1/users", tags=["users"], route_class=Again)


class Erased(msgspec.Struct, frozen=True):
    """What was erased, counted by kind, and what is still held."""

    counts: dict[str, int]
    held: tuple[str, ...] = ()
    """What may hold something of the person still, and until when."""


@router.get("/{user:rest}", **says(ErasureStanding))
def erasure(user: User, caller: AdminCaller, control: HereControl) -> Answer:
    """Tell how the last erasure of a user stands on each machine; `erased_us` is null where nobody of this name was erased."""
    at = control.store.housekeeping.erased_us(caller.tenant, user)
    return Answer(standing(at, workers(control.store.deployment, control.now_us())))


@router.delete("/{user:rest}", **says(Erased))
def erase(user: User, caller: AdminCaller, control: HereControl) -> Answer:
    """Erase what is kept of a user: content, names, comments; also what still waits in the spool. Sums stay."""
    done = control.context.erase(caller.tenant, user)
    counts = done.counts()
    # The activity log names no person, least of all one who was just erased.
    control.changed(caller.tenant, caller.key_id, "user.erase", "", {"counts": counts})
    return Answer(Erased(counts, done.held))
