"""Changes and their edges as rows: what becomes which column, and one change read or set in a transaction."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.errors import NotFound
from meliora.loop.change import Change, Edge, Origin
from meliora.loop.states import State
from meliora.store.rows import AnyRow
from meliora.store.tables import change_edges, change_holds, changes

_T = changes.c
_H = change_holds.c
EDGE = [change_edges.c[name] for name in Edge.__struct_fields__]
"""The columns of an edge, as `edge_of` reads them."""
_DIRECT = [name for name in Change.__struct_fields__ if name != "origin"]


def change_of(row: AnyRow) -> Change:
    """Read a row of `changes`."""
    values: dict[str, Any] = dict(row._mapping)
    origin = Origin(values.pop("origin_kind"), values.pop("origin_name"))
    paused_from = values.pop("paused_from")
    values |= {"state": State(values["state"]), "paused_from": State(paused_from) if paused_from else None}
    return Change(**values, origin=origin)


def row_of(change: Change) -> dict[str, Any]:
    """Give a change as a row of `changes`."""
    values = {name: getattr(change, name) for name in _DIRECT}
    paused_from = change.paused_from
    return values | {
        "state": str(change.state),
        "paused_from": None if paused_from is None else str(paused_from),
        "origin_kind": change.origin.kind,
        "origin_name": change.origin.name,
    }


def edge_of(row: AnyRow) -> Edge:
    """Read a row of `EDGE`."""
    values: dict[str, Any] = dict(row._mapping)
    values |= {"source": State(values["source"]), "target": State(values["target"])}
    values["evidence"] = msgspec.json.decode(values["evidence"])
    return Edge(**values)


def read_change(connection: sa.Connection, tenant: str, change: str, *, lock: bool = False) -> Change:
    """Give one change; with `lock` it is held until the transaction ends. Raises `NotFound`."""
    query = sa.select(changes).where(_T.tenant == tenant, _T.id == change)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound(f"There is no change {change!r}.", hint="`meliora changes list` lists them.")
    return change_of(row)


def holder_of(connection: sa.Connection, tenant: str, surface: str) -> str | None:
    """Give the change that holds a surface."""
    query = sa.select(_H.change).where(_H.tenant == tenant, _H.surface == surface)
    return connection.execute(query).scalar_one_or_none()


def set_columns(connection: sa.Connection, change: Change, **values: Any) -> None:
    """Set columns of a change."""
    connection.execute(sa.update(changes).where(_T.tenant == change.tenant, _T.id == change.id).values(**values))
