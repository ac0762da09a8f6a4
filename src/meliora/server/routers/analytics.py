"""What was spent, on what, how fast and how well. Means come with the sums and counts behind them; unknown cost is counted apart."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query

from meliora.server.again import Again
from meliora.server.auth import HereControl, ReadCaller
from meliora.server.inputs import Filter, Since, Until
from meliora.server.shapes import Answer, says
from meliora.store.calls.analytics import Distribution, ErrorRate, ModelRank, Usage
from meliora.store.calls.calls import Call

router = APIRouter(prefix="/api/v1/analytics", tags=["analytics"], route_class=Again)

_Limit = Annotated[int, Query(ge=1, le=1000)]


class UsageTable(msgspec.Struct, frozen=True):
    """Sums by group, and over all."""

    by: str
    items: tuple[Usage, ...]
    total: Usage


class CallList(msgspec.Struct, frozen=True):
    """Some calls."""

    items: tuple[Call, ...]


class Ranking(msgspec.Struct, frozen=True):
    """Models, the best first."""

    items: tuple[ModelRank, ...]


class FeatureCost(msgspec.Struct, frozen=True):
    """What a feature or a task cost. `cost_usd` covers the calls whose cost is known; `unpriced` are the others."""

    name: str | None
    calls: int
    cost_usd: float
    unpriced: int


class CostPerFeature(msgspec.Struct, frozen=True):
    """The same cost twice: by the feature that calls were tagged with, and by the task that was recognised."""

    by_feature: tuple[FeatureCost, ...]
    by_task: tuple[FeatureCost, ...]


@router.get("/usage", **says(UsageTable))
def usage(
    caller: ReadCaller,
    control: HereControl,
    by: Literal["model", "task", "tenant", "user", "day", "feature", "key"] = "model",
    since: Since = None,
    until: Until = None,
    limit: _Limit = 1000,
) -> Answer:
    """Sum calls, tokens and cost by group. By tenant: all of them for the deployment's administrators, else one's own."""
    analytics = control.store.analytics
    total = analytics.total(caller.tenant, since_us=since, until_us=until)
    if by != "tenant":
        items = analytics.usage(caller.tenant, by, since_us=since, until_us=until, limit=limit)
    elif caller.operates:
        items = analytics.tenants(since_us=since, until_us=until)[:limit]
    else:
        items = (total,)
    return Answer(UsageTable(by, items, total))


@router.get("/top-expensive", **says(CallList))
def top_expensive(
    caller: ReadCaller,
    control: HereControl,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> Answer:
    """List the dearest calls; those of unknown cost are not among them."""
    return Answer(
        CallList(control.store.analytics.top_expensive(caller.tenant, limit=limit, since_us=since, until_us=until))
    )


@router.get("/error-rate", **says(ErrorRate))
def error_rate(
    caller: ReadCaller, control: HereControl, model: Filter = None, since: Since = None, until: Until = None
) -> Answer:
    """Give the share of calls that failed, and by which error."""
    return Answer(control.store.analytics.error_rate(caller.tenant, model=model, since_us=since, until_us=until))


@router.get("/ranking", **says(Ranking))
def ranking(
    caller: ReadCaller, control: HereControl, task: Filter = None, since: Since = None, until: Until = None
) -> Answer:
    """Rank the models by success, then cost, then latency."""
    return Answer(Ranking(control.store.analytics.ranking(caller.tenant, task=task, since_us=since, until_us=until)))


@router.get("/latency", **says(Distribution))
def latency(
    caller: ReadCaller,
    control: HereControl,
    model: Filter = None,
    task: Filter = None,
    endpoint: Filter = None,
    since: Since = None,
    until: Until = None,
) -> Answer:
    """Give percentiles of latency, time to first token and cost, within 1% of exact."""
    found = control.store.analytics.distribution(
        caller.tenant, model=model, task=task, endpoint=endpoint, since_us=since, until_us=until
    )
    return Answer(found)


@router.get("/cost-per-feature", **says(CostPerFeature))
def cost_per_feature(
    caller: ReadCaller, control: HereControl, since: Since = None, until: Until = None, limit: _Limit = 1000
) -> Answer:
    """Sum cost by feature and by task."""

    def costs(by: Literal["feature", "task"]) -> tuple[FeatureCost, ...]:
        found = control.store.analytics.usage(caller.tenant, by, since_us=since, until_us=until, limit=limit)
        return tuple(FeatureCost(one.group, one.calls, one.cost_micros / 1e6, one.unpriced) for one in found)

    return Answer(CostPerFeature(costs("feature"), costs("task")))
