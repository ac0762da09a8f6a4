"""When `auto` goes to a stronger tier than the prompt alone would: words that name danger, a conversation that keeps failing.

Refuses to escalate because of a budget or a rate limit: a dearer model would not help there.
"""

from __future__ import annotations

from collections import OrderedDict

from meliora.gateway.state import RuleState
from meliora.routing.rules import ALL_TENANTS
from meliora.settings.escalation import Escalation

SECURITY_RULE = "security-words"
"""Id of the rule that the security words make; shown as `rule:security-words`."""

_UP = {"fast": "balanced", "balanced": "deep", "code": "deep"}
_REMEMBERED = 10_000
"""Conversations whose failures are remembered; the longest silent go first."""
_SPECIAL = frozenset(r"\.+*?()|[]{}^$")


def security_rule(settings: Escalation) -> RuleState | None:
    """Give the rule for all tenants that sends these words to the deep tier; None where there are no words."""
    if not settings.security_words:
        return None
    words = "|".join(_literal(word) for word in settings.security_words)
    return RuleState(
        id=SECURITY_RULE,
        tenant=ALL_TENANTS,
        pattern=rf"(?i)(?:^|[^\pL\pN_])(?:{words})(?:$|[^\pL\pN_])",
        preferred_layer="deep",
        priority=settings.security_priority,
    )


def is_failure(outcome: str | None, status: int | None) -> bool:
    """Say whether a call's end counts: not what the client left or got wrong, nor a limit of budget or rate.

    A stream that broke off had begun with 200.
    """
    return outcome == "error" and status is not None and (status < 400 or status == 408 or status >= 500)


def raised(tier: str, failures: int, settings: Escalation) -> str | None:
    """Give the tier that so many failures lead to, fast to balanced to deep and code to deep; None where they lead nowhere."""
    if settings.memory <= 0:
        return None
    steps = failures // (settings.failures + 1)
    reached = tier
    for _ in range(steps):
        reached = _UP.get(reached, reached)
    return reached if reached != tier else None


class Failures:
    """How often each conversation of a tenant failed of late. Times are monotonic seconds."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._held)

    def note(self, tenant: str, conversation: str, now: float, settings: Escalation) -> None:
        """Count one more failure."""
        if settings.memory <= 0:
            return
        key = (tenant, conversation)
        count = self.count(tenant, conversation, now, settings) + 1
        self._held[key] = (count, now)
        self._held.move_to_end(key)
        while len(self._held) > _REMEMBERED:
            self._held.popitem(last=False)

    def count(self, tenant: str, conversation: str, now: float, settings: Escalation) -> int:
        """Give the failures up to now; none are left once the last is older than is remembered."""
        while self._held and now - next(iter(self._held.values()))[1] >= settings.memory:
            self._held.popitem(last=False)  # they stand in the order of their last failure
        held = self._held.get((tenant, conversation))
        return held[0] if held is not None else 0


def _literal(word: str) -> str:
    """Write a word as a pattern that finds it and nothing else; any run of white space stands for a space."""
    escaped = "".join(f"\\{char}" if char in _SPECIAL else char for char in word.strip())
    return r"\s+".join(escaped.split())
