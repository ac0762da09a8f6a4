"""The daily sums that a batch adds to, gathered in memory first so that a batch writes a few rows and not one a call."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa

from meliora.store.routing.model_performances import Outcomes
from meliora.store.tables import rollup_windows, usage_daily, usage_gateways, usage_users
from meliora.telemetry.records import CallFinished
from meliora.telemetry.rollups import window_of

DAY_US = 86_400_000_000
USAGE = (
    "calls",
    "errors",
    "cancelled",
    "cached",
    "tokens_in",
    "tokens_out",
    "tokens_cached",
    "tokens_reasoning",
    "unmetered",
    "cost_micros",
    "unpriced",
    "latency_us",
    "timed",
)
UNKNOWN_TASK = "unknown"
"""Task type under which `model_performance` counts calls of which none is known."""


@lru_cache(maxsize=64)
def day_name(day: int) -> str:
    """Give the ISO date of a day since the epoch."""
    return f"{datetime.fromtimestamp(day * 86_400, tz=UTC):%Y-%m-%d}"


def day_of(time_us: int) -> str:
    """Give the ISO date (UTC) of a time."""
    return day_name(time_us // DAY_US)


class Sums:
    """What a batch adds, by the keys of the tables it goes to."""

    def __init__(self) -> None:
        self.daily: dict[tuple[str, ...], list[int]] = {}
        self.users: dict[tuple[str, ...], list[int]] = {}
        self.gateways: dict[tuple[str, ...], list[int]] = {}
        self.windows: set[tuple[str, int]] = set()
        self.outcomes: dict[tuple[str, str, str], Outcomes] = {}

    @classmethod
    def of(cls, records: Iterable[CallFinished]) -> Sums:
        """Gather the sums of these calls."""
        sums = cls()
        for record in records:
            sums._add(record)
        return sums

    def _add(self, r: CallFinished) -> None:
        day = day_name(r.started_us // DAY_US)
        key = (r.tenant, day, r.model or "", r.task or "", r.key_id, r.feature or "")
        tally = self.daily.get(key)
        if tally is None:
            tally = self.daily[key] = [0] * len(USAGE)
        own = r
        if r.legs:
            own = own_part(r)
            self._add_others(r, day)
        add_usage(tally, own)
        if r.cost_micros is None and own.cost_micros is not None:
            tally[10] += 1  # some of the call's cost is not known, though what its answer cost is
        if r.user:
            person = (r.tenant, day, r.user)
            tally = self.users.get(person)
            if tally is None:
                tally = self.users[person] = [0] * len(USAGE)
            add_usage(tally, r)
        if r.cost_micros:
            spender = (r.key_id, r.gateway, day, r.tenant)
            spent = self.gateways.get(spender)
            if spent is None:
                spent = self.gateways[spender] = [0]
            spent[0] += r.cost_micros
        self.windows.add((r.tenant, window_of(r.started_us)))
        self._judge(own)

    def _add_others(self, r: CallFinished, day: str) -> None:
        """Add what the models took that were asked beside the one that answered, to their own rows; the call counts once."""
        for leg in r.legs:
            if leg.accepted:
                continue
            key = (r.tenant, day, leg.model, r.task or "", r.key_id, r.feature or "")
            tally = self.daily.setdefault(key, [0] * len(USAGE))
            if leg.usage is not None:
                tally[4] += leg.usage.input or 0
                tally[5] += leg.usage.output or 0
                tally[6] += leg.usage.cached or 0
                tally[7] += leg.usage.reasoning or 0
            tally[9] += leg.cost_micros or 0

    def _judge(self, r: CallFinished) -> None:
        """Count for or against the model, where the call says anything about it."""
        if r.cached or r.outcome == "cancelled":
            return
        model = r.model or (r.attempts[-1].model if r.attempts else None)
        if model is None or (r.outcome == "error" and 400 <= r.status < 500 and r.status not in (408, 429)):
            return
        key = (r.tenant, model, r.task or UNKNOWN_TASK)
        sums = self.outcomes.get(key)
        if sums is None:
            sums = self.outcomes[key] = Outcomes()
        sums.calls += 1
        if r.outcome == "ok":
            sums.successes += 1
            sums.latency_ms += (r.ended_us - r.started_us) / 1000
            sums.timed += 1
        if r.cost_micros is not None:
            sums.cost_micros += r.cost_micros
            sums.priced += 1

    def write(self, connection: sa.Connection, *, last_seq: int) -> None:
        """Add all to the tables; `last_seq`, the batch's last number, marks the windows whose roll-ups are behind."""
        _add_rows(connection, usage_daily, ("tenant", "day", "model", "task", "key_id", "feature"), USAGE, self.daily)
        _add_rows(connection, usage_users, ("tenant", "day", "user_id"), USAGE, self.users)
        add_spending(connection, self.gateways)
        mark = "%s" if connection.dialect.name == "postgresql" else "?"
        connection.exec_driver_sql(
            f"INSERT INTO {rollup_windows.name} (tenant, window_start, last_seq) VALUES ({mark}, {mark}, {mark}) "
            "ON CONFLICT (tenant, window_start) DO UPDATE SET last_seq = excluded.last_seq",
            [(*window, last_seq) for window in sorted(self.windows)],
        )


def add_spending(connection: sa.Connection, spent: dict[tuple[str, ...], list[int]]) -> None:
    """Add to what each key cost by gateway and day; by key, gateway, day, tenant."""
    keys = ("key_id", "gateway", "day", "tenant")
    _add_rows(connection, usage_gateways, keys, ("cost_micros",), spent, conflict=keys[:3])


def add_usage(tally: list[int], r: CallFinished) -> None:
    """Add one call to sums in the order of `USAGE`; written out, since each ingested call passes here twice."""
    tally[0] += 1
    if r.outcome == "ok":
        tally[11] += r.ended_us - r.started_us
        tally[12] += 1
    elif r.outcome == "error":
        tally[1] += 1
    else:
        tally[2] += 1
    if r.cached:
        tally[3] += 1
    usage = r.usage
    if usage is None:
        tally[8] += 1
    else:
        tally[4] += usage.input or 0
        tally[5] += usage.output or 0
        tally[6] += usage.cached or 0
        tally[7] += usage.reasoning or 0
    if r.cost_micros is None:
        tally[10] += 1
    else:
        tally[9] += r.cost_micros


def own_part(r: CallFinished) -> CallFinished:
    """Give a call of several legs with the usage and cost of the one that answered; none of either where none did."""
    answered = next((leg for leg in r.legs if leg.accepted), None)
    usage, cost = (answered.usage, answered.cost_micros) if answered is not None else (None, 0)
    return msgspec.structs.replace(r, usage=usage, cost_micros=cost)


def _add_rows(
    connection: sa.Connection,
    table: sa.Table,
    keys: tuple[str, ...],
    values: tuple[str, ...],
    sums: dict[tuple[str, ...], list[int]],
    *,
    conflict: tuple[str, ...] | None = None,
) -> None:
    if not sums:
        return
    mark = "%s" if connection.dialect.name == "postgresql" else "?"
    grown = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in values)
    rows: list[tuple[Any, ...]] = [(*key, *added) for key, added in sorted(sums.items())]
    connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({', '.join(keys + values)}) VALUES ({', '.join([mark] * len(keys + values))}) "
        f"ON CONFLICT ({', '.join(conflict or keys)}) DO UPDATE SET {grown}",
        rows,
    )
