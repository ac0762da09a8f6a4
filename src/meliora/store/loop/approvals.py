"""Approvals as they are kept: asked once an edge, decided once by whoever comes first, each decision an entry of the audit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from meliora.errors import Conflict, Forbidden, InvalidRequest, NotFound
from meliora.loop.approvals import Approval, ApprovalWish, Standing, Verdict
from meliora.loop.audit.entry import AuditNote, word
from meliora.store.engine import reading
from meliora.store.loop.audit import Audit
from meliora.store.rows import hold, new_id, page_size
from meliora.store.tables import approvals


class Approvals:
    """Keep requests for an approval, and what was decided."""

    def __init__(
        self, engine: sa.Engine, audit: Audit, clock_us: Callable[[], int], randbytes: Callable[[int], bytes]
    ) -> None:
        self._engine = engine
        self._audit = audit
        self._clock_us = clock_us
        self._randbytes = randbytes

    def request(self, tenant: str, wish: ApprovalWish) -> Approval:
        """Ask for an approval; while one is open for this change and edge, that one is given."""
        now = self._clock_us()
        if wish.expires_us <= now:
            raise InvalidRequest("An approval that is asked for must have time left.", field="expires_us")
        with self._audit.recording() as recording:
            hold(recording.connection, _LOCK)
            known = _latest(recording.connection, tenant, wish.change, wish.edge)
            if known is not None and known.standing(now) == "asked":
                return known
            made = Approval(
                id=new_id("apr", self._randbytes),
                tenant=tenant,
                state="asked",
                asked_us=now,
                **{name: getattr(wish, name) for name in ApprovalWish.__struct_fields__},
            )
            row = {name: getattr(made, name) for name in Approval.__struct_fields__}
            recording.connection.execute(sa.insert(approvals).values(**row))
            recording.append(
                AuditNote(
                    tenant=tenant,
                    actor=word(wish.asked_by),
                    action="approval.asked",
                    subject=wish.change,
                    body={"approval": made.id, "edge": wish.edge, "expires_us": wish.expires_us},
                )
            )
        return made

    def decide(
        self, tenant: str, approval: str, verdict: Verdict, by: str, why: str, body: Mapping[str, Any] | None = None
    ) -> Approval:
        """Decide it. Raises `NotFound`; `Forbidden` for the proposer; `Conflict` where it has expired or was decided, and names who did."""
        now = self._clock_us()
        won = (
            sa.update(approvals)
            .where(_T.tenant == tenant, _T.id == approval, _T.state == "asked", _T.expires_us > now)
            .values(state=verdict, decided_by=by, decided_us=now, decided_why=why)
        )
        with self._audit.recording() as recording:
            if verdict == "approved" and by == _get(recording.connection, tenant, approval).asked_by:
                raise Forbidden(f"{by} proposed it, and who proposes does not approve.")
            changed = recording.connection.execute(won).rowcount
            found = _get(recording.connection, tenant, approval)
            if not changed:
                raise _too_late(found)
            told = {
                "approval": found.id,
                "edge": found.edge,
                "asked_by": word(found.asked_by),
                "why": self._audit.digest(why),
            }
            recording.append(
                AuditNote(
                    tenant=tenant,
                    actor=word(by),
                    action=f"approval.{verdict}",
                    subject=found.change,
                    body={**(body or {}), **told},
                )
            )
        return found

    def get(self, tenant: str, approval: str) -> Approval:
        """Give one. Raises `NotFound`."""
        with reading(self._engine) as connection:
            return _get(connection, tenant, approval)

    def latest(self, tenant: str, change: str, edge: str) -> Approval | None:
        """Give the last request for an edge of a change."""
        with reading(self._engine) as connection:
            return _latest(connection, tenant, change, edge)

    def list(self, tenant: str, standing: Standing | None = None, *, limit: int = 100) -> tuple[Approval, ...]:
        """Give requests, the newest first; at most 500."""
        now = self._clock_us()
        query = sa.select(approvals).where(_T.tenant == tenant)
        if standing in ("approved", "rejected"):
            query = query.where(_T.state == standing)
        elif standing is not None:
            in_time = _T.expires_us > now if standing == "asked" else _T.expires_us <= now
            query = query.where(_T.state == "asked", in_time)
        query = query.order_by(_T.asked_us.desc(), _T.id).limit(page_size(limit))
        with reading(self._engine) as connection:
            return tuple(Approval(**row._mapping) for row in connection.execute(query))


_T = approvals.c
_LOCK = "lock:approvals"


def _get(connection: sa.Connection, tenant: str, approval: str) -> Approval:
    found = connection.execute(sa.select(approvals).where(_T.tenant == tenant, _T.id == approval)).one_or_none()
    if found is None:
        raise NotFound(f"There is no approval {approval!r}.")
    return Approval(**found._mapping)


def _latest(connection: sa.Connection, tenant: str, change: str, edge: str) -> Approval | None:
    query = sa.select(approvals).where(_T.tenant == tenant, _T.change == change, _T.edge == edge)
    found = connection.execute(query.order_by(_T.asked_us.desc(), _T.id.desc()).limit(1)).one_or_none()
    return None if found is None else Approval(**found._mapping)


def _too_late(found: Approval) -> Conflict:
    if found.state == "asked":
        return Conflict(
            f"The request for {found.change} has expired.", hint="It is asked for again when the change goes on."
        )
    return Conflict(f"{found.decided_by} has {found.state} {found.change} already.")
