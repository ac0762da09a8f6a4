"""Cost, tokens, errors, rankings and percentiles, from the daily sums and the five-minute roll-ups, never from raw calls
where a sum will do: each answer in under a second with a million calls."""

from __future__ import annotations

from typing import Literal

import msgspec
import sqlalchemy as sa

from meliora.store.calls import Call

Grouping = Literal["model", "task", "user", "day", "feature", "key"]


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of one group. `group` None: the calls had no such thing.

    `cost_micros` covers the calls whose cost is known; `unpriced` says how many are not in it, `unmetered` likewise for tokens.
    """

    group: str | None
    calls: int
    errors: int
    cancelled: int
    cached: int
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    tokens_reasoning: int
    unmetered: int
    cost_micros: int
    unpriced: int


class ErrorRate(msgspec.Struct, frozen=True, kw_only=True):
    """Share of calls that failed; None without calls. Cancelled calls count as calls, lost ones stand beside."""

    calls: int
    errors: int
    cancelled: int
    lost: int
    rate: float | None
    by_code: dict[str, int]


class ModelRank(msgspec.Struct, frozen=True, kw_only=True):
    """A model and what stands behind each of its means; a mean is None where nothing does."""

    model: str
    calls: int
    successes: int
    success_rate: float | None
    timed: int
    latency_sum_us: int
    avg_latency_ms: float | None
    priced: int
    cost_sum_micros: int
    avg_cost_micros: float | None
    feedback: int
    feedback_sum: float
    avg_feedback: float | None


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution, within 1% of exact. Milliseconds for times, micro-dollars for cost; None where there is nothing."""

    count: int
    mean: float | None
    min: float | None
    max: float | None
    p50: float | None
    p95: float | None
    p99: float | None


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """Latency, time to first token and cost of the calls in rolled-up windows."""

    latency_ms: Percentiles
    ttft_ms: Percentiles
    cost_micros: Percentiles


class Analytics:
    """Answer what was spent, on what, how fast and how well. `since_us` and `until_us` are half-open; None leaves them open.

    Sums by day take whole days (UTC) that touch the interval.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def usage(
        self, tenant: str, by: Grouping, *, since_us: int | None = None, until_us: int | None = None, limit: int = 1000
    ) -> tuple[Usage, ...]:
        """Give sums a group: days in order, else the dearest first."""
        raise NotImplementedError

    def total(self, tenant: str, *, since_us: int | None = None, until_us: int | None = None) -> Usage:
        """Give the sums over all groups; `group` is the tenant."""
        raise NotImplementedError

    def tenants(self, *, since_us: int | None = None, until_us: int | None = None) -> tuple[Usage, ...]:
        """Give sums a tenant. For the administrator of the deployment: it is not confined to one."""
        raise NotImplementedError

    def top_expensive(
        self, tenant: str, *, limit: int = 10, since_us: int | None = None, until_us: int | None = None
    ) -> tuple[Call, ...]:
        """Give the dearest calls, the dearest first; those of unknown cost are not among them."""
        raise NotImplementedError

    def error_rate(
        self, tenant: str, *, model: str | None = None, since_us: int | None = None, until_us: int | None = None
    ) -> ErrorRate:
        """Give the share of failures; finished windows of five minutes that touch the interval."""
        raise NotImplementedError

    def ranking(
        self, tenant: str, *, task: str | None = None, since_us: int | None = None, until_us: int | None = None
    ) -> tuple[ModelRank, ...]:
        """Give the models, the highest success rate first, then the cheaper, then the faster."""
        raise NotImplementedError

    def distribution(
        self,
        tenant: str,
        *,
        model: str | None = None,
        task: str | None = None,
        endpoint: str | None = None,
        since_us: int | None = None,
        until_us: int | None = None,
    ) -> Distribution:
        """Give percentiles over the windows of five minutes that touch the interval."""
        raise NotImplementedError
