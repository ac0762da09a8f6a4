"""Delivered choices of models: another model answers, or other endpoints are preferred. Applied once, after the decision.

Fails open: where the other model may not or cannot serve the call, or is out of service, the one that was decided stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from meliora.routing.constraints import affordable, forbidden, unable
from meliora.routing.pool import Candidate, Catalogue
from meliora.routing.wanted import Decision, Wanted

if TYPE_CHECKING:
    from meliora.gateway.state import ChoiceState

_ALIASES = 5


class Choices:
    """The choices that hold for one tenant, or one arm of its trial."""

    __slots__ = ("_by_model", "by_task")

    def __init__(self, choices: Iterable[ChoiceState]) -> None:
        """Of two for the same model and task the later one counts; one for the call's task comes before one for all."""
        self._by_model: dict[str, dict[str | None, ChoiceState]] = {}
        for choice in choices:
            self._by_model.setdefault(choice.model, {})[choice.task] = choice
        self.by_task = any(task is not None for held in self._by_model.values() for task in held)
        """Whether a call's task has to be known before it is decided."""

    def applied(self, decision: Decision, wanted: Wanted, catalogue: Catalogue) -> Decision:
        """Give the decision with the choice that holds for the name that was asked for, else for the model decided on.

        One choice at most, so that choices which name each other end. The model decided on comes first in the chain. A cascade's
        pair is not asked where another model answers.
        """
        choice = self._named(wanted.model, decision.task) or self._named(decision.model, decision.task)
        if choice is None:
            return decision
        said = {"reason": f"{decision.reason};choice:{choice.id}", "choice": choice}
        if choice.serve is None:
            return msgspec.structs.replace(decision, **said)
        found = _find(catalogue, choice.serve)
        why = "there is no such model" if found is None else _unfit(found, decision, wanted, catalogue)
        if found is None or why:
            return msgspec.structs.replace(decision, rejected=(*decision.rejected, (choice.serve, why)))
        if found.name == decision.model:
            return msgspec.structs.replace(decision, **said)
        chain = (decision.model, *(name for name in decision.chain if name != found.name))
        return msgspec.structs.replace(decision, **said, model=found.name, tier=found.tier, chain=chain, relay=None)

    def endpoints(self, model: str, decision: Decision | None) -> tuple[str, ...] | None:
        """Give the endpoints to prefer for a model of this call's chain; None: none in particular."""
        if decision is None:
            return None
        applied = decision.choice
        if applied is not None and applied.endpoints is not None and model == decision.model:
            return applied.endpoints
        choice = self._named(model, decision.task)
        return choice.endpoints if choice is not None and choice.serve is None else None

    def _named(self, model: str, task: str) -> ChoiceState | None:
        found = self._by_model.get(model)
        return None if found is None else found.get(task) or found.get(None)


def _find(catalogue: Catalogue, name: str) -> Candidate | None:
    """Give a model by its name or an alias of it."""
    for _ in range(_ALIASES):
        target = catalogue.alias(name)
        if target is None or target == name:
            break
        name = target
    return catalogue.find(name)


def _unfit(model: Candidate, decision: Decision, wanted: Wanted, catalogue: Catalogue) -> str:
    """Say why a model cannot answer in place of the one decided on; empty where it can."""
    if why := forbidden(model, wanted) or unable(model, wanted):
        return why
    if catalogue.health(model.name) <= 0.0:
        return "out of service"
    decided = catalogue.find(decision.model)
    if decided is None or decided.name == model.name:
        return ""
    return affordable((decided, model), wanted)[1].get(model.name, "")
