"""The kinds of change that this deployment knows, one line each, put together from settings and store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import structlog

from meliora.changes.manner import Manner, Margins
from meliora.changes.model_choice.kind import ModelChoice, Offer
from meliora.changes.routing_policy.kind import RoutingPolicy
from meliora.changes.routing_rule.kind import RoutingRule, Sources
from meliora.clock import Clock
from meliora.errors import MelioraError
from meliora.gateway.dialects.inspect import inspect_request
from meliora.loop.kind import ChangeKind, TrialPlan, WatchPlan
from meliora.runtime.shared import effective
from meliora.runtime.starting import Offered
from meliora.settings import Settings
from meliora.settings.loop import Loop as LoopSettings
from meliora.store.store import Store

if TYPE_CHECKING:
    from meliora.runtime.knowledge.kinds import Knowing

log = structlog.get_logger(__name__)


def kinds(settings: Settings, store: Store, clock: Clock, knowing: Knowing | None = None) -> dict[str, ChangeKind]:
    """Give every kind of change by its name. Nothing is read before a kind is asked for something."""
    from meliora.routing.learning.promotion import dial_of

    chosen, check = settings.loop, store.changes.check
    offered = Offered(effective(settings), clock)
    sources = Sources(store.outcomes, read_prompt, offered, Paying(settings, store))
    made: tuple[ChangeKind, ...] = (
        RoutingPolicy(
            store.routing_snapshots,
            store.outcomes,
            dial_of(settings.routing.dial),
            check,
            manner_of(chosen, RoutingPolicy.name),
        ),
        RoutingRule(store.rules, sources, check, manner_of(chosen, RoutingRule.name)),
        ModelChoice(
            store.model_choices,
            store.comparisons,
            Offer(offered, lambda: endpoints_of(offered)),
            check,
            manner_of(chosen, ModelChoice.name),
        ),
    )
    if knowing is not None:
        from meliora.runtime.knowledge.kinds import search_kinds

        made += search_kinds(knowing, lambda kind: manner_of(chosen, kind))
    return {kind.name: kind for kind in made}


def manner_of(chosen: LoopSettings, kind: str) -> Manner:
    """Give how a kind's changes are tried and watched, by the settings."""
    trial, watch = chosen.trial, chosen.watch
    margins = chosen.margins.get(kind)
    most = trial.ab_split_ratio
    minimum = trial.minimum_seconds
    least = minimum.kinds[kind] if kind in minimum.kinds else float(getattr(minimum, chosen.environment))
    return Manner(
        margins=Margins() if margins is None else Margins(**margins.model_dump()),
        trial=TrialPlan(
            overlay={},
            primary="reward",
            stages=(*(share for share in trial.stages if share < most), most),
            stage_seconds=trial.stage_seconds,
            minimum_seconds=max(1.0, least),
            maximum_seconds=max(trial.maximum_seconds, least),
            shadow=trial.shadow_kinds.get(kind, trial.shadow),
            shadow_share=trial.shadowing.share,
            live=not (trial.shadowing.only and trial.shadow_kinds.get(kind, trial.shadow)),
        ),
        watch=WatchPlan(
            overlay={},
            guardrails=(),
            checks=watch.checks,
            every_seconds=watch.every_seconds,
            minimum_calls=watch.minimum_calls,
            holdback=watch.holdback,
            consecutive_failures=watch.consecutive_failures,
            total_failures=watch.total_failures,
            errors=watch.errors,
        ),
    )


def read_prompt(dialect: str, request_text: str) -> str | None:
    """Give a recorded request's prompt as routing rules search it; None where it cannot be made out."""
    if dialect not in ("chat", "responses", "messages"):
        return None
    try:
        return inspect_request(dialect, msgspec.json.decode(request_text.encode())).prompt_text
    except (msgspec.DecodeError, UnicodeError, MelioraError):
        return None


def endpoints_of(offered: Offered) -> Mapping[str, Sequence[str]]:
    """Give the endpoints of each model on offer."""
    return {
        name: tuple(endpoint.id for endpoint in entry.endpoints) for name, entry in offered.catalog().models.items()
    }


class Paying:
    """What a tenant pays for quality 1 in place of 0: by the dial and the curve of the policy that serves."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store

    def __call__(self, tenant: str) -> float:
        """Give it in US$; without a policy what the settings say, 0 where they say nothing: quality alone counts."""
        from meliora.routing.learned.snapshot import BadSnapshot, decode
        from meliora.runtime.learning import pay_of

        serving = self._store.routing_snapshots.serving(tenant)
        said = self._settings.routing.dial.willingness_to_pay or 0.0
        if serving is None:
            return said
        try:
            return pay_of(decode(self._store.routing_snapshots.blob(tenant, serving.number)), self._settings)
        except BadSnapshot as error:
            log.error("the policy that serves does not load; quality is priced by the settings alone", error=str(error))
            return said
