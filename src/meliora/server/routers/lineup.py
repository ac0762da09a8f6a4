"""The models there are to choose among: by tier, as a list, by task and queue; and how the choices did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import msgspec
from fastapi import APIRouter

from meliora.routing.decide import TIERS, Decision, Wanted, decide
from meliora.routing.escalation import SECURITY_RULE, security_rule
from meliora.routing.matrix import MatrixRow, level_of, matrix
from meliora.routing.pool import Candidate
from meliora.routing.rules import RuleSet
from meliora.server.again import Again
from meliora.server.auth import CallCaller, Caller, HereControl, ReadCaller
from meliora.server.context import Control
from meliora.server.dispatch import QueueSeen
from meliora.server.inputs import Filter, Since, Until
from meliora.server.local import local_models
from meliora.server.routers.decisions import in_flight
from meliora.server.shapes import Answer, says
from meliora.store.calls.analytics import ModelRank

router = APIRouter(tags=["routing"], route_class=Again)

_OLDER = {"fast": ("FAST", "L0"), "balanced": ("L1",), "deep": ("QUALITY", "L2", "L3"), "code": ("CODE",)}
_UP = {"fast": "balanced", "balanced": "deep", "deep": None, "code": "deep"}


class TierModels(msgspec.Struct, frozen=True, kw_only=True):
    """A tier, with its models in the order of priority and price."""

    tier: str
    call_with: str
    older_names: tuple[str, ...]
    """What it is called in older documents."""
    next: str | None
    """Where a call goes that none of the tier can serve, or that keeps failing here."""
    models: tuple[str, ...]


class TierList(msgspec.Struct, frozen=True):
    """All tiers, and the one for prompts that say nothing of themselves."""

    items: tuple[TierModels, ...]
    default: str


class ModelOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A model that can be called. Null: not declared, or not known. Prices in US dollars a thousand tokens."""

    name: str
    tier: str | None
    priority: int
    capabilities: tuple[str, ...] | None
    context_window: int | None
    regions: tuple[str, ...]
    cost_per_1k_input: float | None
    cost_per_1k_output: float | None
    fallbacks: tuple[str, ...]
    in_service: bool
    local: bool
    """No call of it goes to a public address."""


class ModelOffers(msgspec.Struct, frozen=True):
    """The models that the key may call."""

    items: tuple[ModelOffer, ...]


class MeasuredModel(ModelOffer, frozen=True, kw_only=True):
    """A model, and what its calls were like; null where there were none. `calls` to `feedback` count what a mean rests on."""

    calls: int
    success_rate: float | None
    avg_latency_ms: float | None
    timed: int
    avg_cost_usd: float | None
    priced: int
    avg_feedback: float | None
    feedback: int


class MeasuredModels(msgspec.Struct, frozen=True):
    """The models, and what was measured of them."""

    items: tuple[MeasuredModel, ...]


class RoutingMatrix(msgspec.Struct, frozen=True):
    """For each task what is called at a short and at a long queue, and how long the queue is now."""

    queue: QueueSeen
    rows: tuple[MatrixRow, ...]


class EscalationRules(msgspec.Struct, frozen=True, kw_only=True):
    """When a call goes to a stronger tier or to several models, as the settings `[routing.escalation]` and `[routing.crosscheck]` say."""

    security_words: tuple[str, ...]
    security_tier: str | None
    """Null: switched off."""
    security_rule: str
    """Id by which `x-meliora-reason` names the rule."""
    security_priority: int
    failures: int
    """Failed calls of a conversation that are borne before its next one goes a tier up."""
    memory_seconds: float
    """How long a failure is remembered; 0: switched off."""
    crosscheck_stakes: tuple[str, ...]
    """Stakes at which two models answer and a third compares them; empty: switched off."""
    never_because_of: tuple[str, ...]


@router.get("/routing/tiers", **says(TierList))
def tiers(caller: CallCaller, control: HereControl) -> Answer:
    """List the tiers with their models."""
    offers = control.context.offers()
    items = tuple(
        TierModels(
            tier=tier,
            call_with=f"auto:{tier}",
            older_names=_OLDER[tier],
            next=_UP[tier],
            models=tuple(model.name for model in _allowed(_ordered(offers.in_tier(tier)), caller)),
        )
        for tier in TIERS
    )
    return Answer(TierList(items, control.context.settings.routing.default_tier))


@router.get("/inference/models", **says(ModelOffers))
def models(caller: CallCaller, control: HereControl) -> Answer:
    """List the models that the key may call, with what they can do and cost."""
    return Answer(ModelOffers(tuple(_offers(caller, control))))


@router.get("/routing/models", **says(MeasuredModels))
def measured_models(
    caller: ReadCaller, control: HereControl, task: Filter = None, since: Since = None, until: Until = None
) -> Answer:
    """List the models with what was measured of them: success, latency, cost and feedback, and how many calls each rests on."""
    ranks = {
        rank.model: rank
        for rank in control.store.analytics.ranking(caller.tenant, task=task, since_us=since, until_us=until)
    }
    return Answer(MeasuredModels(tuple(_measured(offer, ranks.get(offer.name)) for offer in _offers(caller, control))))


@router.get("/routing/matrix", **says(RoutingMatrix))
def by_task(caller: CallCaller, control: HereControl) -> Answer:
    """Show which models serve each task at a short and at a long queue, made of the models that are configured.

    Rules and a learned policy look at the prompt; what they would change cannot stand here.
    """
    settings, offers = control.context.settings, control.context.offers()
    key = caller.key

    def choose(model: str) -> Decision:
        wanted = Wanted(
            tenant=caller.tenant,
            model=model,
            regions=key.regions if key is not None else None,
            allowed=key.models if key is not None else None,
        )
        return decide(wanted, offers, RuleSet(), settings)

    threshold = settings.routing.high_queue_threshold
    depth = in_flight(control)
    queue = QueueSeen(depth, level_of(depth, threshold), threshold)
    return Answer(RoutingMatrix(queue, matrix(settings.routing.matrix, choose)))


@router.get("/routing/escalation", **says(EscalationRules))
def escalation(caller: CallCaller, control: HereControl) -> Answer:
    """Show when calls go to a stronger tier than their prompt alone would, or to several models."""
    routing = control.context.settings.routing
    rule = security_rule(routing.escalation)
    return Answer(
        EscalationRules(
            security_words=tuple(routing.escalation.security_words),
            security_tier=rule.preferred_layer if rule is not None else None,
            security_rule=SECURITY_RULE,
            security_priority=routing.escalation.security_priority,
            failures=routing.escalation.failures,
            memory_seconds=routing.escalation.memory,
            crosscheck_stakes=tuple(routing.crosscheck.stakes),
            never_because_of=("a budget", "a rate limit", "a request that the provider refused", "a wish for speed"),
        )
    )


def _ordered(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Sort as within a tier, for prompt and answer of equal length."""

    def rank(model: Candidate) -> tuple[int, float, str]:
        known = model.input_price is not None and model.output_price is not None
        price = (model.input_price or 0.0) + (model.output_price or 0.0) if known else float("inf")
        return (-model.priority, price, model.name)

    return sorted(candidates, key=rank)


def _allowed(candidates: Sequence[Candidate], caller: Caller) -> list[Candidate]:
    globs = caller.key.models if caller.key is not None else None
    if globs is None:
        return list(candidates)
    return [model for model in candidates if any(fnmatchcase(model.name, glob) for glob in globs)]


def _offers(caller: Caller, control: Control) -> Iterable[ModelOffer]:
    offers, local = control.context.offers(), local_models(control.context.settings)
    for model in _allowed(offers.all(), caller):
        yield ModelOffer(
            name=model.name,
            tier=model.tier,
            priority=model.priority,
            capabilities=None if model.capabilities is None else tuple(sorted(model.capabilities)),
            context_window=model.context_window,
            regions=tuple(sorted(model.regions)),
            cost_per_1k_input=_per_thousand(model.input_price),
            cost_per_1k_output=_per_thousand(model.output_price),
            fallbacks=model.fallbacks,
            in_service=offers.health(model.name) > 0.0,
            local=model.name in local,
        )


def _per_thousand(per_million: float | None) -> float | None:
    return None if per_million is None else per_million / 1000


def _measured(offer: ModelOffer, rank: ModelRank | None) -> MeasuredModel:
    micros = rank.avg_cost_micros if rank is not None else None
    return MeasuredModel(
        **msgspec.structs.asdict(offer),
        calls=rank.calls if rank is not None else 0,
        success_rate=rank.success_rate if rank is not None else None,
        avg_latency_ms=rank.avg_latency_ms if rank is not None else None,
        timed=rank.timed if rank is not None else 0,
        avg_cost_usd=None if micros is None else micros / 1e6,
        priced=rank.priced if rank is not None else 0,
        avg_feedback=rank.avg_feedback if rank is not None else None,
        feedback=rank.feedback if rank is not None else 0,
    )
