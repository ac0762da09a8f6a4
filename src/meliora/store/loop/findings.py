"""What was diagnosed, as it was told; a finding is written once, and nothing changes it but an erasure (`store.knowledge.learned`)."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.diagnosis.finding import Finding
from meliora.errors import Conflict, NotFound
from meliora.store.cursors import Page, decode, encode
from meliora.store.engine import reading, writing
from meliora.store.knowledge.learned import told_without
from meliora.store.rows import before, insert_into, page_size
from meliora.store.tables import findings


class Findings:
    """Keep findings and give them back."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def keep(self, tenant: str, finding: Finding) -> None:
        """Keep a finding; the same one again changes nothing. Raises `Conflict` where another one has its id, or it is another
        tenant's."""
        if finding.tenant != tenant:
            raise Conflict(f"Finding {finding.id!r} is of another tenant.")
        row = {
            "tenant": tenant,
            "id": finding.id,
            "at_us": finding.at_us,
            "metric": finding.metric,
            "gate": finding.gate,
        }
        with writing(self._engine) as connection:
            finding = told_without(connection, finding)
            body: dict[str, Any] = msgspec.to_builtins(finding)
            insert = insert_into(connection, findings).values(**row, body=body).on_conflict_do_nothing()
            if connection.execute(insert.returning(_T.id)).first() is not None:
                return
            query = sa.select(_T.body).where(_T.tenant == tenant, _T.id == finding.id)
            if _finding(connection.execute(query).scalar_one()) != finding:
                raise Conflict(f"There is another finding {finding.id!r}.")

    def get(self, tenant: str, finding_id: str) -> Finding:
        """Give one finding. Raises `NotFound`."""
        query = sa.select(_T.body).where(_T.tenant == tenant, _T.id == finding_id)
        with reading(self._engine) as connection:
            body = connection.execute(query).scalar_one_or_none()
        if body is None:
            raise NotFound(f"There is no finding {finding_id!r}.")
        return _finding(body)

    def list(
        self, tenant: str, *, metric: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Finding]:
        """Give findings, the newest first; at most 500."""
        limit = page_size(limit)
        query = sa.select(_T.at_us, _T.id, _T.body).where(_T.tenant == tenant)
        if metric is not None:
            query = query.where(_T.metric == metric)
        if cursor is not None:
            query = query.where(before(_T.at_us, _T.id, decode(cursor, str)))
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(_T.at_us.desc(), _T.id.desc()).limit(limit + 1)).all()
        more = encode(rows[limit - 1].at_us, rows[limit - 1].id) if len(rows) > limit else None
        return Page(tuple(_finding(row.body) for row in rows[:limit]), more)


_T = findings.c


def _finding(body: Any) -> Finding:
    return msgspec.convert(body, Finding)
