"""`/routing/route`: by task, queue, priority, budget and past failures, in words that a call can then be made with.

Whatever it advises, a call whose `model` is `call_with` is served by the model that stands here. Makes no call itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from meliora.errors import InvalidRequest, MelioraError
from meliora.gateway.dialects.inspect import inspect_request
from meliora.routing.classify import Task
from meliora.routing.constraints import forbidden, unable
from meliora.routing.decide import TIERS
from meliora.routing.escalation import raised
from meliora.routing.matrix import Level, tier_for
from meliora.server.choice import ASSUMED_OUTPUT, Choice, Chooser, Question, Rejected, wanted_of
from meliora.telemetry.records import Usage

Priority = Literal["interactive", "normal", "background"]


class QueueSeen(msgspec.Struct, frozen=True):
    """How many calls are in flight. Null: not known, and taken as a short queue."""

    depth: int | None
    level: Level | None
    threshold: int
    """The depth from which the queue is long."""


class Escalated(msgspec.Struct, frozen=True):
    """Failures that moved the call to another tier, or the reason why they did not."""

    failures: int
    was: str
    tier: str
    why: str


class Routed(msgspec.Struct, frozen=True, kw_only=True):
    """Where a call goes. `estimated_cost` in US dollars, null where a price is unknown."""

    model: str
    call_with: str
    """What to write as the call's `model`: it is then served by the model above."""
    tier: str | None
    task_type: str
    priority: Priority
    queue: QueueSeen
    reason: str
    rule_id: str | None
    confidence: float
    complexity: float
    estimated_input_tokens: int
    estimated_cost: float | None
    fallback_chain: tuple[str, ...]
    escalated: Escalated | None
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be routed: a question to decide on, and what else is known of it."""

    question: Question
    """Its `model` is `auto`."""
    task: Task | None = None
    priority: Priority = "normal"
    budget: float | None = None
    """US dollars that the call may cost; 0 asks for the cheapest there is."""
    failures: int = 0
    """Failed calls of the same conversation."""


def dispatch(chooser: Chooser, errand: Errand, queue: QueueSeen) -> Routed:
    """Route one errand.

    Background work, and a budget of 0, take the cheapest model that can serve the call; a budget above takes the models out that
    cost more, or whose cost is not known. Otherwise the tier is the task's where the task is named or the queue is long, and
    else what `auto` decides: rules, learned policy, classifier. Failures then raise the tier, unless speed or a budget is
    what is asked for. Raises `InvalidRequest` where nothing fits the budget, and what a decision raises.
    """
    if errand.priority == "background" or errand.budget == 0:
        return _cheapest(chooser, errand, queue)
    question = errand.question
    if errand.budget is not None:
        question = replace(question, available=_affordable(chooser, errand, errand.budget))
    ask, choice = "auto", chooser.choose(question)
    task = errand.task or choice.task_type
    settings = chooser.settings.routing
    if errand.task is not None or queue.level == "high":
        ask = f"auto:{tier_for(_task(task), queue.level, settings.matrix)}"
        choice = chooser.choose(_asking(question, ask))
    escalated = None
    higher = raised(choice.tier or "", errand.failures, settings.escalation)
    if higher is not None and choice.rule_id is None:
        why = _unmoved(errand)
        if not why:
            ask, was = f"auto:{higher}", choice.tier or ""
            choice = chooser.choose(_asking(question, ask))
            escalated = Escalated(errand.failures, was, higher, f"{errand.failures} calls of this conversation failed.")
        else:
            escalated = Escalated(errand.failures, choice.tier or "", choice.tier or "", why)
    if errand.budget is not None:
        choice = _within(chooser, question, choice)
    call_with = _call_with(chooser, question, ask, choice)
    reason = choice.reason if escalated is None or escalated.was == escalated.tier else f"escalated:{escalated.tier}"
    return _routed(errand, queue, choice, call_with=call_with, task=task, reason=reason, escalated=escalated)


def _unmoved(errand: Errand) -> str:
    if errand.budget is not None:
        return "Failures do not raise the tier of a call with a budget."
    if errand.question.prefer_speed:
        return "Failures do not raise the tier of a call that shall be fast."
    return ""


def _task(name: str) -> Task:
    return msgspec.convert(name, Task)


def _asking(question: Question, model: str) -> Question:
    return replace(question, body={**question.body, "model": model})


def _call_with(chooser: Chooser, question: Question, ask: str, choice: Choice) -> str:
    """Give the loosest wording that leads a plain call to this model."""
    plain = replace(question, prefer_quality=False, prefer_speed=False, available=None)
    for wording in dict.fromkeys((ask, f"auto:{choice.tier}")):
        if wording == "auto" or wording.removeprefix("auto:") in TIERS:
            try:
                if chooser.choose(_asking(plain, wording)).model == choice.model:
                    return wording
            except MelioraError:
                continue  # the gateway would refuse that wording too
    return choice.model


def _cheapest(chooser: Chooser, errand: Errand, queue: QueueSeen) -> Routed:
    """Take the model of the least estimated cost; one of unknown cost only where no other is left."""
    priced = sorted(_priced(chooser, errand), key=lambda one: (one[1] is None, one[1] or 0.0))
    if not priced:
        chooser.choose(errand.question)  # raises, and says of each model why not
        raise InvalidRequest("No model can serve this call.", field="available_models")
    model = priced[0][0]
    choice = chooser.choose(_asking(replace(errand.question, available=None), model))
    task = errand.task or choice.task_type
    reason = "cheapest" if choice.model == model else choice.reason
    routed = _routed(errand, queue, choice, call_with=model, task=task, reason=reason, escalated=None)
    others = tuple(name for name, _ in priced[1:9])
    return msgspec.structs.replace(routed, fallback_chain=others)


def _within(chooser: Chooser, question: Question, choice: Choice) -> Choice:
    """Take the strongest weaker tier that has an affordable model, where the tier that was meant has none."""
    if not choice.reason.endswith(";emergency"):
        return choice
    for tier in ("deep", "balanced", "fast"):
        lower = chooser.choose(_asking(question, f"auto:{tier}"))
        if lower.tier == tier and not lower.reason.endswith(";emergency"):
            return lower
    return choice


def _affordable(chooser: Chooser, errand: Errand, budget: float) -> tuple[str, ...] | None:
    """Give the models within a budget; where none can serve the call anyway, what was available, for the decision to refuse."""
    priced = list(_priced(chooser, errand))
    found = tuple(name for name, cost in priced if cost is not None and cost <= budget)
    if found or not priced:
        return found or errand.question.available
    known = [cost for _, cost in priced if cost is not None]
    least = f"The cheapest that can serve it takes about ${min(known):.6f}" if known else "No model's price is known"
    raise InvalidRequest(f"No model serves this call for ${budget:g}. {least}.", field="budget")


def _priced(chooser: Chooser, errand: Errand) -> Iterator[tuple[str, float | None]]:
    """Give each model that can serve the call with what it would cost, None where that is not known."""
    question = errand.question
    view = inspect_request("chat", question.body)
    usage = Usage(input=max(1, view.input_chars // 4), output=view.max_output_tokens or ASSUMED_OUTPUT)
    wanted = wanted_of(question, view)
    for model in chooser.offers.all():
        if question.available is not None and model.name not in question.available:
            continue
        if not forbidden(model, wanted) and not unable(model, wanted) and chooser.offers.health(model.name) > 0.0:
            micros = chooser.price(model.name, usage)
            yield model.name, None if micros is None else micros / 1e6


def _routed(
    errand: Errand,
    queue: QueueSeen,
    choice: Choice,
    *,
    call_with: str,
    task: str,
    reason: str,
    escalated: Escalated | None,
) -> Routed:
    shared: dict[str, Any] = {name: getattr(choice, name) for name in _SHARED}
    return Routed(
        **shared,
        call_with=call_with,
        task_type=task,
        priority=errand.priority,
        queue=queue,
        reason=reason,
        escalated=escalated,
    )


_SHARED = (
    "model",
    "tier",
    "rule_id",
    "confidence",
    "complexity",
    "estimated_input_tokens",
    "estimated_cost",
    "fallback_chain",
    "rejected",
)
