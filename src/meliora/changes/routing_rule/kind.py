"""A change of a rule: put in the place of exactly what stood at its pattern, and taken back to exactly that.

A person's typed rule is not tried on traffic, nor watched, unless it is asked for (`"trial": true`): whether it is delivered without
is the policies' to say. What is mined, and what an agent types, has to win first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec

from meliora.changes.manner import GATEWAY, Check, Manner
from meliora.changes.routing_rule.shelf import Read, RecordedOutcomes, RuleRow, RuleShelf, version_of
from meliora.errors import Conflict, InvalidRequest
from meliora.loop.change import Change
from meliora.loop.kind import Later, Proof, Proposal, TrialPlan, WatchPlan
from meliora.loop.work import Work
from meliora.routing.pool import Catalogue
from meliora.routing.rules import validate_pattern

DAY_US = 86_400_000_000
TIERS = ("fast", "balanced", "deep", "code")
_MOST = 10_000
_MINED = 0.6
"""Share of the decisions, the older ones, that rules are mined from; the rest proves them."""
_LEARNED = {"reasoning": "reasoning", "success_rate": "successRate", "usage_count": "usageCount"}
"""What may be said of a rule, and the name it has in the rule's metadata."""


class _Wanted(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change's payload once it is proposed."""

    rule: RuleRow
    before: RuleRow | None = None
    pay: float = 0.0
    """US$ for quality 1: what gains are counted by."""
    mined_until_us: int = 0
    by_hand: bool = False
    trial: bool = True


@dataclass(frozen=True, slots=True)
class Sources:
    """What rules are made of and held against."""

    outcomes: RecordedOutcomes
    read: Read
    catalogue: Callable[[], Catalogue]
    """The models on offer now."""
    pay: Callable[[str], float]
    """Tenant to US$ for quality 1, by the settings' dial and what serves; 0: quality alone counts."""
    days: float = 30.0
    support: int = 50
    """Matching decisions that mining and a proof ask for, at least."""
    people: int = 5
    """People who must have used a mined word."""


class RoutingRule:
    """Mines, proves and puts rules in service."""

    name = "routing_rule"
    surface = GATEWAY

    def __init__(self, shelf: RuleShelf, sources: Sources, check: Check, manner: Manner | None = None) -> None:
        self._shelf, self._of, self._check = shelf, sources, check
        self._manner = manner or Manner()

    def propose(self, change: Change, work: Work) -> Proposal | Later | None:
        """Take the typed rule, or mine one; None where nothing is worth a rule.

        A typed rule that leaves something out keeps what stood there. Raises `InvalidRequest` for a pattern that does not read, an
        unknown tier, or a rule that names neither tier nor model.
        """
        made = self._typed(change) if "pattern" in change.payload else self._mined(change, work)
        if made is None:
            return None
        rule = made.rule
        to = rule.preferred_model or rule.preferred_layer
        how = "mined from outcomes" if not made.by_hand and "pattern" not in change.payload else "typed"
        expected = {"utility": rule.metadata["expected_gain"]} if "expected_gain" in rule.metadata else {}
        return Proposal(
            target=f"rule:{rule.pattern}",
            summary=f"A rule ({how}): {rule.pattern} -> {to}" + ("" if rule.active else ", switched off"),
            payload=msgspec.to_builtins(made),
            candidate=rule.version,
            baseline=version_of(made.before),
            expected=expected,
        )

    def prove(self, change: Change, work: Work) -> Proof | Later:
        """Estimate what the rule would have brought, on decisions that it was not mined from."""
        from meliora.changes.routing_rule.proof import judged
        from meliora.changes.routing_rule.rows import read_rows

        wanted = _wanted(change)
        rule = wanted.rule
        validate_pattern(rule.pattern, rule.id)
        models = self._models(rule)
        until = change.updated_us
        since = max(wanted.mined_until_us + 1, until - round(self._of.days * DAY_US))
        rows = read_rows(self._of.outcomes, self._of.read, change.tenant, since, until, _MOST)
        least, by_hand = self._of.support, wanted.by_hand
        return judged(rows, change, rule, models, wanted.pay, least, by_hand=by_hand, seed=work.seed)

    def trial(self, change: Change) -> TrialPlan | None:
        """Let the candidate's arm have the rule; None for a person's rule that is not to be tried."""
        wanted = _wanted(change)
        if not wanted.trial:
            return None
        return self._manner.tried(_overlay(change.tenant, wanted.rule, wanted.rule.id), "reward")

    def rehearse(self, change: Change, work: Work) -> dict[str, Any]:
        """See that what a rollback restores is what stands there now. Raises `Conflict` where something else does."""
        wanted = _wanted(change)
        validate_pattern(wanted.rule.pattern, wanted.rule.id)
        present = self._present(change.tenant, wanted.rule.pattern)
        if present != wanted.before:
            raise _elsewhere(change, present)
        return {"restores": version_of(present), "rule": None if present is None else present.id}

    def deliver(self, change: Change, work: Work) -> str | Later:
        """Put the rule in place. Raises `Conflict` where something else stands at its pattern than did."""
        wanted = _wanted(change)
        self._put(change, wanted.rule, wanted.before, work)
        return self.serving(change) or ""

    def undo(self, change: Change, work: Work) -> str | Later | None:
        """Put back what stood there, or nothing. Raises `Conflict` where somebody put something else there meanwhile."""
        wanted = _wanted(change)
        self._put(change, wanted.before, wanted.rule, work)
        return self.serving(change)

    def serving(self, change: Change) -> str | None:
        """Read what stands at the pattern."""
        return version_of(self._present(change.tenant, _wanted(change).rule.pattern))

    def watch(self, change: Change) -> WatchPlan | None:
        """Keep the holdback on what stood there before; None for a person's rule that is not tried: it holds up no other change."""
        wanted = _wanted(change)
        if not wanted.trial:
            return None
        return self._manner.watched(_overlay(change.tenant, wanted.before, wanted.rule.id))

    def _put(self, change: Change, row: RuleRow | None, instead_of: RuleRow | None, work: Work) -> None:
        pattern = _wanted(change).rule.pattern
        present = self._present(change.tenant, pattern)
        if present == row:
            return
        moved = present == instead_of and self._shelf.exchange(
            change.tenant,
            pattern,
            None if row is None else msgspec.to_builtins(row),
            instead_of=None if instead_of is None else msgspec.to_builtins(instead_of),
            fenced=self._check(work.fence),
        )
        if not moved:
            raise _elsewhere(change, self._present(change.tenant, pattern))

    def _present(self, tenant: str, pattern: str) -> RuleRow | None:
        found = self._shelf.plain(tenant, pattern)
        return None if found is None else msgspec.convert(found, RuleRow)

    def _typed(self, change: Change) -> _Wanted:
        said = change.payload
        pattern = str(said["pattern"])
        validate_pattern(pattern)
        before = self._present(change.tenant, pattern)
        base = before or RuleRow(id=_id(change), pattern=pattern)
        metadata = dict(base.metadata)
        metadata |= {name: said[field] for field, name in _LEARNED.items() if said.get(field) is not None}
        named = ("preferred_layer", "preferred_model", "priority", "active", "applies_to")
        fields = {name: said[name] for name in named if said.get(name) is not None}
        rule = msgspec.structs.replace(base, **fields, metadata=metadata | {"change": change.id})
        if rule.preferred_layer is None and rule.preferred_model is None:
            raise InvalidRequest("A rule names a preferred layer or a preferred model.", field="preferred_layer")
        if rule.preferred_layer is not None and rule.preferred_layer not in TIERS:
            raise InvalidRequest(f"{rule.preferred_layer!r} is not a tier.", field="preferred_layer")
        by_hand = change.origin.kind == "person"
        return _Wanted(
            rule=rule,
            before=before,
            pay=self._of.pay(change.tenant),
            by_hand=by_hand,
            trial=bool(said.get("trial", not by_hand)),
        )

    def _mined(self, change: Change, work: Work) -> _Wanted | None:
        from meliora.changes.routing_rule.mine import mine, ruled
        from meliora.changes.routing_rule.rows import read_rows

        now = change.updated_us
        since = max(0, now - round(self._of.days * DAY_US))
        work.progress(0.1, "recorded decisions are read")
        rows = read_rows(self._of.outcomes, self._of.read, change.tenant, since, now, _MOST, _task(work.finding))
        known = [one.pattern for one in self._shelf.list(change.tenant, active_only=True)]
        rows = rows.take(~ruled(known, rows.texts))  # what a rule takes already is left to it
        if len(rows) < self._of.support:
            return None
        until = int(rows.started_us[max(0, round(len(rows) * _MINED) - 1)])
        pay = self._of.pay(change.tenant)
        older = rows.until(until)
        work.progress(0.3, f"patterns are looked for in {len(older)} of them")
        found = mine(older, pay, least=self._of.support, people=self._of.people)
        if found is None or self._present(change.tenant, found.pattern) is not None:
            return None
        reasoning = (
            f"{found.model} answered {found.support} such prompts of {found.people} people better by {found.gain:.4f} in utility"
            f" (at least {found.low:.4f}, of {found.tried} pairs that were tried), on recorded outcomes."
        )
        metadata = {
            "reasoning": reasoning,
            "successRate": round(100 * found.reward, 2),
            "usageCount": found.support,
            "support": found.support,
            "expected_gain": round(found.low, 6),
            "change": change.id,
        }
        rule = RuleRow(id=_id(change), pattern=found.pattern, preferred_model=found.model, metadata=metadata)
        return _Wanted(rule=rule, pay=pay, mined_until_us=until)

    def _models(self, rule: RuleRow) -> Collection[str]:
        """Give the models that a rule leaves to choose among; none where what it names is not served, and so nothing follows it."""
        catalogue = self._of.catalogue()
        if rule.preferred_model is not None:
            name = catalogue.alias(rule.preferred_model) or rule.preferred_model
            if catalogue.find(name) is not None:
                return {name}
        return {one.name for one in catalogue.in_tier(rule.preferred_layer)} if rule.preferred_layer else set()


def _wanted(change: Change) -> _Wanted:
    return msgspec.convert(change.payload, _Wanted)


def _id(change: Change) -> str:
    return f"rule_{sha256(change.id.encode()).hexdigest()[:16]}"


def _task(finding: dict[str, Any] | None) -> str | None:
    """Give the task that a finding points at, where all its slices agree on one."""
    slices = (finding or {}).get("slices") or []
    tasks = {one.get("attributes", {}).get("task") for one in slices}
    return next(iter(tasks)) if len(tasks) == 1 else None


def _overlay(tenant: str, row: RuleRow | None, rule_id: str) -> dict[str, Any]:
    """Say what an arm's rules are, with this row (or none) in the rule's place."""
    if row is None or not row.active:
        return {"without_rules": [rule_id]}
    fields: dict[str, Any] = {"id": row.id, "tenant": tenant, "pattern": row.pattern}
    fields |= {"preferred_layer": row.preferred_layer} if row.preferred_layer is not None else {}
    fields |= {"preferred_model": row.preferred_model} if row.preferred_model is not None else {}
    fields |= {"priority": row.priority} if row.priority else {}
    fields |= {"applies_to": row.applies_to} if row.applies_to != "auto" else {}
    return {"rules": [fields]}


def _elsewhere(change: Change, present: RuleRow | None) -> Conflict:
    there = "nothing stands" if present is None else f"{present.version} ({present.id}) stands"
    return Conflict(
        f"{there} at the rule's pattern by now, which is neither the baseline ({change.baseline}) nor the candidate"
        f" ({change.candidate}).",
        hint="`meliora rules list` shows it. What somebody put there is not touched.",
    )
