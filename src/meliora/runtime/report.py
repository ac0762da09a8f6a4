"""Reports over the store, and the file of each week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import msgspec
import structlog

from meliora.clock import Clock
from meliora.errors import InvalidRequest
from meliora.loop.artifacts.folder import replace
from meliora.loop.gates.board import GateBoard
from meliora.loop.report import LoopReport, Spent, Told, report
from meliora.loop.report_page import markdown
from meliora.runtime.artifacts import artifacts_dir
from meliora.runtime.shared import FEATURES
from meliora.settings import Settings
from meliora.store.store import Store

LONGEST_US = 366 * 86_400_000_000

log = structlog.get_logger(__name__)


class Reports:
    """Makes reports. Given the same store and the same times, the same."""

    def __init__(self, settings: Settings, store: Store, board: GateBoard) -> None:
        self._root = artifacts_dir(settings) / "reports"
        self._environment = settings.loop.environment
        self._store = store
        self._board = board

    def of(self, tenant: str, since_us: int, until_us: int) -> LoopReport:
        """Report on a time, of a year at most. Raises `InvalidRequest` for one that is none, `StoreError`."""
        if not 0 < until_us - since_us <= LONGEST_US:
            raise InvalidRequest("A report is of a time of a year at most.", hint="Write e.g. 7d.", field="since")
        return report(self.told(tenant, since_us, until_us))

    def told(self, tenant: str, since_us: int, until_us: int) -> Told:
        """Read the facts."""
        store = self._store
        changes = store.changes.moved(tenant, since_us, until_us)
        edges = {one.id: store.changes.edges(tenant, one.id) for one in changes}
        span = until_us - since_us
        return Told(
            tenant=tenant,
            since_us=since_us,
            until_us=until_us,
            environment=self._environment,
            cycles=store.cycles.within(tenant, since_us, until_us),
            changes=tuple((one, tuple(e for e in edges[one.id] if e.at_us < until_us)) for one in changes),
            gates=self._board.status(tenant),
            loop_cost=self._spent(tenant, since_us, until_us, own=True),
            spent=self._spent(tenant, since_us, until_us),
            spent_before=self._spent(tenant, max(0, since_us - span), since_us),
        )

    def weekly(self, clock: Clock) -> bool:
        """Write the file of the last whole week (Monday to Monday, UTC) for each tenant that has none yet. Raises `OSError`."""
        now = datetime.fromtimestamp(clock.now_us() / 1e6, UTC)
        monday = (now - timedelta(days=now.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
        begins = monday - timedelta(days=7)
        year, week, _ = begins.isocalendar()
        for tenant in self._store.keys.tenants():
            path = self._root / _folder(tenant) / f"{year}-W{week:02d}.md"
            if path.exists():
                continue
            made = self.of(tenant, round(begins.timestamp() * 1e6), round(monday.timestamp() * 1e6))
            replace(path.with_suffix(".json"), msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")
            replace(path, markdown(made).encode())
            log.info("the report of a week is there", tenant=tenant, file=str(path))
        return False

    def _spent(self, tenant: str, since_us: int, until_us: int, *, own: bool = False) -> Spent:
        rows = self._store.analytics.usage(tenant, "feature", since_us=since_us, until_us=until_us)
        mine = [row for row in rows if (row.group in FEATURES) or not own]
        shadows = self._store.shadows.spent(tenant, since_us, until_us)
        return Spent(
            calls=sum(row.calls for row in mine) + shadows.calls,
            cost_micros=sum(row.cost_micros for row in mine) + shadows.cost_micros,
            unpriced=sum(row.unpriced for row in mine) + shadows.unpriced,
        )


def _folder(tenant: str) -> Path:
    """Give a tenant's name as the name of a folder, whatever it holds."""
    return Path(quote(tenant, safe="").replace(".", "%2E")[:200] or "%")
