"""A learned policy at one decision: whom it takes among those that can serve the call, how likely each was, and what it foresaw.

Brings numpy in, so it is imported only where there is a policy. Refuses what a request asks for and cannot have: a floor that its
own price or its budget does not reach.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import msgspec
import numpy as np

from meliora.errors import InvalidRequest
from meliora.routing.dialled import Dialled
from meliora.routing.learned.cascade import Beliefs, plan
from meliora.routing.learned.dial import Choice, Dial, choose_at
from meliora.routing.learned.explore import Exploration
from meliora.routing.learned.features import Context
from meliora.routing.learned.policy import Curve, Policy, Prediction
from meliora.routing.pool import Candidate
from meliora.routing.preferences.words import same_task
from meliora.routing.wanted import Asked, Foreseen, Relay
from meliora.settings.models import Settings
from meliora.telemetry.records import RoutedCandidate, RoutingTrace

_HALF = np.dtype("<f2")


class Weighed(msgspec.Struct, frozen=True):
    """A policy's word on one call."""

    order: tuple[str, ...]
    """The chosen model, then the others as the policy would have them, then those that it does not know."""
    trace: RoutingTrace
    chance: float
    """Probability with which the chosen model was taken."""
    foreseen: tuple[Foreseen, ...] = ()
    relay: Relay | None = None


@dataclass(frozen=True, slots=True)
class Learned:
    """A policy with the settings that it serves by."""

    policy: Policy
    known: Mapping[str, int]
    """Its models, each with its place in a prediction."""
    exploration: Exploration
    still: Exploration
    """The same, for calls that may not be used to learn."""
    never: tuple[str, ...]
    """Names or globs of models that are never taken in order to learn."""
    beliefs: Beliefs
    prices: dict[tuple[float | None, float | None], tuple[float, str]] = field(default_factory=dict)
    """What the dials of settings and keys come to, remembered: US$ for quality, and how the dial reads."""
    wider: dict[tuple[float | None, float | None], tuple[float, str]] = field(default_factory=dict)
    """The same, by the curve of measured cascades."""
    legs: tuple[tuple[int, ...], ...] = ()
    """Of each measured cascade the models' places in a prediction, in the order in which they are asked."""

    def weigh(self, asked: Asked, able: Sequence[Candidate], others: Sequence[str]) -> Weighed | None:
        """Choose among `able`, the candidates that can serve this call; None where the policy knows none of them.

        `others` are models that it could have taken but for this call's constraints: intended propensities are over these too.
        Candidates that the policy does not know are taken only to learn of them, each as often as the floor says. Raises
        `InvalidRequest` where the request's floor cannot be held at the request's price.
        """
        names = [one.name for one in able]
        if self.known.keys().isdisjoint(names):
            return None
        wanted = asked.wanted
        context = Context(asked.task, wanted.hour, wanted.input_tokens or 0, wanted.needs)
        prediction = self.policy.predict(wanted.text, context)
        pay = self._pay(asked, self._curve(asked, names))
        if asked.dear:
            self._affordable(asked, prediction, names)
        rule = self.exploration if wanted.explore else self.still
        served, choice = self._drawn(prediction, names, pay, rule, asked)
        intended = served
        if others:
            intended, _ = self._drawn(prediction, [*names, *others], pay, rule, asked)
        chosen, explored = self._settled(served, choice, wanted.uniform)
        if wanted.uniform is None and rule is not self.still:
            best, _ = self._drawn(prediction, names, pay, self.still, asked)
            chosen, explored = max(best, key=best.__getitem__), False
        return self._told(asked, prediction, pay, (names, others), (intended, served), (chosen, explored))

    def _curve(self, asked: Asked, names: Sequence[str]) -> Curve:
        """Give the curve that the dial is read from: that of measured cascades where the call may have any of them."""
        ladders = self.policy.ladders
        if ladders is None or not asked.cascade or any(model not in names for model in self.policy.models):
            return self.policy.curve
        return ladders.curve

    def _pay(self, asked: Asked, curve: Curve) -> float:
        """Give the US$ to pay for quality 1 in place of 0, what the day's pace leaves of it."""
        dial, remembered = asked.dial, self.prices if curve is self.policy.curve else self.wider
        floor, most = dial.quality_floor, dial.willingness_to_pay
        if dial.source != "request":
            found = remembered.get((floor, most))
            if found is None:
                found = remembered[floor, most] = (Dial(floor, most).pay(curve), str(Dialled(floor, most)))
            return found[0] * dial.pace
        if floor is not None and most is not None:
            within = curve.quality[curve.pay <= most]
            reached = float(within.max()) if len(within) else 0.0
            if reached < floor <= float(curve.quality.max()):
                needed = float(curve.pay[np.flatnonzero(curve.quality >= floor)[0]])
                raise InvalidRequest(
                    f"The quality floor {floor:g} and the willingness to pay {most:g} contradict each other: {floor:g} of the"
                    f" quality of {self.policy.reference} takes a willingness to pay of {needed:.3g}.",
                    hint=f"Pay that, or ask for {reached:.2f}." if reached > 0 else "Pay that.",
                    field="willingness_to_pay",
                )
        return Dial(floor, most).pay(curve) * dial.pace

    def _affordable(self, asked: Asked, prediction: Prediction, names: Sequence[str]) -> None:
        """Refuse a floor that the request named and that no model within the budget is likely to hold."""
        floor = asked.dial.quality_floor
        if asked.dial.source != "request" or floor is None:
            return
        needed = floor * float(prediction.quality[prediction.reference])
        high = zip(self.policy.models, prediction.high.tolist(), strict=True)
        if max((top for name, top in high if name in names), default=0.0) < needed:
            raise InvalidRequest(
                f"The quality floor {floor:g} and what is left of the key's budget contradict each other: "
                f"{', '.join(asked.dear)} would cost more than is left, and no other model comes near.",
                hint="Ask for less, or wait for the budget's next period.",
                field="quality_floor",
            )

    def _drawn(
        self, prediction: Prediction, names: Sequence[str], pay: float, rule: Exploration, asked: Asked
    ) -> tuple[dict[str, float], Choice]:
        """Give each model's probability, and the policy's choice among those that it knows."""
        unknown = [name for name in names if name not in self.known and not self._closed(name)] if rule.cap else []
        each = min(rule.floor, rule.cap / len(unknown)) if unknown else 0.0
        rest = 1.0 - each * len(unknown)
        if unknown:
            cap = max(0.0, rule.cap - each * len(unknown)) / rest
            rule = Exploration(min(rule.floor / rest, cap), cap, rule.caution, rule.loss)
        # The unknown ones have the upper end of the interval; what is drawn below it is stretched to the whole again.
        uniform = min((asked.wanted.uniform or 0.0) / rest, 1.0 - 2**-53)
        offsets = self._offsets(asked)
        choice = choose_at(prediction, names, pay, rule, uniform, offsets)
        if self.never and rule.cap:
            best = choose_at(prediction, names, pay, self.still, 0.0, offsets).index
            left = [name for name in names if name == prediction.models[best] or not self._closed(name)]
            if len(left) < len(names):
                choice = choose_at(prediction, left, pay, rule, uniform, offsets)
        if not unknown:
            return dict(zip(prediction.models, choice.chances, strict=True)), choice
        found = dict.fromkeys(unknown, each)
        for name, chance in zip(prediction.models, choice.chances, strict=True):
            found[name] = chance * rest
        return found, choice

    def _settled(self, served: Mapping[str, float], choice: Choice, uniform: float | None) -> tuple[str, bool]:
        """Give the model that is taken, and whether that is to learn."""
        if len(served) == len(self.known):
            return self.policy.models[choice.index], choice.explored
        unknown = [name for name in served if name not in self.known]
        rest = 1.0 - sum(served[name] for name in unknown)
        if unknown and uniform is not None and uniform >= rest:
            return unknown[min(len(unknown) - 1, int((uniform - rest) / served[unknown[0]]))], True
        return self.policy.models[choice.index], choice.explored

    def _told(
        self,
        asked: Asked,
        prediction: Prediction,
        pay: float,
        names: tuple[Sequence[str], Sequence[str]],
        chances: tuple[Mapping[str, float], Mapping[str, float]],
        taken: tuple[str, bool],
    ) -> Weighed:
        able, others = names
        intended, served = chances
        chosen, explored = taken
        index = self.known
        quality, cost = prediction.quality.tolist(), prediction.cost.tolist()
        candidates, worth = [], {}
        for name in (*able, *others):
            at = index.get(name)
            likely = _rounded(served.get(name, 0.0))
            wished = likely if intended is served else _rounded(intended.get(name, 0.0))
            if at is None:
                candidates.append(RoutedCandidate(name, wished, likely, None, None))
                worth[name] = -math.inf
                continue
            good, spent = quality[at], cost[at]
            micros = None
            if spent == spent:
                micros = int(spent * 1e6 + 0.5) or 1
                worth[name] = good - spent / pay if pay > 0 else -spent
            else:
                worth[name] = good - 1e9  # a cost that is not known comes last
            seen = int(good * 1e4 + 0.5) / 1e4 if good == good else None
            candidates.append(RoutedCandidate(name, wished, likely, seen, micros))
        order = (chosen, *sorted((name for name in able if name != chosen), key=worth.__getitem__, reverse=True))
        trace = RoutingTrace(
            snapshot=self.policy.number,
            trunk=self.policy.trunk,
            phi=prediction.phi.astype(_HALF).tobytes(),
            candidates=tuple(candidates),
            chosen=chosen,
            explored=explored,
            dial=self._reads(asked.dial),
        )
        foreseen = tuple(self._foreseen(one, prediction) for one in candidates) if asked.wanted.explain else ()
        relay = None
        if asked.cascade and not explored and pay > 0:
            relay = self._relay(asked, prediction, [index[name] for name in able if name in index], pay)
        return Weighed(order, trace, _rounded(served[chosen]), foreseen, relay)

    def _relay(self, asked: Asked, prediction: Prediction, able: Sequence[int], pay: float) -> Relay | None:
        """Give the cascade that is worth more than any one model; None where none is.

        By what was measured of cascades; where no answers were compared, by what is believed of wrong ones. The guard holds
        measured ones back as it does models, and doubts nothing where the reference has to answer.
        """
        ladders, models = self.policy.ladders, self.policy.models
        if ladders is None:
            made = plan(prediction.quality.tolist(), prediction.cost.tolist(), able, 1 / pay, self.beliefs)
            return None if made is None else Relay(models[made.first], models[made.second], models[made.strong])
        if math.isinf(pay):
            return None
        moved, offsets = prediction.expected - ladders.anchor @ prediction.phi, self._offsets(asked)
        if offsets is not None:
            moved = moved + offsets
        quality, cost = ladders.at(prediction.phi[None], moved[None], prediction.cost[None])
        held, usable = (prediction.reference,), frozenset(able)
        best: tuple[int, ...] = ()
        most = -math.inf
        for legs, value in zip(self.legs, (quality[0] - cost[0] / pay).tolist(), strict=True):
            worth = value if legs == held else value - prediction.handicap
            if worth > most and usable.issuperset(legs):
                best, most = legs, worth
        if len(best) < 2:
            return None
        third = models[best[2]] if len(best) == 4 else None
        return Relay(models[best[0]], models[best[1]], models[best[-1]], third)

    def _reads(self, dial: Dialled) -> str:
        if dial.pace != 1.0:
            return str(dial)
        key = dial.quality_floor, dial.willingness_to_pay
        found = self.prices.get(key) or self.wider.get(key)
        return found[1] if found is not None else str(dial)

    def _foreseen(self, one: RoutedCandidate, prediction: Prediction) -> Foreseen:
        if one.model not in self.known:
            return Foreseen(one.model, None, None, None, None, one.served)
        at = self.known[one.model]
        quality, low, high, cost = (
            float(part[at]) for part in (prediction.quality, prediction.low, prediction.high, prediction.cost)
        )
        return Foreseen(one.model, quality, low, high, None if math.isnan(cost) else cost, one.served)

    def _offsets(self, asked: Asked) -> list[float] | None:
        if not asked.wanted.offsets:
            return None
        offsets = asked.wanted.offsets.get(same_task(asked.task))
        if not offsets:
            return None
        return [offsets.get(name, 0.0) for name in self.policy.models]

    def _closed(self, name: str) -> bool:
        return any(fnmatchcase(name, glob) for glob in self.never)


def learned(policy: Policy, settings: Settings, candidates: Collection[Candidate]) -> Learned:
    """Give a policy at today's prices, with the settings that it serves by.

    Exploration is off while learning is off; its cap is the lesser of `routing.exploration.cap` and `learning.exploration`.
    """
    routing = settings.routing
    wished = routing.exploration
    cap = min(wished.cap, settings.learning.exploration)
    rule = still = Exploration(0.0, 0.0, wished.caution)
    if wished.enabled and settings.learning.enabled and cap > 0:
        rule = Exploration(min(wished.floor, cap), cap, wished.caution, wished.loss)
    priced = policy.repriced({one.name: one.blended_price for one in candidates if one.name in policy.models})
    beliefs = Beliefs(routing.cascade.alternatives, routing.cascade.correlation)
    ladders = policy.ladders
    legs = () if ladders is None else tuple(ladders.of(place) for place in range(len(ladders.legs)))
    known = {name: place for place, name in enumerate(policy.models)}
    return Learned(priced, known, rule, still, tuple(wished.never), beliefs, legs=legs)


def _rounded(chance: float) -> float:
    """Give seven digits of a probability. `round` takes twice the time, and is asked for each model of each call."""
    return int(chance * 1e7 + 0.5) / 1e7
