"""The improvement tools by name, as agents and scripts call them. A tool that failed never answers success."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field

from meliora.errors import Conflict
from meliora.loop.states import State
from meliora.routing.rules import PATTERN_CHARS
from meliora.server.again import Again, repeatable
from meliora.server.auth import AdminCaller, FeedbackCaller, HereControl, ReadCaller
from meliora.server.inputs import CamelBody, Count, JsonObject, LongText, Name, Number
from meliora.server.loop import actor
from meliora.server.shapes import Answer, says
from meliora.settings.models import Tier
from meliora.store.calls.metrics import MetricPoint, MetricSummary
from meliora.telemetry.improvement import Heuristic, HeuristicChange, ModelScore, Report

router = APIRouter(prefix="/tools", tags=["tools"], route_class=Again)

T = TypeVar("T")
_INT = 2**31
_Measure = Annotated[Number, Field(ge=0, lt=1e12)]


class RecordMetric(CamelBody):
    """Record one measurement."""

    name: Name
    value: Number
    unit: Annotated[str, Field(max_length=50)]
    context: JsonObject | None = None


class AnalyzeMetrics(CamelBody):
    """Summarise models and metrics."""

    task_type: Name | None = None
    include_report: bool = True


class UpdateModelPerformance(CamelBody):
    """Add one outcome of a model at a task. Latency or cost null: not known."""

    model_id: Name
    task_type: Name
    success: bool
    latency_ms: _Measure | None = None
    cost: _Measure | None = Field(default=None, description="US dollars.")


class GetRoutingHeuristics(CamelBody):
    """List the routing heuristics."""

    active_only: bool = True


class UpdateRoutingHeuristic(CamelBody):
    """Create or change the heuristic of a pattern; what is left out stays as it stands."""

    pattern: Annotated[str, Field(min_length=1, max_length=PATTERN_CHARS)]
    preferred_layer: Tier | None = None
    preferred_model: Name | None = None
    reasoning: LongText | None = None
    success_rate: Annotated[Number, Field(ge=0, le=100)] | None = Field(default=None, description="Per cent.")
    usage_count: Count | None = None
    active: bool | None = None
    priority: Annotated[int, Field(gt=-_INT, lt=_INT)] | None = None


class Done(msgspec.Struct, Generic[T], frozen=True):
    """What the tool gives; `success` is never false, a failure is an error."""

    result: T
    success: bool = True


class HeuristicDone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The heuristic as it stands now: `active` only where calls are routed by it. `change` is the change that brings it there."""

    result: Heuristic
    success: bool
    change: str | None = None
    """Id of the change; missing where rules are not changed by way of the loop, or nothing was to be changed."""
    state: State | None = None
    """Where the change stands: `kept` and `watching` are in service, `proved` waits for its trial, an approval or its turn."""
    reason: str | None = None
    """Why it waits, or was rejected."""


class HeuristicsDone(msgspec.Struct, frozen=True):
    """The heuristics, in the order they are tried."""

    result: tuple[Heuristic, ...]
    success: bool = True


class Tool(msgspec.Struct, frozen=True):
    """A tool: how it is called and what it takes."""

    name: str
    description: str
    method: str
    scope: str
    parameters: dict[str, Any]


class Tools(msgspec.Struct, frozen=True):
    """The tools there are."""

    tools: tuple[Tool, ...]


class MetricsAnalysis(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Models by task, metrics, the same as text, and the report if wanted."""

    task_type: str | None
    models: tuple[ModelScore, ...]
    metrics: tuple[MetricSummary, ...]
    text: str
    report: Report | None


_TOOLS: tuple[tuple[str, type[CamelBody], str], ...] = (
    ("record_metric", RecordMetric, "feedback"),
    ("analyze_metrics", AnalyzeMetrics, "read"),
    ("update_model_performance", UpdateModelPerformance, "feedback"),
    ("get_routing_heuristics", GetRoutingHeuristics, "read"),
    ("update_routing_heuristic", UpdateRoutingHeuristic, "admin"),
)


@router.get("", **says(Tools))
def listed(caller: ReadCaller) -> Answer:
    """List the tools with the JSON schema of what each takes."""
    return Answer(
        Tools(
            tuple(
                Tool(name, (shape.__doc__ or "").strip(), "POST", scope, shape.model_json_schema())
                for name, shape, scope in _TOOLS
            )
        )
    )


@router.post("/record_metric", **says(Done[MetricPoint]))
def record_metric(asked: RecordMetric, caller: FeedbackCaller, control: HereControl) -> Answer:
    """Record one measurement."""
    point = control.context.improvement.record_metric(caller.tenant, asked.name, asked.value, asked.unit, asked.context)
    return Answer(Done(point))


@router.post("/analyze_metrics", **says(Done[MetricsAnalysis]))
@repeatable
def analyze_metrics(caller: ReadCaller, control: HereControl, asked: AnalyzeMetrics | None = None) -> Answer:
    """Summarise models and metrics, with the improvement report unless it is not wanted."""
    asked = asked or AnalyzeMetrics()
    found = control.context.improvement.analyze_metrics(
        caller.tenant, asked.task_type, include_report=asked.include_report
    )
    return Answer(Done(found))


@router.post("/update_model_performance", **says(Done[ModelScore]))
def update_model_performance(asked: UpdateModelPerformance, caller: FeedbackCaller, control: HereControl) -> Answer:
    """Add one outcome of a model at a task. Calls that went through the gateway are counted without it."""
    score = control.context.improvement.update_model_performance(
        caller.tenant,
        asked.model_id,
        asked.task_type,
        success=asked.success,
        latency_ms=asked.latency_ms,
        cost=asked.cost,
    )
    return Answer(Done(score))


@router.get("/get_routing_heuristics", **says(HeuristicsDone))
def heuristics(
    caller: ReadCaller, control: HereControl, active_only: Annotated[bool, Query(alias="activeOnly")] = True
) -> Answer:
    """List the routing heuristics in the order they are tried."""
    return Answer(HeuristicsDone(control.context.improvement.get_routing_heuristics(caller.tenant, active_only)))


@router.post("/get_routing_heuristics", **says(HeuristicsDone))
@repeatable
def get_routing_heuristics(
    caller: ReadCaller, control: HereControl, asked: GetRoutingHeuristics | None = None
) -> Answer:
    """List the routing heuristics in the order they are tried."""
    active_only = asked is None or asked.active_only
    return Answer(HeuristicsDone(control.context.improvement.get_routing_heuristics(caller.tenant, active_only)))


@router.post("/update_routing_heuristic", **says(HeuristicDone))
def update_routing_heuristic(asked: UpdateRoutingHeuristic, caller: AdminCaller, control: HereControl) -> Answer:
    """Create or change the heuristic of a pattern, by a change of the loop. In service, calls are routed by it within two seconds."""
    change = HeuristicChange(**asked.model_dump())
    improvement, loop = control.context.improvement, control.context.loop
    if loop is None or not control.context.settings.loop.enabled:
        heuristic = improvement.update_routing_heuristic(caller.tenant, change)
        control.changed(
            caller.tenant, caller.key_id, "rule.set", heuristic.id, {"pattern": heuristic.pattern, "by": "tool"}
        )
        return Answer(HeuristicDone(result=heuristic, success=True))
    stands, wished = improvement.wished(caller.tenant, change)
    if stands is not None and wished == stands:
        return Answer(HeuristicDone(result=stands, success=True))
    said = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
    found = loop.asked(caller.tenant, actor(caller), "routing_rule", f"rule:{change.pattern}", said)
    control.changed(caller.tenant, caller.key_id, "rule.propose", found.id, {"pattern": change.pattern, "by": "tool"})
    if found.state in (State.REJECTED, State.ROLLING_BACK, State.ROLLED_BACK):
        raise Conflict(f"The heuristic was not changed: {found.reason}.", hint=f"`meliora changes show {found.id}`.")
    known = improvement.get_routing_heuristics(caller.tenant, active_only=False)
    now = next((one for one in known if one.pattern == change.pattern), None)
    if now is None or found.state not in (State.WATCHING, State.KEPT):
        made_id = now.id if now is not None else str(found.payload.get("rule", {}).get("id", ""))
        now = msgspec.structs.replace(wished, id=made_id, active=now is not None and now.active)
    return Answer(HeuristicDone(result=now, success=True, change=found.id, state=found.state, reason=found.reason))
