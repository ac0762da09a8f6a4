"""Cost under the paths of the documents: estimate before a call, record what was spent elsewhere, sum up both."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import Field

from meliora.errors import UnknownModel
from meliora.server.again import Again
from meliora.server.auth import CallCaller, FeedbackCaller, HereControl, ReadCaller
from meliora.server.choice import ASSUMED_OUTPUT
from meliora.server.inputs import BIG, Body, Count, Filter, Name, Number, Since, Until
from meliora.server.shapes import Answer, says
from meliora.store.calls.metrics import MetricSum
from meliora.telemetry.records import Usage

router = APIRouter(prefix="/routing/cost", tags=["routing"], route_class=Again)

ELSEWHERE = "routing.cost.elsewhere"
"""Metric of what calls cost that did not go through the gateway."""
UNPRICED = "routing.unpriced.elsewhere"
"""Metric that counts those of unknown cost."""

_Tokens = Annotated[int, Query(ge=0, lt=BIG)]


class CostFields(Body):
    """A call that was made elsewhere. The gateway counts its own calls by itself."""

    model: Name
    input_tokens: Count
    output_tokens: Count
    task_type: Name | None = None
    cost: Annotated[Number, Field(ge=0, lt=1e9)] | None = Field(
        default=None, description="US dollars it did cost. Default: what the price list says."
    )


class CostRecorded(msgspec.Struct, frozen=True, kw_only=True):
    """What was noted. `cost_usd` null: the price is not known, and the call is counted as unpriced."""

    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    source: str
    """`given`, `price list` or `unknown`."""


class CostEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a call would cost. Null: the price is not known."""

    model: str
    tier: str | None
    estimated_cost_usd: float | None


class CostEstimates(msgspec.Struct, frozen=True, kw_only=True):
    """The models, the cheapest first, those of unknown price last."""

    input_tokens: int
    output_tokens: int
    items: tuple[CostEstimate, ...]


class ModelSpend(msgspec.Struct, frozen=True, kw_only=True):
    """What a model's calls cost. `unpriced` of the calls are not in the sum."""

    model: str | None
    calls: int
    cost_usd: float
    unpriced: int


class CostSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What was spent through the gateway, and elsewhere as it was recorded here. Each the dearest model first."""

    gateway: tuple[ModelSpend, ...]
    elsewhere: tuple[ModelSpend, ...]
    total_usd: float
    calls: int
    unpriced: int
    usd_per_1000_calls: float | None
    """Over the calls whose cost is known; null without any."""


@router.post("/record", **says(CostRecorded, status=201))
def record(asked: CostFields, caller: FeedbackCaller, control: HereControl) -> Answer:
    """Record what a call cost that did not go through the gateway, e.g. of a model run elsewhere."""
    cost, source = asked.cost, "given"
    if cost is None:
        usage = Usage(input=asked.input_tokens, output=asked.output_tokens)
        micros = control.context.price(asked.model, usage)
        cost, source = (None, "unknown") if micros is None else (micros / 1e6, "price list")
    context = {"model": asked.model, "input_tokens": asked.input_tokens, "output_tokens": asked.output_tokens}
    if asked.task_type is not None:
        context["task"] = asked.task_type
    improvement = control.context.improvement
    if cost is None:
        improvement.record_metric(caller.tenant, UNPRICED, 1.0, "calls", context)
    else:
        improvement.record_metric(caller.tenant, ELSEWHERE, cost, "USD", context)
    return Answer(
        CostRecorded(
            model=asked.model,
            input_tokens=asked.input_tokens,
            output_tokens=asked.output_tokens,
            cost_usd=cost,
            source=source,
        ),
        status_code=201,
    )


@router.get("/estimate", **says(CostEstimates, 404))
def estimate(
    caller: CallCaller,
    control: HereControl,
    input_tokens: _Tokens = 500,
    output_tokens: _Tokens = ASSUMED_OUTPUT,
    model: Filter = None,
) -> Answer:
    """Estimate what a call of so many tokens costs at one model, or at each."""
    offers = control.context.offers()
    found = offers.all()
    if model is not None:
        one = offers.find(offers.alias(model) or model)
        if one is None:
            raise UnknownModel(
                f"There is no model {model!r}.", hint="GET /inference/models lists what there is.", field="model"
            )
        found = [one]
    usage = Usage(input=input_tokens, output=output_tokens)
    items: list[CostEstimate] = []
    for candidate in found:
        micros = control.context.price(candidate.name, usage)
        cost = None if micros is None else micros / 1e6
        items.append(CostEstimate(model=candidate.name, tier=candidate.tier, estimated_cost_usd=cost))
    items.sort(key=lambda item: (item.estimated_cost_usd is None, item.estimated_cost_usd or 0.0, item.model))
    return Answer(CostEstimates(input_tokens=input_tokens, output_tokens=output_tokens, items=tuple(items)))


@router.get("/summary", **says(CostSummary))
def summary(caller: ReadCaller, control: HereControl, since: Since = None, until: Until = None) -> Answer:
    """Sum up what was spent by model: what the gateway counted, and what was recorded of calls elsewhere."""
    store = control.store
    own = store.analytics.usage(caller.tenant, "model", since_us=since, until_us=until)
    gateway = tuple(
        ModelSpend(model=one.group, calls=one.calls, cost_usd=one.cost_micros / 1e6, unpriced=one.unpriced)
        for one in own
    )
    spent = store.metrics.by_context(caller.tenant, ELSEWHERE, "model", since_us=since, until_us=until)
    unknown = store.metrics.by_context(caller.tenant, UNPRICED, "model", since_us=since, until_us=until)
    elsewhere = _elsewhere(spent, unknown)
    both = (*gateway, *elsewhere)
    calls, unpriced = sum(one.calls for one in both), sum(one.unpriced for one in both)
    total = sum(one.cost_usd for one in both)
    return Answer(
        CostSummary(
            gateway=gateway,
            elsewhere=elsewhere,
            total_usd=total,
            calls=calls,
            unpriced=unpriced,
            usd_per_1000_calls=total / (calls - unpriced) * 1000 if calls > unpriced else None,
        )
    )


def _elsewhere(spent: tuple[MetricSum, ...], unknown: tuple[MetricSum, ...]) -> tuple[ModelSpend, ...]:
    missing = {one.group: one.count for one in unknown}
    found = [
        ModelSpend(
            model=one.group,
            calls=one.count + missing.get(one.group, 0),
            cost_usd=one.total,
            unpriced=missing.pop(one.group, 0),
        )
        for one in spent
    ]
    found.extend(ModelSpend(model=group, calls=count, cost_usd=0.0, unpriced=count) for group, count in missing.items())
    return tuple(found)
