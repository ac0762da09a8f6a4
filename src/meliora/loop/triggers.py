"""What to do when a gate breaks: whom to ask for the cause, which kinds of change to try in which order, how fast, and when it is undone.

A trigger is data. Shipped ones are laid under those of the settings, and these under those that were changed by people.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Literal, Protocol

import msgspec

from meliora.errors import InvalidRequest, NotFound
from meliora.loop.gates.gate import Gate
from meliora.loop.gates.metrics import nearest

Diagnosis = Literal["none", "quality", "corpus", "latency", "ingest", "cost", "store", "errors", "feedback", "capacity"]

KINDS: dict[str, str] = {
    "routing_policy": "a newly fitted routing policy",
    "model_choice": "a cheaper, faster or better model in the place of another",
    "routing_rule": "a routing rule",
    "query_repair": "spelling, synonyms and expansion learned from queries",
    "reranker": "a retrained reranker",
    "reindex": "an index built again from its documents",
    "fusion_weights": "other weights of words, character n-grams and vectors",
    "knowledge_pruning": "stale, redundant and useless documents archived",
    "corpus": "documents re-read from their sources",
    "workers": "more or fewer workers",
    "placement": "models moved among machines",
    "prompt": "another prompt",
    "code_patch": "a patch of the code",
}
"""Kinds of change that triggers speak of. One that is not installed is passed over, and said to be."""


class Rollback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a delivered change is undone: the gate's metric `worse_than` a value, or than the baseline by more than a share of it."""

    worse_than: float | None = None
    worse_by: float | None = None
    """0: worse than the baseline at all."""


class Trigger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The contract for one gate."""

    name: str
    gate: str
    kinds: tuple[str, ...]
    """Tried in this order until one is kept."""
    diagnosis: Diagnosis = "none"
    threshold: float | None = None
    """Asks more than the gate does: the value from which it acts. None: whenever the gate fails."""
    response_seconds: float = 3600.0
    """By when a change must have been proposed."""
    rollback: Rollback = Rollback()
    enabled: bool = True

    def acts_on(self, gate: Gate, value: float | None) -> bool:
        """Tell whether a failed gate with this value is its business. An unknown value is, where it asks for no more than the gate."""
        if not self.enabled or gate.name != self.gate:
            return False
        if self.threshold is None:
            return True
        return value is not None and gate.beyond(value, self.threshold)


def defaults() -> tuple[Trigger, ...]:
    """Give the contract of the documents."""
    minute, hour = 60.0, 3600.0
    return (
        Trigger(
            name="ndcg_drop",
            gate="ndcg_drop",
            diagnosis="quality",
            kinds=("query_repair", "reindex", "fusion_weights", "reranker"),
            response_seconds=hour,
            rollback=Rollback(worse_by=0.0),
        ),
        Trigger(
            name="recall_drop",
            gate="recall_drop",
            diagnosis="corpus",
            kinds=("reindex", "query_repair", "corpus"),
            response_seconds=2 * hour,
            rollback=Rollback(worse_by=0.02),
        ),
        Trigger(
            name="searches_unanswered",
            gate="search_success",
            diagnosis="quality",
            kinds=("query_repair", "reindex", "fusion_weights", "reranker"),
            response_seconds=hour,
            rollback=Rollback(worse_by=0.0),
        ),
        Trigger(
            name="slow",
            gate="latency_p95",
            diagnosis="latency",
            kinds=("routing_policy", "model_choice", "placement"),
            response_seconds=5 * minute,
            rollback=Rollback(worse_than=1000.0),
        ),
        Trigger(
            name="ingest_behind",
            gate="ingest",
            diagnosis="ingest",
            kinds=("workers",),
            response_seconds=10 * minute,
            rollback=Rollback(worse_than=120.0),
        ),
        Trigger(
            name="budget_used",
            gate="budget",
            diagnosis="cost",
            kinds=("routing_policy", "model_choice"),
            response_seconds=30 * minute,
            rollback=Rollback(worse_than=1.2),
        ),
        Trigger(
            name="vector_store_errors",
            gate="vector_store",
            diagnosis="store",
            kinds=("reindex",),
            response_seconds=3 * minute,
            rollback=Rollback(worse_than=10.0),
        ),
        Trigger(
            name="errors",
            gate="errors",
            diagnosis="errors",
            kinds=("routing_policy", "routing_rule", "model_choice", "code_patch"),
            response_seconds=hour,
            rollback=Rollback(worse_by=0.0),
        ),
        Trigger(
            name="dissatisfied",
            gate="satisfaction",
            diagnosis="feedback",
            kinds=("routing_policy", "routing_rule", "model_choice", "prompt"),
            response_seconds=24 * hour,
            rollback=Rollback(worse_than=3.5),
        ),
    )


def check(trigger: Trigger, gates: Iterable[Gate], kinds: Collection[str]) -> Trigger:
    """Give the trigger. Raises `InvalidRequest` for one that names no kind, an unknown kind or gate, or a time that is none."""
    if not trigger.name or not trigger.name.isprintable() or "/" in trigger.name:
        raise InvalidRequest("A trigger needs a name, without `/`.", field="name")
    by_name = {gate.name: gate for gate in gates}
    if trigger.gate not in by_name:
        raise _wrong(trigger, f"waits for an unknown gate {trigger.gate!r}", nearest(trigger.gate, by_name), "gate")
    if not trigger.kinds:
        hint = f"Write kinds = [...]. There are: {', '.join(sorted(kinds))}."
        raise _wrong(trigger, "names no kind of change to try", hint, "kinds")
    for kind in trigger.kinds:
        if kind not in kinds:
            raise _wrong(trigger, f"names an unknown kind of change {kind!r}", nearest(kind, kinds), "kinds")
    if len(set(trigger.kinds)) != len(trigger.kinds):
        raise _wrong(trigger, "names a kind of change twice", "Write each once.", "kinds")
    if not 0 < trigger.response_seconds < math.inf:
        raise _wrong(
            trigger, f"has response_seconds = {trigger.response_seconds}", "Write a number above 0.", "response"
        )
    if trigger.threshold is not None and not math.isfinite(trigger.threshold):
        raise _wrong(trigger, f"has threshold = {trigger.threshold}", "Write a finite number.", "threshold")
    undo = trigger.rollback
    if undo.worse_than is not None and undo.worse_by is not None:
        raise _wrong(trigger, "is undone by two conditions", "Write worse_than or worse_by.", "rollback")
    if undo.worse_than is not None and not math.isfinite(undo.worse_than):
        raise _wrong(trigger, f"has rollback.worse_than = {undo.worse_than}", "Write a finite number.", "rollback")
    if undo.worse_by is not None and not 0 <= undo.worse_by < math.inf:
        raise _wrong(trigger, f"has rollback.worse_by = {undo.worse_by}", "Write a share from 0 on.", "rollback")
    return trigger


class TriggerRows(Protocol):
    """Keeps the triggers that were changed."""

    def list(self, tenant: str) -> Sequence[Trigger]:
        """Give those of a tenant, by name."""
        ...

    def put(self, tenant: str, trigger: Trigger, actor: str) -> None:
        """Keep one, in the place of the one of its name."""
        ...

    def delete(self, tenant: str, name: str) -> None:
        """Delete one. Raises `NotFound`."""
        ...


class Triggers:
    """Look triggers up and change them. Those of a person stand over those of the settings, and these over the shipped."""

    def __init__(
        self,
        rows: TriggerRows,
        gates: Sequence[Gate],
        declared: Sequence[Trigger] = (),
        installed: Collection[str] = (),
    ) -> None:
        self._rows = rows
        self._gates = gates
        self._kinds = frozenset(KINDS) | frozenset(installed)
        known = {gate.name for gate in gates}
        # A gate that was left out, or holds in another environment, takes its shipped trigger with it.
        self._base = {one.name: one for one in defaults() if one.gate in known}
        for one in declared:
            self._base[one.name] = check(one, gates, self._kinds)

    def list(self, tenant: str) -> tuple[Trigger, ...]:
        """Give all that hold, by name."""
        held = self._base | {one.name: one for one in self._rows.list(tenant)}
        return tuple(held[name] for name in sorted(held))

    def get(self, tenant: str, name: str) -> Trigger:
        """Give one. Raises `NotFound` with the nearest name."""
        held = {one.name: one for one in self.list(tenant)}
        if name not in held:
            raise NotFound(f"There is no trigger {name!r}.", hint=nearest(name, held))
        return held[name]

    def put(self, tenant: str, trigger: Trigger, actor: str) -> Trigger:
        """Make or change one, in the name of `actor` (a key's id, `cli`). Raises `InvalidRequest`."""
        checked = check(trigger, self._gates, self._kinds)
        self._rows.put(tenant, checked, actor)
        return checked

    def delete(self, tenant: str, name: str) -> None:
        """Forget what was changed: what the settings or the documents say holds again. Raises `NotFound` where nothing was."""
        if name not in {one.name for one in self._rows.list(tenant)}:
            hint = "It is shipped or in the settings: switch it off with enabled = false." if name in self._base else ""
            raise NotFound(f"No trigger {name!r} was made or changed here.", hint=hint)
        self._rows.delete(tenant, name)

    def of(self, tenant: str, gate: Gate, value: float | None) -> tuple[Trigger, ...]:
        """Give those that a failed gate with this value sets off, the most urgent first."""
        found = [one for one in self.list(tenant) if one.acts_on(gate, value)]
        return tuple(sorted(found, key=lambda one: (one.response_seconds, one.name)))


def undone(trigger: Trigger, gate: Gate, value: float | None, baseline: float | None) -> bool | None:
    """Tell whether a delivered change is to be undone by this value; None where that cannot be told, which is never a no."""
    undo = trigger.rollback
    if value is None or not math.isfinite(value):
        return None
    if undo.worse_than is not None:
        return gate.beyond(value, undo.worse_than)
    if undo.worse_by is None:
        return False
    if baseline is None:
        return None
    sign = -1 if gate.direction == "min" else 1
    return gate.beyond(value, baseline + sign * abs(baseline) * undo.worse_by)


def _wrong(trigger: Trigger, what: str, hint: str, field: str) -> InvalidRequest:
    return InvalidRequest(f"The trigger {trigger.name!r} {what}.", hint=hint, field=field)
