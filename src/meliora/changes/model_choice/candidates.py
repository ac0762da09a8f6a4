"""What could answer instead, by what the finding complains of: what may stand in for the model at all, the likeliest first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from meliora.changes.model_choice.compare import mean
from meliora.changes.model_choice.shelf import Cell, Tried
from meliora.routing.pool import Candidate, Catalogue

Measured = Literal["errors", "slow", "cost", "dissatisfied"]

_MEASURED: dict[str, Measured] = {
    "errors": "errors",
    "slow": "slow",
    "cost": "cost",
    "spend": "cost",
    "dissatisfied": "dissatisfied",
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a finding says, as far as a choice of models can answer it."""

    measured: Measured
    model: str | None
    endpoint: str | None
    provider: str | None
    task: str | None
    longer: bool = False
    """Prompts did not fit the model's context."""


def complaints(finding: Mapping[str, Any] | None) -> list[Complaint]:
    """Read a finding's slices, the largest first; a finding without any gives one complaint of all calls."""
    if not finding:
        return []
    measured = _MEASURED.get(str(finding.get("measured") or _by_metric(str(finding.get("metric", "")))))
    if measured is None:
        return []
    found = []
    for one in finding.get("slices") or [{}]:
        said = one.get("attributes") or {}
        named = (said.get(name) for name in ("model", "endpoint", "provider", "task"))
        found.append(Complaint(measured, *named, longer=said.get("error_class") == "context_length"))
    return found


def _by_metric(metric: str) -> str:
    for part, measured in (("error", "errors"), ("latency", "slow"), ("cost", "cost"), ("budget", "cost")):
        if part in metric:
            return measured
    return "dissatisfied" if metric in ("reward", "satisfaction") else ""


def about(complaint: Complaint, endpoints: Mapping[str, Sequence[str]], cells: Sequence[Cell]) -> str | None:
    """Give the model that is complained of: named, or that of the endpoint or provider, or where the most is spent or lost."""
    if complaint.model is not None:
        return complaint.model
    served = {model: names for model, names in endpoints.items() if any(_complained(complaint, name) for name in names)}
    if complaint.endpoint is not None or complaint.provider is not None:
        return max(served, key=lambda model: (_weight(cells, model, complaint.measured), model), default=None)
    models = sorted({cell.model for cell in cells})
    return max(models, key=lambda model: (_weight(cells, model, complaint.measured), model), default=None)


def _weight(cells: Sequence[Cell], model: str, measured: Measured) -> tuple[float, int]:
    own = [cell for cell in cells if cell.model == model]
    column = {"errors": "errors", "cost": "cost", "slow": "latency", "dissatisfied": "reward"}[measured]
    return sum(getattr(cell, column).total for cell in own), sum(cell.errors.n for cell in own)


def reordered(
    complaint: Complaint, names: Sequence[str], tries: Mapping[str, Tried]
) -> tuple[str, tuple[str, ...]] | None:
    """Give the endpoint to be left for last, and the others, the best first; None where there is no other or none is known."""
    if len(names) < 2 or complaint.measured not in ("errors", "slow"):
        return None
    column = "errors" if complaint.measured == "errors" else "latency"
    known = {name: mean([getattr(tries[name], column)]) for name in names if name in tries}
    known = {name: value for name, value in known.items() if math.isfinite(value)}
    bad = [name for name in names if _complained(complaint, name)]
    last = next((name for name in bad if name in known), None) or max(known, key=lambda name: known[name], default=None)
    others = [name for name in names if name != last and name not in bad]
    if last is None or not others:
        return None
    return last, tuple(sorted(others, key=lambda name: (known.get(name, math.inf), names.index(name))))


def _complained(complaint: Complaint, endpoint: str) -> bool:
    return endpoint == complaint.endpoint or endpoint.partition("/")[0] == complaint.provider


def substitutes(complaint: Complaint, present: Candidate, catalogue: Catalogue) -> list[Candidate]:
    """Give the models that may stand in: able to do what it can, allowed where it is, in service, the likeliest first."""
    able = [one for one in catalogue.all() if one.name != present.name and _able(one, present)]
    able = [one for one in able if catalogue.health(one.name) > 0]
    if complaint.longer:
        able = [one for one in able if (one.context_window or 0) > (present.context_window or 0)]
    if complaint.measured == "cost":
        price = present.blended_price
        able = [
            one for one in able if price is not None and one.blended_price is not None and one.blended_price < price
        ]
    fallbacks = {name: place for place, name in enumerate(present.fallbacks)}

    def likeliest(one: Candidate) -> tuple[object, ...]:
        named = 0 if complaint.measured == "cost" else fallbacks.get(one.name, len(fallbacks))
        price = one.blended_price if one.blended_price is not None else math.inf
        return (named, one.tier != present.tier, price, one.name)

    return sorted(able, key=likeliest)


def _able(one: Candidate, present: Candidate) -> bool:
    if one.tier is None and one.name not in present.fallbacks:
        return False
    if (
        present.capabilities is not None
        and one.capabilities is not None
        and not present.capabilities <= one.capabilities
    ):
        return False
    if (
        present.context_window is not None
        and one.context_window is not None
        and one.context_window < present.context_window
    ):
        return False
    return present.regions <= one.regions
