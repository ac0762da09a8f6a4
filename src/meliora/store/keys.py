"""Virtual keys. A secret is shown once, when it is made; only its SHA-256 is kept."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.errors import Conflict, InvalidRequest, NotFound
from meliora.gateway.state import KeyHash, KeyState, Scope
from meliora.store.engine import reading, writing
from meliora.store.rows import AnyRow, insert_into, new_id
from meliora.store.tables import key_hashes, keys

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
    quality_floor: float | None = None
    willingness_to_pay: float | None = None
    expires_us: int | None = None
    feature: str | None = None
    agent: bool = False


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
        if secret is not None and len(secret) < _SHORTEST:
            raise InvalidRequest(f"The secret is shorter than {_SHORTEST} characters.", field="secret")
        secret = secret or self._secret()
        now = self._clock_us()
        row = _row(wish)
        with writing(self._engine) as connection:
            key_id = new_id("key", self._randbytes)
            connection.execute(
                sa.insert(keys).values(
                    id=key_id, tenant=tenant, prefix=_shown(secret), created_us=now, updated_us=now, **row
                )
            )
            _add_hash(connection, tenant, key_id, secret)
            return IssuedKey(_get(connection, tenant, key_id), secret)

    def rotate(self, tenant: str, key_id: str, *, overlap_us: int = 0) -> IssuedKey:
        """Give the key a new secret; the old ones open it for `overlap_us` more. Raises `NotFound`, `Conflict` if revoked."""
        secret = self._secret()
        now = self._clock_us()
        with writing(self._engine) as connection:
            _get_live(connection, tenant, key_id)
            # An earlier rotation may have set a nearer end: rotating again does not put it off.
            until = now + max(0, overlap_us)
            connection.execute(
                sa.update(key_hashes)
                .where(_H.key_id == key_id, sa.or_(_H.until_us.is_(None), _H.until_us > until))
                .values(until_us=until)
            )
            connection.execute(sa.delete(key_hashes).where(_H.key_id == key_id, _H.until_us <= now))
            _add_hash(connection, tenant, key_id, secret)
            _set(connection, key_id, prefix=_shown(secret), updated_us=now)
            return IssuedKey(_get(connection, tenant, key_id), secret)

    def revoke(self, tenant: str, key_id: str) -> Key:
        """End a key for good, all its secrets with it. Revoking twice changes nothing. Raises `NotFound`."""
        now = self._clock_us()
        with writing(self._engine) as connection:
            key = _get(connection, tenant, key_id)
            if key.revoked_us is None:
                _set(connection, key_id, revoked_us=now, updated_us=now)
                connection.execute(sa.delete(key_hashes).where(_H.key_id == key_id))
            return _get(connection, tenant, key_id)

    def get(self, tenant: str, key_id: str) -> Key:
        """Give one key, revoked ones too. Raises `NotFound`."""
        with reading(self._engine) as connection:
            return _get(connection, tenant, key_id)

    def list(self, tenant: str, *, revoked: bool = True) -> tuple[Key, ...]:
        """Give the keys, oldest first; without the revoked ones if wished."""
        query = _SELECT.where(_T.tenant == tenant).order_by(_T.created_us, _T.id)
        if not revoked:
            query = query.where(_T.revoked_us.is_(None))
        with reading(self._engine) as connection:
            return tuple(_key(row) for row in connection.execute(query))

    def update(self, tenant: str, key_id: str, changes: dict[str, Any]) -> Key:
        """Change the named fields of `KeyWish`; None takes a limit away. Raises `NotFound`, `InvalidRequest`, `Conflict` if revoked."""
        for name in changes:
            if name not in KeyWish.__struct_fields__:
                raise InvalidRequest(f"A key has no {name!r}.", field=name)
        with writing(self._engine) as connection:
            key = _get_live(connection, tenant, key_id)
            wished = {name: getattr(key, name) for name in KeyWish.__struct_fields__} | changes
            try:
                wish = msgspec.convert(wished, KeyWish)
            except msgspec.ValidationError as error:
                raise InvalidRequest(f"The change does not fit: {error}.") from error
            _set(connection, key_id, updated_us=self._clock_us(), **_row(wish))
            return _get(connection, tenant, key_id)

    def tenants(self) -> tuple[str, ...]:
        """Give every tenant that has or had a key, by name: for what works on all of them."""
        with reading(self._engine) as connection:
            return tuple(connection.execute(sa.select(_T.tenant).distinct().order_by(_T.tenant)).scalars())

    def open(self, secret: str, now_us: int) -> KeyState | None:
        """Give the key that this secret opens, over all tenants (it is how a tenant is found), or None."""
        query = sa.select(keys).join(key_hashes, _H.key_id == _T.id).where(_H.sha256 == _sha256(secret))
        alive = (_T.revoked_us.is_(None), sa.or_(_H.until_us.is_(None), _H.until_us > now_us))
        unexpired = sa.or_(_T.expires_us.is_(None), _T.expires_us > now_us)
        with reading(self._engine) as connection:
            row = connection.execute(query.where(*alive, unexpired)).one_or_none()
        return None if row is None else to_state(row, (KeyHash(_sha256(secret)),))

    def _secret(self) -> str:
        return SECRET_PREFIX + self._randbytes(24).hex()


_T = keys.c
_H = key_hashes.c
_SELECT = sa.select(*[_T[name] for name in Key.__struct_fields__])
_SHORTEST = 24
_TUPLES = ("scopes", "models", "regions")


def to_state(row: AnyRow, hashes: tuple[KeyHash, ...]) -> KeyState:
    """Make of a row what the request path needs."""
    plain = {name: row._mapping[name] for name in KeyState.__struct_fields__ if name != "hashes"}
    return KeyState(**_tupled(plain), hashes=hashes)


def _key(row: AnyRow) -> Key:
    return Key(**_tupled(dict(row._mapping)))


def _tupled(values: dict[str, Any]) -> dict[str, Any]:
    return values | {name: tuple(values[name]) for name in _TUPLES if values[name] is not None}


def _get(connection: sa.Connection, tenant: str, key_id: str) -> Key:
    row = connection.execute(_SELECT.where(_T.tenant == tenant, _T.id == key_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no key {key_id!r}.")
    return _key(row)


def _get_live(connection: sa.Connection, tenant: str, key_id: str) -> Key:
    key = _get(connection, tenant, key_id)
    if key.revoked_us is not None:
        raise Conflict(f"Key {key_id} is revoked.", hint="Make a new one.")
    return key


def _set(connection: sa.Connection, key_id: str, **values: Any) -> None:
    connection.execute(sa.update(keys).where(_T.id == key_id).values(**values))


def _add_hash(connection: sa.Connection, tenant: str, key_id: str, secret: str) -> None:
    insert = insert_into(connection, key_hashes).values(sha256=_sha256(secret), tenant=tenant, key_id=key_id)
    if connection.execute(insert.on_conflict_do_nothing().returning(_H.sha256)).first() is None:
        raise Conflict("This secret opens a key already.")


def _row(wish: KeyWish) -> dict[str, Any]:
    row = {name: getattr(wish, name) for name in KeyWish.__struct_fields__}
    for name, value in row.items():
        if isinstance(value, int) and not isinstance(value, bool) and not 0 <= value < 2**63:
            raise InvalidRequest(
                f"{name} is {value}.", hint="Write a number from 0 on, or null for no limit.", field=name
            )
    if wish.quality_floor is not None and not 0 < wish.quality_floor <= 1:
        hint = "Write a share of the reference model's quality, e.g. 0.98."
        raise InvalidRequest(f"quality_floor is {wish.quality_floor}.", hint=hint, field="quality_floor")
    if wish.willingness_to_pay is not None and not 0 <= wish.willingness_to_pay < float("inf"):
        hint = "Write US dollars for one more point of quality 1.0, e.g. 0.05."
        raise InvalidRequest(f"willingness_to_pay is {wish.willingness_to_pay}.", hint=hint, field="willingness_to_pay")
    return row


def _sha256(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _shown(secret: str) -> str:
    return secret[: len(SECRET_PREFIX) + 6]
