"""Which kinds of change can act on what was found, and why. Claims none that the calls found do not speak for.

Names are those of kinds of change; whether one is installed is the loop's to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from meliora.diagnosis.classes import may_succeed_later
from meliora.diagnosis.records import FoundSlice, Measured

KindName = Literal["model_choice", "routing_policy", "routing_rule"]

_SERVED_BY = ("endpoint", "provider", "model")
_CALLERS = frozenset(("data", "content_filter"))
"""Classes of errors that lie in the request: another model refuses it as well."""


class ActingKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of change that can act on a finding, and the reason."""

    name: str
    reason: str


def acting(
    measured: Measured, slices: Sequence[FoundSlice], named_by_trigger: Iterable[str] = ()
) -> tuple[ActingKind, ...]:
    """Give the kinds that can act, the likeliest first. Where nothing is explained these are those that the trigger names."""
    found: dict[str, str] = {}
    for one in slices:
        for name, reason in _rules(measured, one):
            found.setdefault(name, reason)
    if not slices:
        for name in named_by_trigger:
            found.setdefault(name, "the trigger names it; no calls were found that explain the change")
    return tuple(ActingKind(name=name, reason=reason) for name, reason in found.items())


def _rules(measured: Measured, one: FoundSlice) -> list[tuple[KindName, str]]:
    if measured in ("cost", "spend"):
        return [
            ("model_choice", f"a cheaper variant can serve {words(one.attributes)}"),
            ("routing_policy", f"a policy can send fewer of {words(one.attributes)} to dear models"),
        ]
    if measured == "slow":
        return [("model_choice", f"a faster model or endpoint can serve {words(one.attributes)}")]
    if measured == "dissatisfied":
        if not {"model", "task"} & one.attributes.keys():
            return []
        found: list[tuple[KindName, str]] = [
            ("routing_policy", f"a policy can learn which model does better at {words(one.attributes)}"),
            ("routing_rule", f"a rule can send {words(one.attributes)} elsewhere until one is fitted"),
        ]
        if "model" in one.attributes:
            found.append(("model_choice", f"another model can answer in place of it: {words(one.attributes)}"))
        return found
    return _against_errors(one)


def _against_errors(one: FoundSlice) -> list[tuple[KindName, str]]:
    kind = worst_class(one)
    served_by = [name for name in _SERVED_BY if name in one.attributes]
    if kind in _CALLERS:
        return []
    if kind == "context_length":
        return [("model_choice", f"a model with a longer context can take {words(one.attributes)}")]
    if kind == "quota":
        return [("model_choice", "the quota is used up: another provider until it is filled, and no repetition")]
    if not served_by:
        return []
    again = "" if kind is None or may_succeed_later(kind) else f"; {kind} errors are not helped by trying again"
    return [("model_choice", f"another endpoint, or another order of fallbacks, for {words(one.attributes)}{again}")]


def worst_class(one: FoundSlice) -> str | None:
    """Give the class that most of a slice's additional errors have; None where no class has more than half of them."""
    if "error_class" in one.attributes:
        return one.attributes["error_class"]
    for name, (observed, expected) in one.classes.items():
        return name if observed - expected > 0.5 * one.excess else None
    return None


def words(attributes: dict[str, str]) -> str:
    """Give a description as words: `endpoint=a/x with task=code`; all calls where there is none."""
    return " with ".join(f"{name}={value}" for name, value in attributes.items()) or "all calls"
