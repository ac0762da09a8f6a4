"""Routing rules as they are kept. Whether a pattern compiles is the routing plane's to say, before it comes here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from meliora.errors import Conflict, InvalidRequest, NotFound
from meliora.store.engine import reading, writing
from meliora.store.rows import hold, insert_into, new_id
from meliora.store.tables import routing_rules

AppliesTo = Literal["auto", "all"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `routing_rules`. Times in microseconds UTC."""

    id: str
    tenant: str
    pattern: str
    preferred_layer: str | None
    preferred_model: str | None
    priority: int
    active: bool
    applies_to: AppliesTo
    metadata: dict[str, Any]
    created_us: int
    updated_us: int


class RuleWish(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule shall be. At least one of layer and model."""

    pattern: str
    preferred_layer: str | None = None
    preferred_model: str | None = None
    priority: int = 0
    active: bool = True
    applies_to: AppliesTo = "auto"
    metadata: dict[str, Any] = {}


class Rules:
    """Keep the routing rules of a tenant, one a pattern."""

    def __init__(self, engine: sa.Engine, clock_us: Callable[[], int], randbytes: Callable[[int], bytes]) -> None:
        self._engine = engine
        self._clock_us = clock_us
        self._randbytes = randbytes

    def list(self, tenant: str, *, active_only: bool = False) -> tuple[Rule, ...]:
        """Give the rules in the order they are tried: priority from high to low, then id."""
        query = _SELECT.where(_T.tenant == tenant).order_by(_T.priority.desc(), _T.id)
        if active_only:
            query = query.where(_T.active)
        with reading(self._engine) as connection:
            return tuple(Rule(**row._mapping) for row in connection.execute(query))

    def get(self, tenant: str, rule_id: str) -> Rule:
        """Give one rule. Raises `NotFound`."""
        with reading(self._engine) as connection:
            return _get(connection, tenant, rule_id)

    def upsert(self, tenant: str, wish: RuleWish) -> Rule:
        """Make the rule of this pattern what is wished; a new one gets an id. Raises `InvalidRequest` without a target."""
        row = _row(wish)
        now = self._clock_us()
        with writing(self._engine) as connection:
            insert = insert_into(connection, routing_rules).values(
                id=new_id("rule", self._randbytes), tenant=tenant, created_at=now, updated_at=now, **row
            )
            insert = insert.on_conflict_do_update(
                index_elements=["tenant", "pattern"], set_={**row, "updated_at": now}
            ).returning(_T.id)
            return _get(connection, tenant, connection.execute(insert).scalar_one())

    def change(self, tenant: str, rule_id: str, wish: RuleWish) -> Rule:
        """Replace a rule under its id, pattern included. Raises `NotFound`, `Conflict` where another has the pattern."""
        row = _row(wish)
        with writing(self._engine) as connection:
            _get(connection, tenant, rule_id)
            other = sa.select(_T.id).where(_T.tenant == tenant, _T.pattern == wish.pattern, _T.id != rule_id)
            if (found := connection.execute(other).scalar_one_or_none()) is not None:
                raise Conflict(
                    f"Rule {found} has this pattern.", hint="Change that one, or delete it.", field="pattern"
                )
            connection.execute(
                sa.update(routing_rules)
                .where(_T.tenant == tenant, _T.id == rule_id)
                .values(**row, updated_at=self._clock_us())
            )
            return _get(connection, tenant, rule_id)

    def plain(self, tenant: str, pattern: str) -> dict[str, Any] | None:
        """Give the fields of the rule of a pattern, without its times; None where there is none."""
        with reading(self._engine) as connection:
            return _plain(connection, tenant, pattern)

    def exchange(
        self,
        tenant: str,
        pattern: str,
        row: Mapping[str, Any] | None,
        *,
        instead_of: Mapping[str, Any] | None,
        fenced: Callable[[sa.Connection], None],
    ) -> bool:
        """Put a rule (None: none) in the place of exactly that one; False, and nothing changed, where another stands.

        Rows are as `plain` gives them. `fenced` is called first in the transaction.
        """
        now = self._clock_us()
        with writing(self._engine) as connection:
            fenced(connection)
            hold(connection, "routing_rules")
            if _plain(connection, tenant, pattern) != (None if instead_of is None else dict(instead_of)):
                return False
            own = sa.and_(_T.tenant == tenant, _T.pattern == pattern)
            if row is None:
                connection.execute(sa.delete(routing_rules).where(own))
            elif instead_of is None:
                values = {**row, "tenant": tenant, "created_at": now, "updated_at": now}
                connection.execute(sa.insert(routing_rules).values(**values))
            else:
                connection.execute(sa.update(routing_rules).where(own).values(**row, updated_at=now))
            return True

    def delete(self, tenant: str, rule_id: str) -> None:
        """Remove a rule. Raises `NotFound`."""
        with writing(self._engine) as connection:
            gone = connection.execute(sa.delete(routing_rules).where(_T.tenant == tenant, _T.id == rule_id))
            if not gone.rowcount:
                raise _unknown(rule_id)

    def reorder(self, tenant: str, rule_ids: Sequence[str]) -> tuple[Rule, ...]:
        """Give these rules descending priorities in this order, above all others. Raises `NotFound` and changes nothing."""
        now = self._clock_us()
        with writing(self._engine) as connection:
            others = sa.select(sa.func.max(_T.priority)).where(_T.tenant == tenant, _T.id.not_in(rule_ids))
            least = max(0, connection.execute(others).scalar() or 0)
            for place, rule_id in enumerate(rule_ids):
                changed = connection.execute(
                    sa.update(routing_rules)
                    .where(_T.tenant == tenant, _T.id == rule_id)
                    .values(priority=least + len(rule_ids) - place, updated_at=now)
                )
                if not changed.rowcount:
                    raise _unknown(rule_id)
        return self.list(tenant)


_T = routing_rules.c
_PLAIN = ["id", "tenant", "pattern", "preferred_layer", "preferred_model", "priority", "active", "applies_to"]
_SELECT = sa.select(
    *[_T[name] for name in [*_PLAIN, "metadata"]],
    _T.created_at.label("created_us"),
    _T.updated_at.label("updated_us"),
)


def _plain(connection: sa.Connection, tenant: str, pattern: str) -> dict[str, Any] | None:
    names = [name for name in (*_PLAIN, "metadata") if name != "tenant"]
    query = sa.select(*[_T[name] for name in names]).where(_T.tenant == tenant, _T.pattern == pattern)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    values = dict(zip(names, row, strict=True))
    return values | {"active": bool(row.active), "metadata": row.metadata or {}}


def _get(connection: sa.Connection, tenant: str, rule_id: str) -> Rule:
    row = connection.execute(_SELECT.where(_T.tenant == tenant, _T.id == rule_id)).one_or_none()
    if row is None:
        raise _unknown(rule_id)
    return Rule(**row._mapping)


def _unknown(rule_id: str) -> NotFound:
    return NotFound(f"There is no rule {rule_id!r}.")


def _row(wish: RuleWish) -> dict[str, Any]:
    if not wish.pattern:
        raise InvalidRequest("A rule needs a pattern.", field="pattern")
    if wish.preferred_layer is None and wish.preferred_model is None:
        raise InvalidRequest("A rule names a preferred_layer or a preferred_model.", field="preferred_layer")
    if abs(wish.priority) >= 2**31:
        raise InvalidRequest(f"priority is {wish.priority}.", hint="Write a smaller number.", field="priority")
    return msgspec.structs.asdict(wish)
