"""The model for one call: rules first, then the tier, within what each model can do and what the key may use.

Refuses to choose silently: every decision says why, and every refusal says of each candidate why not.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

import msgspec

from meliora.errors import InvalidRequest, MelioraError, ModelForbidden, NoEndpoint, UnknownModel
from meliora.gateway.state import RuleState
from meliora.routing.classify import Classification, classify
from meliora.routing.pool import Candidate, Catalogue
from meliora.routing.rules import RuleSet
from meliora.settings.models import Settings

TIERS = ("fast", "balanced", "deep", "code")
_UP = {
    "fast": ("fast", "balanced", "deep"),
    "balanced": ("balanced", "deep"),
    "deep": ("deep",),
    "code": ("code", "deep"),
}
_CHAIN = 8
"""Longest chain; a call makes fewer attempts than that."""
_ALIASES = 5
"""Aliases of aliases that are followed."""
_UNREAD = Classification("balanced", 0.5, 0.5, "", "chat")
"""Stands for a prompt that was not looked at."""
_GUESSED_INPUT, _GUESSED_OUTPUT = 500, 500
"""Tokens that costs are compared for where they are not known; only the ratio matters."""


class Wanted(msgspec.Struct, frozen=True):
    """What a call asks for, as far as the choice of a model is concerned."""

    tenant: str
    model: str
    """A model, an alias, `auto`, `auto:TIER`, or `PROVIDER/MODEL`."""
    text: str = ""
    """System prompt and last user message."""
    needs: frozenset[str] = frozenset()
    """Capabilities: `tools`, `vision`, `json_schema`, `audio`, `embeddings`, `reasoning`."""
    input_tokens: int | None = None
    """Estimate over the whole conversation."""
    max_output: int | None = None
    regions: tuple[str, ...] | None = None
    """Regions the key is confined to."""
    allowed: tuple[str, ...] | None = None
    """Names or globs of the models the key may use."""
    prefer_quality: bool = False
    prefer_speed: bool = False


class Decision(msgspec.Struct, frozen=True):
    """The model to call, why, and what comes after it."""

    model: str
    tier: str | None
    reason: str
    """`asked`, `alias:NAME`, `rule:ID`, `tier:NAME`, `classifier:TIER` or `default:TIER`; then, each after a semicolon, what
    changed it: `up:TIER` (none of the tier fits), `fallback:MODEL` (that model is out of service), `emergency`."""
    rule_id: str | None
    confidence: float
    task: str
    complexity: float
    chain: tuple[str, ...] = ()
    """Models to go on with, in this order, when this one fails."""
    rejected: tuple[tuple[str, str], ...] = ()
    """Models that were considered, and why not."""
    observed: str | None = None
    """With `mode = observe`: the model that would have been chosen."""


def decide(wanted: Wanted, catalogue: Catalogue, rules: RuleSet, settings: Settings) -> Decision:
    """Choose the model for a call.

    `auto` and `auto:TIER`: the first matching rule names a model or a tier; else the tier that was asked for; else the classifier's.
    Of the tier's models that can serve the call (capabilities, context window, regions, allowed models) the one of the highest
    priority is taken, then the cheapest by estimate, an unknown price last, then the healthier, then by name. Where none fits, the
    next tier up is tried (fast, balanced, deep; code, deep). If the chosen model is out of service, its fallbacks come next, then
    the others of its tier, at 0.8 of the confidence; then any model that fits, at 0.5, as an `emergency`.
    A model asked for by name is taken if the key may use it; only rules for all calls may replace it. Its capabilities and context
    window are left to its provider to judge, but they do hold for its fallbacks. It is never replaced in an emergency.
    With `mode = observe` a model asked for by name stands, without a chain, and `observed` says what `auto` would have chosen.

    Raises `UnknownModel` (with close names), `ModelForbidden`, `InvalidRequest` (nothing fits) or `NoEndpoint` (all that fits is out).
    """
    guess = classify(
        wanted.text,
        prefer_quality=wanted.prefer_quality,
        prefer_speed=wanted.prefer_speed,
        settings=settings.routing,
    )
    choice = _Choice(wanted, catalogue, rules, guess)
    name = choice.resolve(wanted.model)
    observe = settings.gateway.mode == "observe"
    if name != "auto" and not name.startswith("auto:"):
        return choice.named(name, observe)
    decision = choice.auto(name)
    return msgspec.structs.replace(decision, observed=decision.model) if observe else decision


def able(wanted: Wanted, catalogue: Catalogue) -> tuple[tuple[Candidate, ...], tuple[tuple[str, str], ...]]:
    """Give the models that can serve a call and are in service, in the order of one tier; and of each other one why not."""
    choice = _Choice(wanted, catalogue, RuleSet(), _UNREAD)
    return choice.able()


class _Choice:
    """One decision while it is taken."""

    __slots__ = ("_catalogue", "_guess", "_rejected", "_rules", "_wanted")

    def __init__(self, wanted: Wanted, catalogue: Catalogue, rules: RuleSet, guess: Classification) -> None:
        self._wanted = wanted
        self._catalogue = catalogue
        self._rules = rules
        self._guess = guess
        self._rejected: dict[str, str] = {}

    def resolve(self, name: str) -> str:
        """Follow aliases to a model's name or to `auto...`."""
        for _ in range(_ALIASES):
            target = self._catalogue.alias(name)
            if target is None or target == name:
                return name
            name = target
        raise InvalidRequest(
            f"The alias {self._wanted.model!r} leads over more than {_ALIASES} others.",
            hint="Let it name a model.",
            field="model",
        )

    def able(self) -> tuple[tuple[Candidate, ...], tuple[tuple[str, str], ...]]:
        """Give all models that fit and are in service, and why the others do not."""
        found: list[Candidate] = []
        for model in self._ranked(m for m in self._catalogue.all() if self._fits(m)):
            if self._catalogue.health(model.name) > 0.0:
                found.append(model)
            else:
                self._rejected[model.name] = "out of service"
        return tuple(found), tuple(self._rejected.items())

    def named(self, name: str, observe: bool) -> Decision:
        """Take the model that was asked for, unless a rule for all calls says otherwise."""
        wanted = self._wanted
        asked = self._catalogue.find(name)
        if asked is None:
            raise self._unknown(name)
        why = self._forbidden(asked, wanted.model)
        if why:
            raise ModelForbidden(f"This key cannot use the model {wanted.model!r}: {why}.", field="model")
        reason = "asked" if name == wanted.model else f"alias:{wanted.model}"
        if observe:
            return self._decision(asked, reason, 1.0, (), observed=self._would_choose())
        rule = self._rules.match(wanted.tenant, wanted.text, "named")
        if rule is not None and (ruled := self._by_rule(rule)) is not None:
            return ruled
        chain = self._fallbacks(asked)
        if self._catalogue.health(asked.name) <= 0.0:
            for other in chain:
                if self._catalogue.health(other.name) > 0.0:
                    return self._decision(other, f"{reason};fallback:{asked.name}", 0.8, (asked, *chain))
        return self._decision(asked, reason, 1.0, chain)

    def auto(self, name: str) -> Decision:
        """Choose by rule, by the tier asked for, or by the classifier."""
        wanted = self._wanted
        asked_tier = name[5:]
        if asked_tier and asked_tier not in TIERS:
            raise UnknownModel(
                f"There is no tier {asked_tier[:50]!r}.",
                hint=f"Ask for one of auto:{', auto:'.join(TIERS)}.",
                field="model",
            )
        rule = self._rules.match(wanted.tenant, wanted.text, "auto")
        if rule is not None and (ruled := self._by_rule(rule)) is not None:
            return ruled
        if asked_tier:
            return self._by_tier(asked_tier, f"tier:{asked_tier}", 1.0)
        return self._by_tier(self._guess.tier, self._guess.reason, self._guess.confidence)

    def _by_rule(self, rule: RuleState) -> Decision | None:
        """Follow a rule as far as it can be followed; None where neither its model nor its tier can serve the call."""
        reason = f"rule:{rule.id}"
        if rule.preferred_model is not None:
            target = self._catalogue.find(self.resolve(rule.preferred_model))
            if target is None:
                self._rejected[rule.preferred_model] = f"{reason} names it, and there is no such model"
            elif self._fits(target):
                return self._settle(target, (target, *self._fallbacks(target)), reason, 1.0, rule)
        if rule.preferred_layer is not None and any(
            self._fits(m) for m in self._catalogue.in_tier(rule.preferred_layer)
        ):
            return self._by_tier(rule.preferred_layer, reason, 1.0, rule)
        return None

    def _by_tier(self, tier: str, reason: str, confidence: float, rule: RuleState | None = None) -> Decision:
        for step, level in enumerate(_UP[tier]):
            fitting = self._ranked(m for m in self._catalogue.in_tier(level) if self._fits(m))
            if fitting:
                first = fitting[0]
                order = (first, *self._fallbacks(first), *fitting[1:])
                return self._settle(first, order, f"{reason};up:{level}" if step else reason, confidence, rule)
        return self._emergency(reason, rule)

    def _settle(
        self, first: Candidate, order: tuple[Candidate, ...], reason: str, confidence: float, rule: RuleState | None
    ) -> Decision:
        """Take the first that is in service; the order of the others is kept."""
        health = self._catalogue.health
        if health(first.name) > 0.0:
            return self._decision(first, reason, confidence, self._chain(first, order), rule)
        self._rejected[first.name] = "out of service"
        for other in order[1:]:
            if health(other.name) > 0.0:
                changed = f"{reason};fallback:{first.name}"
                return self._decision(other, changed, confidence * 0.8, self._chain(other, order), rule)
            self._rejected[other.name] = "out of service"
        return self._emergency(reason, rule)

    def _emergency(self, reason: str, rule: RuleState | None) -> Decision:
        """Take any model that fits and is in service. Raises where there is none."""
        fitting = self._ranked(m for m in self._catalogue.all() if self._fits(m))
        for model in fitting:
            if self._catalogue.health(model.name) > 0.0:
                return self._decision(model, f"{reason};emergency", 0.5, self._chain(model, fitting), rule)
            self._rejected[model.name] = "out of service"
        raise self._nothing(bool(fitting))

    def _would_choose(self) -> str | None:
        """Say what `auto` would have chosen; None where it would have refused."""
        try:
            return self.auto("auto").model
        except MelioraError:
            return None

    def _fits(self, model: Candidate) -> bool:
        why = self._forbidden(model) or self._unable(model)
        if why:
            self._rejected[model.name] = why
        return not why

    def _forbidden(self, model: Candidate, asked: str | None = None) -> str:
        """Say why the key may not use a model; an alias that the key may use covers what it stands for."""
        allowed, regions = self._wanted.allowed, self._wanted.regions
        if allowed is not None and not any(
            name is not None and fnmatchcase(name, glob) for glob in allowed for name in (model.name, asked)
        ):
            return "not among the key's models"
        if regions is not None and model.regions.isdisjoint(regions):
            return f"not served in {' or '.join(regions) or 'any region of the key'}"
        return ""

    def _unable(self, model: Candidate) -> str:
        """Say why a model cannot serve the call."""
        wanted, can = self._wanted, model.capabilities
        if can is None:
            if "embeddings" in wanted.needs:
                return "does not declare embeddings"
        else:
            missing = wanted.needs - can
            if missing:
                return f"cannot do {', '.join(sorted(missing))}"
            if can == _ONLY_EMBEDDINGS and "embeddings" not in wanted.needs:
                return "does only embeddings"
        if model.context_window is not None:
            tokens = (wanted.input_tokens or 0) + (wanted.max_output or 0)
            if tokens > model.context_window:
                return f"takes {model.context_window} tokens, and the call needs about {tokens}"
        return ""

    def _fallbacks(self, model: Candidate) -> tuple[Candidate, ...]:
        found = (self._catalogue.find(self.resolve(name)) for name in model.fallbacks)
        return tuple(m for m in found if m is not None and self._fits(m))

    def _ranked(self, models: Iterable[Candidate]) -> tuple[Candidate, ...]:
        """Sort by priority (highest first), estimated cost (unknown last), health and name."""
        found = tuple(models)
        if len(found) < 2:
            return found
        tokens_in = self._wanted.input_tokens or _GUESSED_INPUT
        tokens_out = self._wanted.max_output or _GUESSED_OUTPUT

        def rank(model: Candidate) -> tuple[int, float, float, str]:
            price_in, price_out = model.input_price, model.output_price
            cost = float("inf")
            if price_in is not None and price_out is not None:
                cost = price_in * tokens_in + price_out * tokens_out
            return (-model.priority, cost, -self._catalogue.health(model.name), model.name)

        return tuple(sorted(found, key=rank))

    def _chain(self, model: Candidate, order: Iterable[Candidate]) -> Iterator[Candidate]:
        return (other for other in order if other.name != model.name)

    def _decision(
        self,
        model: Candidate,
        reason: str,
        confidence: float,
        chain: Iterable[Candidate],
        rule: RuleState | None = None,
        observed: str | None = None,
    ) -> Decision:
        names = dict.fromkeys(other.name for other in chain)
        names.pop(model.name, None)
        guess = self._guess
        return Decision(
            model.name,
            model.tier,
            reason,
            rule.id if rule is not None else None,
            confidence,
            guess.task,
            guess.complexity,
            tuple(names)[:_CHAIN],
            tuple(self._rejected.items()),
            observed,
        )

    def _unknown(self, name: str) -> UnknownModel:
        usable = [m.name for m in self._catalogue.all() if not self._forbidden(m)][:500]
        close = difflib.get_close_matches(name[:100], usable, n=3)
        hint = f"Did you mean {' or '.join(close)}?" if close else "GET /v1/models lists what there is."
        return UnknownModel(f"There is no model {name[:100]!r}.", hint=hint, field="model")

    def _nothing(self, out_of_service: bool) -> MelioraError:
        """Say of each candidate why not."""
        if not self._rejected:
            return NoEndpoint("No models are configured.", hint="Add [models.NAME] sections to meliora.toml.")
        listed = "; ".join(f"{name}: {why}" for name, why in list(self._rejected.items())[:20])
        if out_of_service:
            return NoEndpoint(f"Every model that could serve this call is out of service: {listed}.")
        if all(why.startswith("not among") for why in self._rejected.values()):
            return ModelForbidden(f"None of the models to choose from is open to this key: {listed}.", field="model")
        return InvalidRequest(f"No model can serve this call: {listed}.", field="model")


_ONLY_EMBEDDINGS = frozenset({"embeddings"})
