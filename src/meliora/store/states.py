"""The numbered state that gateways serve by: keys, rules, secret, trials, which routing snapshot and table of preferences serves whom."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import msgspec
import sqlalchemy as sa

from meliora.gateway.state import LEASE_SECONDS, KeyHash, KeyState, PolicyRef, RuleState, State
from meliora.store.engine import reading, writing
from meliora.store.erasures import last_erasure
from meliora.store.gateways import ALIVE_US
from meliora.store.keys import to_state
from meliora.store.loop.halting import halting
from meliora.store.loop.trials import live_in
from meliora.store.routing.model_choices import active_in
from meliora.store.routing.preference_tables import numbers
from meliora.store.rows import insert_into
from meliora.store.tables import deployment, gateways, key_hashes, keys, routing_rules, routing_snapshots


class States:
    """Put together what a gateway needs to know."""

    def __init__(self, engine: sa.Engine, secret: str, lease_seconds: float = LEASE_SECONDS) -> None:
        """`lease_seconds` is how long a gateway that hears nothing goes on with its trials."""
        self._engine = engine
        self._secret = secret
        self._lease_seconds = lease_seconds

    def kill_epoch(self) -> int:
        """Give how often the kill switch was turned: cheap, so that it can be asked for many times a second."""
        with reading(self._engine) as connection:
            return halting(connection).epoch

    def load(self, settings_rules: Sequence[RuleState], now_us: int) -> State:
        """Give the state of all tenants; its version grows whenever anything in it changed, and only then.

        Revoked keys and ended secrets are left out; inactive rules too. Rules of the settings stand beside those kept here.
        """
        with reading(self._engine) as connection:
            state, digest = self._gather(connection, settings_rules, now_us)
            number, last = _numbered(connection)
        if last != digest:
            # Gathered again under the lock: two control processes that load at once come to the same number.
            with writing(self._engine) as connection:
                insert = insert_into(connection, deployment).values(name=_VERSION, value="0:")
                connection.execute(insert.on_conflict_do_nothing())
                number, last = _numbered(connection, lock=True)
                state, digest = self._gather(connection, settings_rules, now_us)
                if last != digest:
                    number += 1
                    connection.execute(
                        sa.update(deployment).where(deployment.c.name == _VERSION).values(value=f"{number}:{digest}")
                    )
        return msgspec.structs.replace(state, version=number, made_us=now_us)

    def _gather(self, connection: sa.Connection, settings_rules: Sequence[RuleState], now_us: int) -> tuple[State, str]:
        kill = halting(connection)
        state = State(
            version=0,
            made_us=0,
            secret=self._secret,
            keys=_keys(connection, now_us),
            rules=(*settings_rules, *_rules(connection)),
            gateways=_alive(connection, now_us),
            policies=_policies(connection),
            preferences={tenant: PolicyRef(*named) for tenant, named in numbers(connection).items()},
            trials=live_in(connection),
            choices=active_in(connection),
            halted=kill.halted,
            kill_epoch=kill.epoch,
            erased_us=last_erasure(connection),
            lease_seconds=self._lease_seconds,
        )
        return state, sha256(msgspec.json.encode(state)).hexdigest()


def _keys(connection: sa.Connection, now_us: int) -> tuple[KeyState, ...]:
    live = sa.or_(key_hashes.c.until_us.is_(None), key_hashes.c.until_us > now_us)
    hashes: dict[str, list[KeyHash]] = {}
    for row in connection.execute(sa.select(key_hashes).where(live).order_by(key_hashes.c.sha256)):
        hashes.setdefault(row.key_id, []).append(KeyHash(row.sha256, row.until_us))
    rows = connection.execute(sa.select(keys).where(keys.c.revoked_us.is_(None)).order_by(keys.c.id))
    return tuple(to_state(row, tuple(hashes[row.id])) for row in rows if row.id in hashes)


def _rules(connection: sa.Connection) -> tuple[RuleState, ...]:
    columns = [routing_rules.c[name] for name in RuleState.__struct_fields__]
    order = (routing_rules.c.tenant, routing_rules.c.priority.desc(), routing_rules.c.id)
    rows = connection.execute(sa.select(*columns).where(routing_rules.c.active).order_by(*order))
    return tuple(RuleState(**row._mapping) for row in rows)


def _policies(connection: sa.Connection) -> dict[str, PolicyRef]:
    table = routing_snapshots.c
    query = sa.select(table.tenant, table.number, table.sha256).where(table.state == "serving").order_by(table.tenant)
    return {row.tenant: PolicyRef(row.number, row.sha256) for row in connection.execute(query)}


def _alive(connection: sa.Connection, now_us: int) -> int:
    alive = sa.select(sa.func.count()).select_from(gateways).where(gateways.c.seen_us >= now_us - ALIVE_US)
    return max(1, connection.execute(alive).scalar_one())


def _numbered(connection: sa.Connection, *, lock: bool = False) -> tuple[int, str]:
    """Give the last number and the digest of the content that bears it."""
    query = sa.select(deployment.c.value).where(deployment.c.name == _VERSION)
    held = connection.execute(query.with_for_update() if lock else query).scalar_one_or_none() or "0:"
    number, _, digest = held.partition(":")
    return int(number), digest


_VERSION = "state_version"
