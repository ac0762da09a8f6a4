"""The model for one call: rules first, then a learned policy or the tier, within what each model can do and the key may use.

Refuses to choose silently: every decision says why, and every refusal says of each candidate why not.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from meliora.errors import InvalidRequest, MelioraError, ModelForbidden, NoEndpoint, UnknownModel
from meliora.gateway.state import RuleState
from meliora.routing.classify import Classification, classify
from meliora.routing.constraints import affordable, estimated_cost, forbidden, only_embeddings, unable
from meliora.routing.dialled import dialled
from meliora.routing.pool import Candidate, Catalogue
from meliora.routing.rules import RuleSet
from meliora.routing.wanted import Asked, Decision, Wanted
from meliora.settings.models import Routing, Settings
from meliora.telemetry.records import RoutedCandidate

if TYPE_CHECKING:
    from meliora.routing.choose import Learned, Weighed

__all__ = ["TIERS", "Decision", "Wanted", "decide", "relayed"]

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


def decide(
    wanted: Wanted, catalogue: Catalogue, rules: RuleSet, settings: Settings, learned: Learned | None = None
) -> Decision:
    """Choose the model for a call.

    `auto` and `auto:TIER`: the first matching rule names a model or a tier; else the tier that was asked for; else, with a learned
    policy, all models that it knows or that have a tier; else the classifier's tier.
    Among the models that can serve the call (capabilities, context window, regions, allowed models, what is left of the budget)
    a learned policy, where there is one that knows any of them, takes the one of the greatest predicted quality less cost at the
    dial, the cheaper of equals; now and then another one, to learn. The chain follows its order. It is not asked where quality or
    speed is preferred by name: that is the classifier's business.
    Without one, of the tier's models the one of the highest priority is taken, then the cheapest by estimate, an unknown price
    last, then the healthier, then by name. Where none fits, the next tier up is tried (fast, balanced, deep; code, deep). If the
    chosen model is out of service, its fallbacks come next, then the others of its tier, at 0.8 of the confidence; then any model
    that fits, at 0.5, as an `emergency`.
    A model asked for by name is taken if the key may use it; only rules for all calls may replace it. Its capabilities and context
    window are left to its provider to judge, but they do hold for its fallbacks. It is never replaced in an emergency.
    With `mode = observe` a model asked for by name stands, without a chain, and `observed` says what `auto` would have chosen; a
    learned policy chooses nothing then, nor with `routing.learned = observe`: what it would have chosen stands in `observed`.

    Raises `UnknownModel` (with close names), `ModelForbidden`, `InvalidRequest` (nothing fits, or floor, price and budget
    contradict each other) or `NoEndpoint` (all that fits is out).
    """
    guess = _Guess(wanted, settings.routing)
    observe = settings.gateway.mode == "observe"
    if settings.routing.learned == "off" or wanted.prefer_quality or wanted.prefer_speed:
        learned = None
    watching = observe or settings.routing.learned == "observe"
    choice = _Choice(wanted, catalogue, rules, guess, settings, None if watching else learned)
    name = choice.resolve(wanted.model)
    is_auto = name == "auto" or name.startswith("auto:")
    decision = choice.auto(name) if is_auto else choice.named(name, observe)
    if not observe and (learned is None or not watching or not is_auto):
        return decision
    quiet = msgspec.structs.replace(wanted, explore=False)
    shadow = _Choice(quiet, catalogue, rules, guess, settings, learned)
    return _observed(decision, shadow.would_choose(name if is_auto else "auto"))


def relayed(decision: Decision, stood: str | None) -> Decision:
    """Give a decision once its cheaper models were asked: the answer of the one that `stood` is the call's, or where none did, the
    strong model and the chain without them come next."""
    relay = decision.relay
    if relay is None:
        return decision
    trace = decision.routing
    trace = None if trace is None else msgspec.structs.replace(trace, decided_by="cascade")
    chosen = stood or relay.strong
    asked = {relay.first, relay.second, relay.third, chosen}
    chain = tuple(name for name in (decision.model, *decision.chain) if name not in asked)
    reason = f"{decision.reason};cascade:{'strong' if stood is None else 'agreed'}"
    return msgspec.structs.replace(decision, model=chosen, reason=reason, chain=chain, routing=trace)


def _observed(decision: Decision, other: Decision | None) -> Decision:
    """Say beside a decision what would have been chosen; None: nothing could have been."""
    if other is None:
        return decision
    trace = other.routing
    if trace is not None:
        # What was taken was certain, and nothing else could have been.
        taken = tuple(
            msgspec.structs.replace(one, served=float(one.model == decision.model)) for one in trace.candidates
        )
        if all(one.model != decision.model for one in taken):
            taken = (*taken, RoutedCandidate(decision.model, 0.0, 1.0, None, None))
        trace = msgspec.structs.replace(trace, candidates=taken, decided_by="observe")
    return msgspec.structs.replace(decision, observed=other.model, routing=trace, foreseen=other.foreseen)


class _Guess:
    """What the classifier makes of a call's text. Asked at most once, and not at all where nobody needs it."""

    __slots__ = ("_made", "_settings", "_wanted")

    def __init__(self, wanted: Wanted, settings: Routing) -> None:
        self._wanted = wanted
        self._settings = settings
        self._made: Classification | None = None

    def made(self) -> Classification:
        """Ask, or give what was answered."""
        if self._made is None:
            wanted = self._wanted
            self._made = classify(
                wanted.text,
                prefer_quality=wanted.prefer_quality,
                prefer_speed=wanted.prefer_speed,
                settings=self._settings,
            )
        return self._made

    def told(self) -> tuple[str, float]:
        """Give task and complexity as they stand in the decision."""
        if self._made is None and self._wanted.task_later:
            return "", 0.0
        made = self.made()
        return made.task, made.complexity


class _Choice:
    """One decision while it is taken."""

    __slots__ = ("_catalogue", "_guess", "_learned", "_rejected", "_rules", "_settings", "_wanted")

    def __init__(
        self,
        wanted: Wanted,
        catalogue: Catalogue,
        rules: RuleSet,
        guess: _Guess,
        settings: Settings,
        learned: Learned | None,
    ) -> None:
        self._wanted = wanted
        self._settings = settings
        self._learned = learned
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

    def named(self, name: str, observe: bool) -> Decision:
        """Take the model that was asked for, unless a rule for all calls says otherwise."""
        wanted = self._wanted
        asked = self._catalogue.find(name)
        if asked is None:
            raise self._unknown(name)
        why = forbidden(asked, wanted, wanted.model)
        if why:
            raise ModelForbidden(f"This key cannot use the model {wanted.model!r}: {why}.", field="model")
        reason = "asked" if name == wanted.model else f"alias:{wanted.model}"
        if observe:
            return self._decision(asked, reason, 1.0, ())
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
        """Choose by rule, within the tier asked for, by the learned policy over all of them, or by the classifier."""
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
        if self._learned is not None:
            known = self._learned.known
            scope = (m for m in self._catalogue.all() if m.tier is not None or m.name in known)
            decided = self._by_policy(scope, "", None)
            if decided is not None:
                return decided
        guess = self._guess.made()
        return self._by_tier(guess.tier, guess.reason, guess.confidence)

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
            scope = self._catalogue.in_tier(level)
            fitting = self._ranked(m for m in scope if self._fits(m))
            if not fitting:
                continue
            said = f"{reason};up:{level}" if step else reason
            decided = self._by_policy(scope, f"{said};", rule)
            if decided is not None:
                return decided
            fitting, dear = affordable(fitting, self._wanted)
            self._rejected.update(dear)
            first = fitting[0]
            order = (first, *self._fallbacks(first), *fitting[1:])
            return self._settle(first, order, said, confidence, rule)
        return self._emergency(reason, rule)

    def _by_policy(self, scope: Iterable[Candidate], before: str, rule: RuleState | None) -> Decision | None:
        """Let the learned policy choose among those that fit and are in service; None where it knows none of them."""
        learned = self._learned
        if learned is None:
            return None
        health = self._catalogue.health
        able: Sequence[Candidate] = []
        out, others = [], []
        for model in scope:
            if not self._fits(model):
                if not only_embeddings(model):
                    others.append(model.name)
            elif health(model.name) > 0.0:
                able.append(model)
            else:
                out.append(model.name)
        able, dear = affordable(able, self._wanted)
        weighed = learned.weigh(self._asked(tuple(dear)), able, (*others, *out, *dear)) if able else None
        if weighed is None:
            return None
        self._rejected.update(dear)
        self._rejected.update(dict.fromkeys(out, "out of service"))
        by_name = {model.name: model for model in able}
        chosen, *rest = (by_name[name] for name in weighed.order)
        trace = weighed.trace
        reason = f"{before}policy:{trace.snapshot}{';explored' if trace.explored else ''}"
        chain = (*rest, *self._fallbacks(chosen)) if chosen.fallbacks else rest
        return self._decision(chosen, reason, weighed.chance, chain, rule, weighed)

    def _asked(self, dear: tuple[str, ...]) -> Asked:
        wanted, settings = self._wanted, self._settings.routing
        relay = settings.cascade
        return Asked(
            wanted,
            self._guess.made().task,
            wanted.dial or dialled(None, None, None, settings.dial),
            dear,
            relay.enabled and wanted.whole and (relay.tools or "tools" not in wanted.needs),
        )

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

    def would_choose(self, name: str) -> Decision | None:
        """Choose by `auto...`; None where it would have refused."""
        try:
            return self.auto(name)
        except MelioraError:
            return None

    def _fits(self, model: Candidate) -> bool:
        why = forbidden(model, self._wanted) or unable(model, self._wanted)
        if why:
            self._rejected[model.name] = why
        return not why

    def _fallbacks(self, model: Candidate) -> tuple[Candidate, ...]:
        if not model.fallbacks:
            return ()
        found = (self._catalogue.find(self.resolve(name)) for name in model.fallbacks)
        return tuple(m for m in found if m is not None and self._fits(m))

    def _ranked(self, models: Iterable[Candidate]) -> tuple[Candidate, ...]:
        """Sort by priority (highest first), estimated cost (unknown last), health and name."""
        found = tuple(models)
        if len(found) < 2:
            return found

        def rank(model: Candidate) -> tuple[int, float, float, str]:
            cost = estimated_cost(model, self._wanted)
            cost = float("inf") if cost is None else cost
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
        weighed: Weighed | None = None,
    ) -> Decision:
        names = dict.fromkeys([other.name for other in chain])
        names.pop(model.name, None)
        task, complexity = self._guess.told()
        return Decision(
            model.name,
            model.tier,
            reason,
            rule.id if rule is not None else None,
            confidence,
            task,
            complexity,
            tuple(names)[:_CHAIN],
            tuple(self._rejected.items()),
            routing=weighed.trace if weighed is not None else None,
            foreseen=weighed.foreseen if weighed is not None else (),
            relay=weighed.relay if weighed is not None else None,
        )

    def _unknown(self, name: str) -> UnknownModel:
        usable = [m.name for m in self._catalogue.all() if not forbidden(m, self._wanted)][:500]
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
