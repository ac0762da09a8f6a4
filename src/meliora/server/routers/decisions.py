"""Decisions without a call under the paths of the documents: classify a prompt, route one or many, ask for a local model.

Each answer is taken by what the gateway decides with, and says what to write as `model` so that a call is decided the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path
from pydantic import Field, model_validator

from meliora.errors import Forbidden, InvalidRequest, NoEndpoint, NotFound
from meliora.gateway.dialects.inspect import inspect_request
from meliora.routing.classify import Task, classify
from meliora.routing.escalation import is_failure
from meliora.routing.matrix import level_of
from meliora.server.again import Again, repeatable
from meliora.server.auth import CallCaller, Caller, HereControl
from meliora.server.choice import Choice, Chooser, Question, chooser_of
from meliora.server.context import Control
from meliora.server.dispatch import Errand, Priority, QueueSeen, Routed, dispatch
from meliora.server.inputs import Body, Count, Id, Limit, Name
from meliora.server.local import local_models
from meliora.server.shapes import Answer, ErrorBody, says
from meliora.store.calls.calls import CallFilter

router = APIRouter(tags=["routing"], route_class=Again)

Text = Annotated[str, Field(max_length=1024 * 1024)]
Messages = Annotated[list[dict[str, Any]], Field(min_length=1, max_length=10_000)]
_BATCH = 100
_FAILURES = 100


class PromptFields(Body):
    """A prompt, and what is wished."""

    prompt: Text
    system_prompt: Text | None = None
    prefer_quality: bool = False
    prefer_speed: bool = False


class InferenceFields(Body):
    """A conversation, and the model that would be liked for it."""

    messages: Messages
    preferred_model: Name | None = Field(default=None, description="Taken where it can be.")
    allow_cloud: bool = Field(default=True, description="False: only models of which no endpoint has a public address.")


class ErrandFields(Body):
    """A prompt or messages, and all that bears on where they go."""

    prompt: Text | None = None
    messages: Messages | None = None
    system_prompt: Text | None = None
    task_type: Task | None = Field(default=None, description="Default: what the classifier makes of it.")
    priority: Priority = Field(default="normal", description="`background` takes the cheapest model that can serve it.")
    queue_depth: Count | None = Field(
        default=None, description="Calls in flight. Default: what the gateways last reported."
    )
    budget: Annotated[float, Field(ge=0, lt=1e9, allow_inf_nan=False)] | None = Field(
        default=None, description="US dollars this call may cost by estimate; 0 takes the cheapest."
    )
    session: Id | None = Field(default=None, description="The conversation; its failed calls of late are counted.")
    failures: Annotated[int, Field(ge=0, le=1000, strict=True)] | None = Field(
        default=None, description="Failed calls of this conversation, where you count them yourself."
    )
    prefer_quality: bool = False
    prefer_speed: bool = False
    max_tokens: Limit | None = None
    tools: Annotated[list[dict[str, Any]], Field(max_length=1000)] | None = None
    available_models: Annotated[tuple[Name, ...], Field(min_length=1, max_length=1000)] | None = None

    @model_validator(mode="after")
    def _asks_something(self) -> ErrandFields:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("write either `prompt` or `messages`")
        return self


class ErrandsFields(Body):
    """Several at once."""

    requests: Annotated[list[ErrandFields], Field(min_length=1, max_length=_BATCH)]
    priority: Priority | None = Field(default=None, description="Of those that name none themselves.")

    def each(self) -> Iterator[ErrandFields]:
        """Give the requests with their priority."""
        for one in self.requests:
            named = self.priority is None or "priority" in one.model_fields_set
            yield one if named else one.model_copy(update={"priority": self.priority})


class Classified(msgspec.Struct, frozen=True, kw_only=True):
    """What the classifier makes of a prompt, and the model that `auto` leads to now."""

    model: str
    tier: str | None
    confidence: float
    """0.5, nothing to go by, to 1."""
    reason: str
    task_type: str
    complexity: float


class RoutingInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Why the recommended model."""

    task_type: str
    task_confidence: float
    """The classifier's confidence: 0.5, nothing to go by, to 1."""
    needs_nsfw: bool | None
    """Always null: content is not judged here, and nothing is made up."""
    selection_reason: str
    fallback_chain: tuple[str, ...]


class Recommended(msgspec.Struct, frozen=True):
    """The model to call by its name."""

    recommended_model: str
    routing_info: RoutingInfo


class RoutedItem(msgspec.Struct, frozen=True):
    """One of the requests: where it goes, or why it cannot."""

    routed: Routed | None
    error: ErrorBody | None


class RoutedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """The requests in their order."""

    items: tuple[RoutedItem, ...]
    estimated_cost: float
    """US dollars for those whose cost is known."""
    unpriced: int
    """Routed requests whose cost is not in the sum."""


@router.post("/routing/classify", **says(Classified))
@repeatable
def classified(asked: PromptFields, caller: CallCaller, control: HereControl) -> Answer:
    """Classify a prompt, and say which model `auto` leads to. Nothing is called, recorded or charged."""
    return Answer(_classify(asked, caller, control))


@router.get("/routing/classify/{prompt:rest}", **says(Classified))
def classified_by_path(
    prompt: Annotated[str, Path(max_length=8192)], caller: CallCaller, control: HereControl
) -> Answer:
    """Classify a short prompt. An address is kept in logs along the way: post what is private."""
    return Answer(_classify(PromptFields(prompt=prompt), caller, control))


@router.post("/inference/route", **says(Recommended, 404))
@repeatable
def recommended(asked: InferenceFields, caller: CallCaller, control: HereControl) -> Answer:
    """Recommend a model for a conversation. A preferred model that would leave the house where that is not allowed is not taken."""
    chooser = chooser_of(control, caller.tenant)
    body: dict[str, Any] = {"model": asked.preferred_model or "auto", "messages": asked.messages}
    question = question_of(caller, body)
    why = ""
    local: frozenset[str] | None = None
    if not asked.allow_cloud:
        local = local_models(control.context.settings)
        if not local:
            raise InvalidRequest("No model here is local.", hint="Allow the cloud.", field="allow_cloud")
        question = replace(question, available=tuple(sorted(local)))
        if asked.preferred_model is not None and asked.preferred_model not in local:
            chooser.choose(replace(question, available=None))  # an unknown or forbidden one is an error all the same
            question = replace(question, body={**body, "model": "auto"})
            why = f";not local:{asked.preferred_model}"
    choice = chooser.choose(question)
    view = inspect_request("chat", body)
    guess = classify(view.prompt_text, settings=control.context.settings.routing)
    return Answer(
        Recommended(
            choice.model,
            RoutingInfo(
                task_type=choice.task_type,
                task_confidence=guess.confidence,
                needs_nsfw=None,
                selection_reason=choice.reason + why,
                fallback_chain=tuple(name for name in choice.fallback_chain if local is None or name in local),
            ),
        )
    )


@router.post("/routing/route", **says(Routed))
@repeatable
def routed(asked: ErrandFields, caller: CallCaller, control: HereControl) -> Answer:
    """Route by task, queue, priority, budget and past failures; `call_with` is what to write as the call's `model`."""
    return Answer(_route(asked, caller, control, chooser_of(control, caller.tenant), in_flight(control)))


@router.post("/routing/route/batch", **says(RoutedBatch))
@repeatable
def routed_batch(asked: ErrandsFields, caller: CallCaller, control: HereControl) -> Answer:
    """Route up to a hundred at once; one that cannot be routed says why, and does not touch the others."""
    chooser, depth = chooser_of(control, caller.tenant), in_flight(control)
    items = tuple(_item(one, caller, control, chooser, depth) for one in asked.each())
    costs = [item.routed.estimated_cost for item in items if item.routed is not None]
    known = [cost for cost in costs if cost is not None]
    return Answer(RoutedBatch(items=items, estimated_cost=sum(known), unpriced=len(costs) - len(known)))


def question_of(caller: Caller, body: dict[str, Any]) -> Question:
    """Give a request as the caller's question, within what the caller's key may use."""
    key = caller.key
    return Question(
        tenant=caller.tenant,
        body=body,
        regions=key.regions if key is not None else None,
        allowed=key.models if key is not None else None,
        key=key,
    )


def in_flight(control: Control) -> int | None:
    """Give the calls in flight as the gateways that are alive last reported them; None where none did."""
    found = [one.counters.get("calls_in_flight") for one in control.store.gateways.list(control.now_us()) if one.alive]
    known = [count for count in found if isinstance(count, int)]
    return sum(known) if known else None


def _classify(asked: PromptFields, caller: Caller, control: Control) -> Classified:
    system = [{"role": "system", "content": asked.system_prompt}] if asked.system_prompt else []
    body = {"model": "auto", "messages": [*system, {"role": "user", "content": asked.prompt}]}
    question = replace(question_of(caller, body), prefer_quality=asked.prefer_quality, prefer_speed=asked.prefer_speed)
    choice: Choice = chooser_of(control, caller.tenant).choose(question)
    return Classified(
        model=choice.model,
        tier=choice.tier,
        confidence=choice.confidence,
        reason=choice.reason,
        task_type=choice.task_type,
        complexity=choice.complexity,
    )


def _route(asked: ErrandFields, caller: Caller, control: Control, chooser: Chooser, depth: int | None) -> Routed:
    turns = [{"role": "user", "content": asked.prompt}] if asked.messages is None else asked.messages
    system = [{"role": "system", "content": asked.system_prompt}] if asked.system_prompt else []
    body: dict[str, Any] = {"model": "auto", "messages": [*system, *turns]}
    if asked.max_tokens is not None:
        body["max_tokens"] = asked.max_tokens
    if asked.tools:
        body["tools"] = asked.tools
    question = replace(
        question_of(caller, body),
        prefer_quality=asked.prefer_quality,
        prefer_speed=asked.prefer_speed,
        available=asked.available_models,
    )
    failures = asked.failures if asked.failures is not None else _failures(asked.session, caller, control)
    errand = Errand(question, asked.task_type, asked.priority, asked.budget, failures)
    return dispatch(chooser, errand, _queue(asked.queue_depth if asked.queue_depth is not None else depth, control))


def _queue(depth: int | None, control: Control) -> QueueSeen:
    threshold = control.context.settings.routing.high_queue_threshold
    return QueueSeen(depth, level_of(depth, threshold), threshold)


def _failures(session: str | None, caller: Caller, control: Control) -> int:
    """Count the failed calls of a conversation within the time that failures are remembered."""
    memory = control.context.settings.routing.escalation.memory
    if session is None or memory <= 0:
        return 0
    since = control.now_us() - round(memory * 1e6)
    where = CallFilter(session=session, outcome="error", since_us=max(0, since))
    found = control.store.calls.list(caller.tenant, where, limit=_FAILURES).items
    return sum(is_failure(call.outcome, call.status) for call in found)


def _item(asked: ErrandFields, caller: Caller, control: Control, chooser: Chooser, depth: int | None) -> RoutedItem:
    try:
        return RoutedItem(_route(asked, caller, control, chooser, depth), None)
    except (InvalidRequest, Forbidden, NotFound, NoEndpoint) as error:
        return RoutedItem(None, ErrorBody(error.code, error.message, error.hint or None, error.field))
