"""What the arms of a trial have shown: sums by stage and arm over the units that were randomised. Judges nothing.

Each metric is a ratio of sums, y over n; the sums of y, n, y*y, n*n and y*n over units are all that its variance by unit takes
(delta method; Deng, Knoblich, Lu, KDD 2018). Read from one index, and without holding a row in memory. `arms` reads them of calls,
`search_arms` of searches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import msgspec
import sqlalchemy as sa

from meliora.gateway.state import ArmName, Phase
from meliora.loop.metrics import Metric
from meliora.stats.histogram import LogHistogram
from meliora.store.engine import reading
from meliora.store.rows import AnyRow

_SECOND = 1_000_000

Contribution: TypeAlias = tuple[sa.ColumnElement[Any], sa.ColumnElement[bool]]
"""What one row adds to a metric, and whether that is known."""


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """A ratio of sums over units: y what rows came to (in the store's unit: micro-dollars, microseconds), n the rows it is known of."""

    units: int
    """That have a row which counts."""
    y: float
    n: float
    yy: float
    nn: float
    yn: float


class ArmStage(msgspec.Struct, frozen=True, kw_only=True):
    """One arm in one stage."""

    stage: int
    arm: ArmName
    units: int
    calls: int
    """Calls or searches that are old enough for some metric asked for."""
    sums: dict[str, Sums]
    """By name of the metric, of those that are rates or means."""
    histograms: dict[str, LogHistogram]
    """By name of the metric, of those that are quantiles."""


@dataclass(frozen=True, slots=True)
class Phased:
    """One phase of a change's trial, as the rows of a table carry it."""

    table: sa.Table
    tenant: str
    change: str
    phase: Phase

    def rows(self, *ended: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        """Give the condition on its rows, of those that `ended` lets through."""
        c = self.table.c
        return sa.and_(c.tenant == self.tenant, c.trial == self.change, c.trial_phase == self.phase, *ended)

    def until(self, until_us: int) -> sa.ColumnElement[bool]:
        """Give the condition on its rows that ended by then."""
        return self.rows(self.table.c.ended_us <= until_us)


class TrialArms:
    """Reads what trials have shown, of one table. A subclass names the table, and says what its rows add to a metric."""

    table: ClassVar[sa.Table]

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def _contribution(self, metric: Metric) -> Contribution:
        """Give what one row adds. Raises `InvalidRequest` for a metric that the table does not tell of."""
        raise NotImplementedError

    def _by_unit(self, of: Phased, metrics: Sequence[Metric], until_us: int, now_us: int) -> sa.Subquery:
        """Sum up the rows that ended by `until_us`, by stage, arm and unit: `calls`, and `totals` of each metric."""
        raise NotImplementedError

    def read(
        self, tenant: str, change: str, phase: Phase, metrics: Sequence[Metric], now_us: int
    ) -> tuple[ArmStage, ...]:
        """Give what each arm has shown in each stage, by stage and arm. A row counts for a metric once that is mature.

        A unit that went from one arm to the other counts in each, in its stage. Raises `InvalidRequest` for a metric that the table
        does not tell of.
        """
        if not metrics:
            return ()
        of = Phased(self.table, tenant, change, phase)
        averaged = [metric for metric in metrics if metric.form != "quantile"]
        with reading(self._engine) as connection:
            rows = connection.execute(self._summed(of, averaged, _latest_of(metrics, now_us), now_us)).all()
            histograms: dict[tuple[int, str], dict[str, LogHistogram]] = {}
            for metric in metrics:
                if metric.form == "quantile":
                    for stage, arm, value, times in connection.execute(self._counted(of, metric, now_us)):
                        named = histograms.setdefault((stage, arm), {})
                        named.setdefault(metric.name, LogHistogram()).add(float(value), times)
        return _arm_stages(rows, averaged, histograms)

    def calls(self, tenant: str, change: str, phase: Phase, since_us: int) -> int:
        """Count the rows of both arms that ended since."""
        of = Phased(self.table, tenant, change, phase)
        query = sa.select(sa.func.count()).select_from(self.table).where(of.rows(self.table.c.ended_us >= since_us))
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one()

    def _summed(self, of: Phased, metrics: Sequence[Metric], until_us: int, now_us: int) -> sa.Select[*tuple[Any, ...]]:
        """Sum up by unit, then over units."""
        return _over_units(self._by_unit(of, metrics, until_us, now_us), len(metrics))

    def _counted(self, of: Phased, metric: Metric, now_us: int) -> sa.Select[*tuple[Any, ...]]:
        """Count the rows by the value that they have of a metric, by stage and arm."""
        value, known = self._contribution(metric)
        c = self.table.c
        query = sa.select(c.trial_stage, c.arm, rounded(value).label("value"), sa.func.count())
        own = sa.and_(of.until(mature_until(metric, now_us)), known)
        return query.where(own).group_by(c.trial_stage, c.arm, sa.text("3"))


def mature_until(metric: Metric, now_us: int) -> int:
    """Give when the last row ended that a metric is mature of."""
    return now_us - round(metric.maturity_seconds * _SECOND)


def totals(at: int, value: sa.ColumnElement[Any], counts: sa.ColumnElement[bool]) -> tuple[sa.ColumnElement[Any], ...]:
    """Sum up the metric at this place over rows: `y` of the values that count, `n` of the rows that do."""
    one, none = sa.literal(1.0), sa.literal(0.0)
    return (
        sa.func.sum(sa.case((counts, value), else_=none)).label(f"y{at}"),
        sa.func.sum(sa.case((counts, one), else_=none)).label(f"n{at}"),
    )


def rounded(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Round whole numbers to four digits: a million rows come as a few thousand rows, a twentieth of a percent off at most."""
    step = sa.case(*((value < 10**digits, 10 ** (digits - 4)) for digits in range(4, 13)), else_=10**9)
    return value // step * step + step // 2


def _arm_stages(
    rows: Sequence[AnyRow],
    averaged: Sequence[Metric],
    histograms: Mapping[tuple[int, str], dict[str, LogHistogram]],
) -> tuple[ArmStage, ...]:
    """Read the rows that `_over_units` gives."""
    found = []
    for row in rows:
        sums = {
            metric.name: Sums(
                units=int(row[at]),
                y=float(row[at + 1]),
                n=float(row[at + 2]),
                yy=float(row[at + 3]),
                nn=float(row[at + 4]),
                yn=float(row[at + 5]),
            )
            for at, metric in zip(range(4, len(row), 6), averaged, strict=True)
        }
        own = histograms.get((row[0], row[1]), {})
        found.append(
            ArmStage(stage=row[0], arm=row[1], units=int(row[2]), calls=int(row[3]), sums=sums, histograms=own)
        )
    return tuple(found)


def _over_units(by_unit: sa.Subquery, metrics: int) -> sa.Select[*tuple[Any, ...]]:
    """Sum up over units, by stage and arm, what is summed by unit as `y0`, `n0`, `y1`, ..."""
    u = by_unit.c
    over: list[sa.ColumnElement[Any]] = []
    for at in range(metrics):
        y, n = u[f"y{at}"], u[f"n{at}"]
        over.append(sa.func.sum(sa.case((n > 0, 1), else_=0)))
        over.extend(map(sa.func.sum, (y, n, y * y, n * n, y * n)))
    sums = sa.select(u.trial_stage, u.arm, sa.func.count(), sa.func.sum(u.calls), *over)
    return sums.group_by(u.trial_stage, u.arm).order_by(u.trial_stage, u.arm)


def _latest_of(metrics: Sequence[Metric], now_us: int) -> int:
    """Give when the last row ended that is mature for any of these."""
    return now_us - round(min(metric.maturity_seconds for metric in metrics) * _SECOND)
