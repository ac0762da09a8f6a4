"""Named measurements, and how models do."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter
from pydantic import Field

from meliora.server.again import Again
from meliora.server.auth import FeedbackCaller, HereControl, ReadCaller
from meliora.server.inputs import Body, Cursor, Filter, JsonObject, Name, Number, PageLimit, Since, Until
from meliora.server.shapes import Answer, says
from meliora.store.calls.metrics import MetricName, MetricPoint, MetricSummary
from meliora.store.cursors import Page
from meliora.store.routing.model_performances import ModelPerformance

router = APIRouter(prefix="/api/v1", tags=["metrics"], route_class=Again)


class Observation(Body):
    """One measurement."""

    name: Name
    value: Number
    unit: Annotated[str, Field(max_length=50)] = Field(default="", description="ms, tokens, USD, ...")
    context: JsonObject | None = Field(default=None, description="`task`, `category`, or anything else worth keeping.")


class Names(msgspec.Struct, frozen=True):
    """The metrics there are."""

    items: tuple[MetricName, ...]


class Summaries(msgspec.Struct, frozen=True):
    """One summary a metric."""

    items: tuple[MetricSummary, ...]


class Performances(msgspec.Struct, frozen=True):
    """How models do, by task."""

    items: tuple[ModelPerformance, ...]


@router.post("/metrics", **says(MetricPoint, status=201))
def record(observation: Observation, caller: FeedbackCaller, control: HereControl) -> Answer:
    """Record a measurement."""
    point = control.context.improvement.record_metric(
        caller.tenant, observation.name, observation.value, observation.unit, observation.context
    )
    return Answer(point, status_code=201)


@router.get("/metrics", **says(Page[MetricPoint]))
def listed(
    caller: ReadCaller,
    control: HereControl,
    name: Filter = None,
    since: Since = None,
    until: Until = None,
    limit: PageLimit = 100,
    cursor: Cursor = None,
) -> Answer:
    """List measurements and five-minute windows, the newest first."""
    page = control.store.metrics.list(caller.tenant, name, since_us=since, until_us=until, limit=limit, cursor=cursor)
    return Answer(page)


@router.get("/metrics/names", **says(Names))
def names(caller: ReadCaller, control: HereControl) -> Answer:
    """List the metrics there are."""
    return Answer(Names(control.store.metrics.names(caller.tenant)))


@router.get("/metrics/analyze", **says(Summaries))
def analyze(
    caller: ReadCaller,
    control: HereControl,
    name: Filter = None,
    task_type: Filter = None,
    since: Since = None,
    until: Until = None,
) -> Answer:
    """Summarise each metric: mean, extremes, percentiles, and how it changed over the time."""
    found = control.store.metrics.analyze(caller.tenant, name=name, task_type=task_type, since_us=since, until_us=until)
    return Answer(Summaries(found))


@router.get("/model-performance", **says(Performances))
def performance(caller: ReadCaller, control: HereControl, task_type: Filter = None) -> Answer:
    """Show how models do at tasks, with the sums and counts behind each mean. `success_rate` is a share, 0 to 1."""
    return Answer(Performances(control.store.model_performances.list(caller.tenant, task_type)))
