"""A change of the model that answers, or of the endpoints it is called by: a choice in service, or taken back.

What stood before stays in service below the new choice, so that taking the new one back is all that a rollback takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec

from meliora.changes.manner import GATEWAY, Check, Manner
from meliora.changes.model_choice.candidates import Complaint, Measured, about, complaints, reordered, substitutes
from meliora.changes.model_choice.proof import ENDPOINT_RULE, RULE, of_endpoints, of_models, proof_of
from meliora.changes.model_choice.shelf import CallRecord, Cell, ChoiceShelf
from meliora.errors import Conflict, UnknownModel
from meliora.gateway.state import ChoiceState
from meliora.loop.change import Change
from meliora.loop.kind import Later, Proof, Proposal, TrialPlan, WatchPlan
from meliora.loop.work import Work
from meliora.routing.pool import Catalogue

DAY_US = 86_400_000_000
_PRIMARY: dict[Measured, str] = {
    "errors": "error_rate",
    "slow": "latency_p95",
    "cost": "cost_per_call",
    "dissatisfied": "reward",
}


class _Wanted(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change's payload once it is proposed."""

    choice: ChoiceState
    measured: Measured
    instead_of: str
    """The model, or the endpoint, that is compared with."""
    before: ChoiceState | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What there is to choose among."""

    catalogue: Callable[[], Catalogue]
    endpoints: Callable[[], Mapping[str, Sequence[str]]]
    """Model to its endpoints (`PROVIDER/MODEL`)."""


class ModelChoice:
    """Proposes, proves and delivers choices of models and endpoints."""

    name = "model_choice"
    surface = GATEWAY

    def __init__(
        self,
        shelf: ChoiceShelf,
        calls: CallRecord,
        offer: Offer,
        check: Check,
        manner: Manner | None = None,
        days: float = 14.0,
    ) -> None:
        """`days` is how much traffic models are compared by."""
        self._shelf, self._calls, self._offer, self._check = shelf, calls, offer, check
        self._manner = manner or Manner()
        self._days = days

    def propose(self, change: Change, work: Work) -> Proposal | Later | None:
        """Answer the finding's largest slice that another endpoint or model can answer; or take what the change names.

        A change may name `model` and `serve` or `endpoints`, and `task`. None where nothing may stand in, or all that may is known to
        be worse.
        """
        wanted = self._named(change) if "model" in change.payload else self._found(change, work.finding)
        if wanted is None:
            return None
        choice = wanted.choice
        to = choice.serve or f"endpoints {', '.join(choice.endpoints or ())}"
        where = "" if choice.task is None else f" at task {choice.task}"
        return Proposal(
            target=_target(choice),
            summary=f"{choice.model}{where}: {to} in place of {wanted.instead_of} ({wanted.measured}).",
            payload=msgspec.to_builtins(wanted),
            candidate=choice.id,
            baseline=None if wanted.before is None else wanted.before.id,
        )

    def prove(self, change: Change, work: Work) -> Proof | Later:
        """Compare both on recorded calls of the same task and length; other endpoints of a model by the tries at them.

        What a finding complains of is judged by the calls since it began.
        """
        wanted = _wanted(change)
        choice, until = wanted.choice, change.updated_us
        since = self._since(until, work.finding)
        data: dict[str, Any] = {"since_us": since, "until_us": until}
        if choice.serve is None:
            tries = self._calls.tries(change.tenant, choice.model, since, until, choice.task)
            first = (choice.endpoints or ("",))[0]
            data |= {"tries": {name: one.errors.n for name, one in sorted(tries.items())}}
            judged = of_endpoints(tries, wanted.instead_of, first, wanted.measured)
            return proof_of(judged, ENDPOINT_RULE, change.baseline, data, work.seed)
        cells = self._calls.cells(change.tenant, since, until, choice.task)
        data |= {
            name: sum(cell.errors.n for cell in cells if cell.model == name)
            for name in (wanted.instead_of, choice.serve)
        }
        judged = of_models(cells, wanted.instead_of, choice.serve, wanted.measured, self._manner.margins)
        return proof_of(judged, RULE, change.baseline, data, work.seed)

    def trial(self, change: Change) -> TrialPlan | None:
        """Let the candidate's arm have the choice: to win by what was complained of."""
        wanted = _wanted(change)
        return self._manner.tried({"choices": [_plain(wanted.choice)]}, _PRIMARY[wanted.measured])

    def rehearse(self, change: Change, work: Work) -> dict[str, Any]:
        """See that what stands is the baseline, and that what is chosen can be called. Raises `Conflict`, `UnknownModel`."""
        wanted = _wanted(change)
        present = self._present(change.tenant, wanted.choice)
        if (None if present is None else present.id) != change.baseline or present != wanted.before:
            raise _elsewhere(change, present)
        name = wanted.choice.serve or wanted.choice.model
        if self._offer.catalogue().find(name) is None:
            raise UnknownModel(f"No provider serves {name!r} now.")
        return {"restores": change.baseline, "callable": name}

    def deliver(self, change: Change, work: Work) -> str | Later:
        """Put the choice in service. Raises `Conflict` where another one than the baseline stands."""
        wanted = _wanted(change)
        now = self.serving(change)
        if now != change.candidate:
            if now != change.baseline:
                raise _elsewhere(change, self._present(change.tenant, wanted.choice))
            self._shelf.put(change.tenant, wanted.choice, change.id, self._check(work.fence))
        return self.serving(change) or ""

    def undo(self, change: Change, work: Work) -> str | Later | None:
        """Take the choice back: what stood before counts again. Raises `Conflict` where another one stands by now."""
        wanted = _wanted(change)
        now = self.serving(change)
        if now != change.baseline:
            if now != change.candidate:
                raise _elsewhere(change, self._present(change.tenant, wanted.choice))
            self._shelf.retire(change.tenant, wanted.choice.id, self._check(work.fence))
        return self.serving(change)

    def serving(self, change: Change) -> str | None:
        """Read which choice counts for the model and task."""
        present = self._present(change.tenant, _wanted(change).choice)
        return None if present is None else present.id

    def watch(self, change: Change) -> WatchPlan | None:
        """Keep the holdback on what stood before, which lies below."""
        return self._manner.watched({"without_choices": [_wanted(change).choice.id]})

    def _present(self, tenant: str, choice: ChoiceState) -> ChoiceState | None:
        same = [
            kept.state
            for kept in self._shelf.list(tenant)
            if (kept.state.model, kept.state.task) == (choice.model, choice.task)
        ]
        return same[-1] if same else None

    def _named(self, change: Change) -> _Wanted:
        said = change.payload
        endpoints = tuple(said["endpoints"]) if said.get("endpoints") else None
        choice = ChoiceState(
            _id(change), change.tenant, str(said["model"]), said.get("serve"), endpoints, said.get("task")
        )
        before = self._present(change.tenant, choice)
        instead_of = choice.model if before is None or before.serve is None else before.serve
        if choice.serve is None and endpoints is not None:
            others = [name for name in self._offer.endpoints().get(choice.model, ()) if name not in endpoints[:1]]
            instead_of = others[0] if others else choice.model
        measured: Measured = said.get("measured", "cost" if choice.serve is not None else "errors")
        return _Wanted(choice, measured, instead_of, before)

    def _since(self, until: int, finding: Mapping[str, Any] | None) -> int:
        """Give since when calls are compared: what a model was like before what is complained of began says nothing of it now."""
        began = ((finding or {}).get("moment") or {}).get("since_us") or 0
        return max(0, until - round(self._days * DAY_US), began)

    def _found(self, change: Change, finding: Mapping[str, Any] | None) -> _Wanted | None:
        until = change.updated_us
        since = self._since(until, finding)
        for complaint in complaints(finding):
            cells = self._calls.cells(change.tenant, since, until, complaint.task)
            model = about(complaint, self._offer.endpoints(), cells)
            if model is None:
                continue
            made = self._by_endpoint(change, complaint, model, since) or self._by_model(change, complaint, model, cells)
            if made is not None:
                return made
        return None

    def _by_endpoint(self, change: Change, complaint: Complaint, model: str, since: int) -> _Wanted | None:
        names = self._offer.endpoints().get(model, ())
        if len(names) < 2 or complaint.longer:
            return None
        tries = self._calls.tries(change.tenant, model, since, change.updated_us, complaint.task)
        order = reordered(complaint, names, tries)
        if order is None or of_endpoints(tries, order[0], order[1][0], complaint.measured)[0] == "failed":
            return None
        choice = ChoiceState(_id(change), change.tenant, model, None, order[1], complaint.task)
        return _Wanted(choice, complaint.measured, order[0], self._present(change.tenant, choice))

    def _by_model(self, change: Change, complaint: Complaint, model: str, cells: Sequence[Cell]) -> _Wanted | None:
        """Take the first model that is known to do; where none is, the first that is not known to do worse."""
        catalogue = self._offer.catalogue()
        present = catalogue.find(model)
        if present is None:
            return None
        unknown = None
        for other in substitutes(complaint, present, catalogue):
            verdict = of_models(cells, model, other.name, complaint.measured, self._manner.margins)[0]
            if verdict == "passed":
                return self._with(change, complaint, model, other.name)
            if verdict == "inconclusive" and unknown is None:
                unknown = other.name
        return None if unknown is None else self._with(change, complaint, model, unknown)

    def _with(self, change: Change, complaint: Complaint, model: str, other: str) -> _Wanted:
        choice = ChoiceState(_id(change), change.tenant, model, other, None, complaint.task)
        return _Wanted(choice, complaint.measured, model, self._present(change.tenant, choice))


def _wanted(change: Change) -> _Wanted:
    return msgspec.convert(change.payload, _Wanted)


def _id(change: Change) -> str:
    return f"choice_{sha256(change.id.encode()).hexdigest()[:16]}"


def _target(choice: ChoiceState) -> str:
    return f"model:{choice.model}" + ("" if choice.task is None else f":{choice.task}")


def _plain(choice: ChoiceState) -> dict[str, Any]:
    return msgspec.to_builtins(choice)


def _elsewhere(change: Change, present: ChoiceState | None) -> Conflict:
    there = "no choice" if present is None else f"choice {present.id}"
    return Conflict(
        f"{there} stands for {change.target} by now, which is neither the baseline ({change.baseline}) nor the candidate"
        f" ({change.candidate}).",
        hint="What somebody put there is not touched.",
    )
