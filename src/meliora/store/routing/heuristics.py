"""Routing rules as `telemetry.improvement` sees them: what was learned about a rule lives in its metadata.

So a heuristic is nothing but a rule that calls are routed by.
"""

from __future__ import annotations

from typing import Any

from meliora.store.routing.rules import Rule, Rules, RuleWish
from meliora.telemetry.improvement import Heuristic

_LEARNED = {"reasoning": "reasoning", "success_rate": "successRate", "usage_count": "usageCount"}
"""Field of a heuristic, and the name it has in the metadata of a rule."""


class RuleHeuristics:
    """Keep heuristics as routing rules, so that whatever an agent learned is what calls are routed by."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def list(self, tenant: str, *, active_only: bool) -> tuple[Heuristic, ...]:
        """Give them in the order they are tried."""
        return tuple(_heuristic(rule) for rule in self._rules.list(tenant, active_only=active_only))

    def keep(self, tenant: str, heuristic: Heuristic) -> Heuristic:
        """Make the rule of this pattern what is given; other metadata of it and whom it applies to stay."""
        same = (rule for rule in self._rules.list(tenant) if rule.pattern == heuristic.pattern)
        before = next(same, None)
        metadata: dict[str, Any] = dict(before.metadata or {}) if before is not None else {}
        for field, name in _LEARNED.items():
            value = getattr(heuristic, field)
            if value is None:
                metadata.pop(name, None)
            else:
                metadata[name] = value
        wish = RuleWish(
            pattern=heuristic.pattern,
            preferred_layer=heuristic.preferred_layer,
            preferred_model=heuristic.preferred_model,
            priority=heuristic.priority,
            active=heuristic.active,
            applies_to=before.applies_to if before is not None else "auto",
            metadata=metadata,
        )
        return _heuristic(self._rules.upsert(tenant, wish))


def _heuristic(rule: Rule) -> Heuristic:
    known = rule.metadata or {}
    rate, count, reasoning = known.get("successRate"), known.get("usageCount"), known.get("reasoning")
    return Heuristic(
        pattern=rule.pattern,
        id=rule.id,
        preferred_layer=rule.preferred_layer,
        preferred_model=rule.preferred_model,
        priority=rule.priority,
        active=rule.active,
        reasoning=reasoning if isinstance(reasoning, str) else None,
        success_rate=float(rate) if isinstance(rate, int | float) else None,
        usage_count=count if isinstance(count, int) else None,
    )
