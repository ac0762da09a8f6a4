"""Virtual keys. A secret is shown once, when it is made; only its SHA-256 is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.gateway.state import KeyState, Scope

SECRET_PREFIX = "mel_"


class KeyWish(msgspec.Struct, frozen=True, kw_only=True):
    """What a key shall be; None limits nothing. Fields as in `gateway.state.KeyState`."""

    name: str = ""
    scopes: tuple[Scope, ...] = ("call", "feedback")
    models: tuple[str, ...] | None = None
    regions: tuple[str, ...] | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
    budget_day_micros: int | None = None
    budget_month_micros: int | None = None
    allow_loss: bool = False
    explore: bool = True
    expires_us: int | None = None
    feature: str | None = None


class Key(KeyWish, frozen=True, kw_only=True):
    """A key as it may be shown: never its secret, only how that begins."""

    id: str
    tenant: str
    prefix: str
    created_us: int
    updated_us: int
    revoked_us: int | None


class IssuedKey(msgspec.Struct, frozen=True):
    """A key and the secret that opens it. The only time it is seen."""

    key: Key
    secret: str


class Keys:
    """Make, change and end virtual keys."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int], randbytes: Callable[[int], bytes]) -> None:
        self._engine = engine
        self._clock_us = clock_us
        self._randbytes = randbytes

    def create(self, tenant: str, wish: KeyWish, *, secret: str | None = None) -> IssuedKey:
        """Make a key. `secret` is for the one that lies in a file already; else a new one is made.

        Raises `Conflict` for a secret that is in use, `InvalidRequest` for one under 24 characters.
        """
        raise NotImplementedError

    def rotate(self, tenant: str, key_id: str, *, overlap_us: int = 0) -> IssuedKey:
        """Give the key a new secret; the old ones open it for `overlap_us` more. Raises `NotFound`, `Conflict` if revoked."""
        raise NotImplementedError

    def revoke(self, tenant: str, key_id: str) -> Key:
        """End a key for good, all its secrets with it. Revoking twice changes nothing. Raises `NotFound`."""
        raise NotImplementedError

    def get(self, tenant: str, key_id: str) -> Key:
        """Give one key, revoked ones too. Raises `NotFound`."""
        raise NotImplementedError

    def list(self, tenant: str, *, revoked: bool = True) -> tuple[Key, ...]:
        """Give the keys, oldest first; without the revoked ones if wished."""
        raise NotImplementedError

    def update(self, tenant: str, key_id: str, changes: dict[str, Any]) -> Key:
        """Change the named fields of `KeyWish`; None takes a limit away. Raises `NotFound`, `InvalidRequest`, `Conflict` if revoked."""
        raise NotImplementedError

    def open(self, secret: str, now_us: int) -> KeyState | None:
        """Give the key that this secret opens, over all tenants (it is how a tenant is found), or None."""
        raise NotImplementedError
