"""A decision without the call: what the gateway would choose for this prompt, why, and what it would cost by estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from meliora.errors import InvalidRequest, NoEndpoint
from meliora.gateway.arms import Arm, Basis, Safety, choices_by_tenant, halves, overlaid_choices, overlaid_rules
from meliora.gateway.dialects.inspect import RequestView, inspect_request
from meliora.gateway.state import ArmName
from meliora.routing.choices import Choices
from meliora.routing.decide import Decision, Wanted, decide
from meliora.routing.dialled import checked, dialled
from meliora.routing.pool import Candidate, Catalogue
from meliora.routing.rules import RuleSet
from meliora.routing.wanted import Foreseen
from meliora.server.context import Control, PriceOf
from meliora.server.policies import TRIALLED
from meliora.settings.models import Settings
from meliora.telemetry.records import Usage

if TYPE_CHECKING:
    from meliora.gateway.state import KeyState
    from meliora.routing.choose import Learned

ASSUMED_OUTPUT = 512
"""Tokens of answer that a cost is estimated for where the request names no limit."""
_EMERGENCY = 0.5


class Rejected(msgspec.Struct, frozen=True):
    """A model that was looked at and not taken."""

    model: str
    why: str


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The model that would be called. `estimated_cost` in US dollars, null where a price is unknown."""

    model: str
    tier: str | None
    confidence: float
    reason: str
    task_type: str
    complexity: float
    rule_id: str | None
    fallback_chain: tuple[str, ...]
    rejected: tuple[Rejected, ...]
    observed: str | None
    estimated_input_tokens: int
    estimated_cost: float | None
    candidates: tuple[Foreseen, ...] = ()
    """What a learned policy foresees of each candidate, where one was asked; with `explain`."""
    snapshot: int | None = None
    """Number of that policy's snapshot."""
    dial: str | None = None
    """What weighed quality against cost: `floor:0.98`, `pay:0.05`."""
    cascade: tuple[str, ...] = ()
    """Two models that would be asked at once, and those where they disagree, in their order; empty where one is asked alone."""
    trial: str | None = None
    """The change on trial, or under watch, whose arm decided; null where no trial splits the tenant's calls."""
    arm: ArmName | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `body` is a request of the chat dialect; `available` narrows the choice to these models."""

    tenant: str
    body: dict[str, Any]
    prefer_quality: bool = False
    prefer_speed: bool = False
    regions: tuple[str, ...] | None = None
    allowed: tuple[str, ...] | None = None
    available: tuple[str, ...] | None = None
    key: KeyState | None = None
    quality_floor: float | None = None
    willingness_to_pay: float | None = None
    offsets: Mapping[str, Mapping[str, float]] | None = None
    """What the user's liking adds, by task and model."""
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Chooser:
    """What a decision is taken with; the same as in a gateway."""

    settings: Settings
    offers: Catalogue
    rules: RuleSet
    price: PriceOf
    learned: Learned | None = None
    hour: float = 0.0
    """Of the day, UTC."""
    choices: Choices | None = None
    arm: Arm | None = None
    """The arm of a trial that all this is of."""

    def choose(self, question: Question) -> Choice:
        """Decide. Raises `InvalidRequest`, `UnknownModel`, `ModelForbidden` or `NoEndpoint`."""
        view = inspect_request("chat", question.body)
        wanted = self._dialled(question, wanted_of(question, view))
        among = question.available
        decision = self._decided(wanted, self.offers) if among is None else self._among(among, wanted)
        tokens = view.input_chars // 4
        usage = Usage(input=max(1, tokens), output=view.max_output_tokens or ASSUMED_OUTPUT)
        cost = self.price(decision.model, usage)
        return Choice(
            model=decision.model,
            tier=decision.tier,
            confidence=decision.confidence,
            reason=decision.reason,
            task_type=decision.task,
            complexity=decision.complexity,
            rule_id=decision.rule_id,
            fallback_chain=decision.chain,
            rejected=tuple(Rejected(model, why) for model, why in decision.rejected),
            observed=decision.observed,
            estimated_input_tokens=tokens,
            estimated_cost=None if cost is None else cost / 1e6,
            candidates=decision.foreseen,
            snapshot=None if decision.routing is None else decision.routing.snapshot,
            dial=None if decision.routing is None else decision.routing.dial,
            cascade=() if decision.relay is None else decision.relay.models,
            trial=None if self.arm is None else self.arm.change,
            arm=None if self.arm is None else self.arm.name,
        )

    def _decided(self, wanted: Wanted, offers: Catalogue) -> Decision:
        decision = decide(wanted, offers, self.rules, self.settings, self.learned)
        if self.choices is None or self.settings.gateway.mode == "observe":
            return decision
        return self.choices.applied(decision, wanted, offers)

    def _dialled(self, question: Question, wanted: Wanted) -> Wanted:
        """Add the dial. Raises `InvalidRequest` for one out of range."""
        key, dial = question.key, self.settings.routing.dial
        if question.quality_floor is None and question.willingness_to_pay is None:
            chosen = dialled(None, None, key, dial)
        else:
            chosen = checked(question.quality_floor, question.willingness_to_pay)
        return msgspec.structs.replace(
            wanted,
            dial=chosen,
            hour=self.hour,
            explore=key is None or key.explore,
            offsets=question.offsets,
            whole=True,
            explain=question.explain,
        )

    def _among(self, available: Sequence[str], wanted: Wanted) -> Decision:
        """Decide as if only these were in service. Raises `InvalidRequest` where none of them is known or can serve."""
        known = [model for name in available if (model := self.offers.find(name)) is not None]
        if not known:
            raise InvalidRequest(
                "None of the available models is known here.",
                hint="GET /v1/models lists what there is.",
                field="available_models",
            )
        try:
            decision = self._decided(wanted, Narrowed(self.offers, available))
        except NoEndpoint as error:
            message = f"None of the available models can serve this. {error.message}"
            raise InvalidRequest(message, field="available_models") from error
        return decision if decision.model in available else _first(known[0], decision)


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose call a decision is for, as trials split calls."""

    key: str
    user: str | None = None


def chooser_of(control: Control, tenant: str, asker: Asker | None = None) -> Chooser:
    """Give what the tenant's decisions are taken with now; with an `asker` as the arm has it that their calls are in.

    Raises `StoreError`, or `BadSnapshot` where a policy does not load.
    """
    context, state = control.context, control.feed.current()
    offers = context.offers()
    kept = control.store.routing_snapshots
    learned = control.policies.learned(tenant, state.policies.get(tenant), kept, context.settings, offers)
    plain = Basis(control.feed.rules(), learned, choices_by_tenant(state).get(tenant))
    trial = None if asker is None else state.trial_of(tenant)
    basis, arm = plain, None
    if asker is not None and trial is not None:
        overlay = trial.overlay
        other = None if overlay.no_policy else learned
        if overlay.policy is not None and not overlay.no_policy:
            other = control.policies.learned(tenant, overlay.policy, kept, context.settings, offers, TRIALLED)
        rules = overlaid_rules(trial, (*context.settings_rules, *state.rules))
        overlaid = Basis(rules, other, overlaid_choices(trial, state.choices))
        split = halves(trial, plain, overlaid, is_plain_ready=True, safety=Safety(halted=state.halted))
        basis, arm = split.of(asker.user, None, asker.key)
    hour = control.now_us() % _DAY_US / _DAY_US * 24
    return Chooser(context.settings, offers, basis.rules, context.price, basis.learned, hour, basis.choices, arm)


_DAY_US = 86_400_000_000


class Narrowed:
    """A catalogue of which only some models are in service."""

    def __init__(self, whole: Catalogue, available: Sequence[str]) -> None:
        self._whole = whole
        self._available = frozenset(available)

    def find(self, name: str) -> Candidate | None:
        """As in the whole catalogue."""
        return self._whole.find(name)

    def alias(self, name: str) -> str | None:
        """As in the whole catalogue."""
        return self._whole.alias(name)

    def in_tier(self, tier: str) -> Sequence[Candidate]:
        """As in the whole catalogue."""
        return self._whole.in_tier(tier)

    def all(self) -> Sequence[Candidate]:
        """As in the whole catalogue."""
        return self._whole.all()

    def health(self, name: str) -> float:
        """Give 0 for a model that is not available."""
        return self._whole.health(name) if name in self._available else 0.0


def _first(model: Candidate, decision: Decision) -> Decision:
    """Take the first there is: a model asked for by name was not available, and had no fallback that was."""
    return msgspec.structs.replace(
        decision,
        model=model.name,
        tier=model.tier,
        confidence=_EMERGENCY,
        reason=f"{decision.reason};emergency",
        rejected=(*decision.rejected, (decision.model, "not available")),
    )


def wanted_of(question: Question, view: RequestView) -> Wanted:
    """Give what a question asks for, as a decision wants it."""
    has = {
        "tools": view.has_tools,
        "vision": view.has_images,
        "json_schema": view.has_schema,
        "audio": view.has_audio,
    }
    return Wanted(
        tenant=question.tenant,
        model=view.model,
        text=view.prompt_text,
        needs=frozenset(name for name, there in has.items() if there),
        input_tokens=view.input_chars // 4,
        max_output=view.max_output_tokens,
        regions=question.regions,
        allowed=question.allowed,
        prefer_quality=question.prefer_quality,
        prefer_speed=question.prefer_speed,
    )
