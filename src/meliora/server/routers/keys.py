"""Virtual keys: made, shown without their secret, changed, rotated, ended.

An agent's key makes agents' keys alone and reaches no person's: else an agent could approve under a key that it made itself.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter
from pydantic import Field

from meliora.errors import Forbidden
from meliora.gateway.state import Scope
from meliora.server.again import Again
from meliora.server.auth import AdminCaller, Caller, HereControl
from meliora.server.context import Control
from meliora.server.inputs import BIG, Body, Count, Limit, Name
from meliora.server.shapes import Answer, says
from meliora.store.keys import IssuedKey, Key, KeyWish

router = APIRouter(prefix="/api/v1/keys", tags=["keys"], route_class=Again)

_MONTH_SECONDS = 30 * 86400
Names = Annotated[tuple[Name, ...], Field(max_length=200)]


class KeyFields(Body):
    """What a key may do. Left out or null: no limit. Budgets in micro-dollars (1 US dollar = 1,000,000)."""

    name: Annotated[str, Field(max_length=200)] = ""
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=4)] = ("call", "feedback")
    models: Names | None = Field(default=None, description="Allowed models: names or globs (`gpt-5*`).")
    regions: Names | None = None
    requests_per_minute: Limit | None = None
    tokens_per_minute: Limit | None = None
    concurrent: Limit | None = None
    budget_day_micros: Count | None = None
    budget_month_micros: Count | None = None
    allow_loss: bool = Field(
        default=False, description="Drop what the upstream's dialect lacks instead of refusing it."
    )
    explore: bool = Field(default=True, description="Calls of this key may be used to explore.")
    quality_floor: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = Field(
        default=None, description="Share of the reference model's quality to hold; null: the settings'."
    )
    willingness_to_pay: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = Field(
        default=None, description="US dollars for one more point of quality 1.0 in an answer; null: the settings'."
    )
    expires_us: Annotated[int, Field(ge=0, lt=BIG)] | None = None
    feature: Name | None = Field(default=None, description="Default feature of its calls, for cost per feature.")
    agent: bool = Field(
        default=False, description="It is a program's that acts by itself: it may propose changes, and approves none."
    )


class Rotation(Body):
    """How to rotate."""

    overlap_seconds: Annotated[float, Field(ge=0, le=_MONTH_SECONDS, allow_inf_nan=False)] = Field(
        default=0, description="How long the old secret goes on to open the key."
    )


class KeyList(msgspec.Struct, frozen=True):
    """The keys of a tenant, oldest first."""

    items: tuple[Key, ...]


@router.get("", **says(KeyList))
def listed(caller: AdminCaller, control: HereControl, revoked: bool = True) -> Answer:
    """List the keys; without the revoked ones if wished."""
    return Answer(KeyList(control.store.keys.list(caller.tenant, revoked=revoked)))


@router.post("", **says(IssuedKey, status=201))
def create(wish: KeyFields, caller: AdminCaller, control: HereControl) -> Answer:
    """Make a key of the caller's tenant. The answer holds its secret, which is shown this once."""
    fields = wish.model_dump()
    if _is_agent(caller):
        fields["agent"] = True
    issued = control.store.keys.create(caller.tenant, KeyWish(**fields))
    _changed(control, caller, "key.create", issued.key.id, {"name": issued.key.name, "scopes": list(issued.key.scopes)})
    return Answer(issued, status_code=201)


@router.get("/{key_id}", **says(Key, 404))
def show(key_id: str, caller: AdminCaller, control: HereControl) -> Answer:
    """Show a key."""
    return Answer(control.store.keys.get(caller.tenant, key_id))


@router.patch("/{key_id}", **says(Key, 404, 409))
def update(key_id: str, changes: KeyFields, caller: AdminCaller, control: HereControl) -> Answer:
    """Change the fields that are named; null takes a limit away."""
    wished = changes.model_dump(exclude_unset=True)
    _reaches(control, caller, key_id)
    if _is_agent(caller) and not wished.get("agent", True):
        raise Forbidden("An agent makes no person's key of its own.", hint="A person has to, with a key of theirs.")
    key = control.store.keys.update(caller.tenant, key_id, wished)
    _changed(control, caller, "key.update", key_id, wished)
    return Answer(key)


@router.post("/{key_id}/rotate", **says(IssuedKey, 404, 409))
def rotate(key_id: str, caller: AdminCaller, control: HereControl, rotation: Rotation | None = None) -> Answer:
    """Give the key a new secret, shown this once."""
    _reaches(control, caller, key_id)
    seconds = rotation.overlap_seconds if rotation is not None else 0.0
    issued = control.store.keys.rotate(caller.tenant, key_id, overlap_us=round(seconds * 1_000_000))
    _changed(control, caller, "key.rotate", key_id, {"overlap_seconds": seconds})
    return Answer(issued)


@router.delete("/{key_id}", **says(Key, 404))
def revoke(key_id: str, caller: AdminCaller, control: HereControl) -> Answer:
    """End a key for good. It stays in the list, with the time it ended."""
    _reaches(control, caller, key_id)
    key = control.store.keys.revoke(caller.tenant, key_id)
    _changed(control, caller, "key.revoke", key_id, {})
    return Answer(key)


def _is_agent(caller: Caller) -> bool:
    return caller.key is not None and caller.key.agent


def _reaches(control: Control, caller: Caller, key_id: str) -> None:
    """See to it that an agent acts on agents' keys alone. Raises `Forbidden`, `NotFound`."""
    if _is_agent(caller) and not control.store.keys.get(caller.tenant, key_id).agent:
        raise Forbidden(f"{key_id} is a person's key, and an agent changes none.", hint="A person has to.")


def _changed(control: Control, caller: Caller, action: str, key_id: str, detail: dict[str, object]) -> None:
    control.keyring.forget()
    control.changed(caller.tenant, caller.key_id, action, key_id, detail)
