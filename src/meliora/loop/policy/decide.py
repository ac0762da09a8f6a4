"""Asks the policies, and says which of them decided and why. An error denies.

Restoring goes on by Meliora's own policies where others fail, or would keep the loop itself from it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from typing import Any, Literal

import msgspec

from meliora.errors import Problem
from meliora.loop.audit.replay import decided
from meliora.loop.policy.bundle import Bundle, PolicyRule, check, own
from meliora.loop.policy.request import LOOP, RESTORING, Action, Facts, Request, Target, cedar

DECISION = "policy"
"""Name under which the audit has these decisions."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What the policies say."""

    allowed: bool
    policies: tuple[str, ...] = ()
    """Ids of those that decided; none where nothing permits it."""
    needs: Literal["approval"] | None = None
    """Denied by nothing but policies that an approval satisfies."""
    reason: str = ""
    error: bool = False
    """A policy was broken or failed."""
    until_seconds: float | None = None
    """When asking again may help (a cap, a cooldown); policies themselves never say so."""
    record: dict[str, Any] = {}
    """How the audit has it, to be taken again; empty where nobody recorded it."""

    @property
    def needs_approval(self) -> bool:
        """Whether it is allowed once a person approves."""
        return self.needs == "approval"

    def outcome(self) -> dict[str, Any]:
        """Give what has to come out again when it is replayed."""
        return {"allowed": self.allowed, "needs": self.needs, "policies": list(self.policies), "error": self.error}


class Policies:
    """A checked set of policies, parsed once. Safe to share between threads."""

    def __init__(self, bundle: Bundle) -> None:
        import cedarpy

        self.bundle = bundle
        self.sha256 = bundle.sha256
        checked = check(bundle)
        self.rules: tuple[PolicyRule, ...] = checked.rules
        self._by_cedar = {f"policy{number}": rule for number, rule in enumerate(checked.rules)}
        self._fallback: Policies | None = None
        self.problems: tuple[Problem, ...] = checked.problems
        """What is wrong; with any, everything but restoring is denied."""
        self._set, self._schema = None, None
        if not checked.problems:
            self._set = cedarpy.PolicySet.from_str(checked.text)
            self._schema = cedarpy.Schema.from_str(bundle.schema)
            self.problems = tuple(self._hindered())

    def decide(self, request: Request) -> Decision:
        """Decide on a request."""
        return self.decide_plain(request.plain())

    def decide_plain(self, plain: dict[str, Any]) -> Decision:
        """Decide on a request as the audit has it."""
        if self.problems:
            first = self.problems[0]
            more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
            found = Decision(allowed=False, error=True, reason=f"Denied: the policies are broken: {first}{more}")
        else:
            found = self._asked(plain)
        if found.allowed or plain["action"] not in RESTORING:
            return found
        if not found.error and plain["actor"]["kind"] != "system":
            return found
        if self._fallback is None:
            self._fallback = Policies(own())
        safe = self._fallback._asked(plain)
        note = f"{safe.reason} Meliora's own policies decided. {found.reason}"
        return msgspec.structs.replace(safe, error=found.error, reason=note)

    def recorded(self, request: Request, decision: Decision) -> dict[str, Any]:
        """Give the body of the audit entry of a decision: enough to take it again."""
        evidence = {"request": request.plain(), "bundle": self.sha256}
        return decided(DECISION, evidence, decision.outcome())

    def _asked(self, plain: dict[str, Any]) -> Decision:
        import cedarpy

        assert self._set is not None
        try:
            asked, entities = cedar(plain)
            answer = cedarpy.is_authorized(asked, self._set, entities, self._schema)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return Decision(allowed=False, error=True, reason=f"Denied: the request cannot be read: {error!r}.")
        errors = answer.diagnostics.errors
        deciding = [self._by_cedar[name] for name in answer.diagnostics.reasons]
        deciding.sort(key=lambda rule: rule.id)
        if errors:
            return self._failed(errors)
        ids = tuple(rule.id for rule in deciding)
        why = "; ".join(f"{rule.reason or rule.where} ({rule.id})" for rule in deciding)
        if answer.allowed:
            return Decision(allowed=True, policies=ids, reason=f"Allowed: {why}.")
        if not deciding:
            actor = plain["actor"]
            return Decision(
                allowed=False,
                reason=f"Denied: no policy permits {actor['kind']} {actor['key']} to {plain['action']} here.",
            )
        approval = all(rule.needs == "approval" for rule in deciding)
        return Decision(allowed=False, policies=ids, needs="approval" if approval else None, reason=f"Denied: {why}.")

    def _failed(self, errors: Sequence[str]) -> Decision:
        rules = sorted({name for text in errors for name in re.findall(r"`(policy\d+)`", text)})
        failed = [self._by_cedar[name] for name in rules if name in self._by_cedar]
        text = errors[0].split("\n")[0]
        for name in rules:
            rule = self._by_cedar.get(name)
            if rule is not None:
                text = text.replace(f"`{name}`", f"`{rule.id}` at {rule.where}")
        ids = tuple(sorted(rule.id for rule in failed))
        return Decision(allowed=False, policies=ids, error=True, reason=f"Denied: {text}.")

    def _hindered(self) -> list[Problem]:
        """Say where the loop could not go back to the baseline: such policies are not taken."""
        actions: tuple[Action, ...] = ("roll_back", "kill", "stop", "pause")
        found = []
        for action, environment, bad in product(actions, ("dev", "staging", "production"), (False, True)):
            facts = Facts(environment=environment, degraded=bad, halted=bad, running=not bad, within_caps=not bad)
            target = Target(id="routing", kind="routing", surface="gateway", protected=bad, destructive=bad)
            answer = self._asked(Request(actor=LOOP, action=action, target=target, facts=facts).plain())
            if not answer.allowed:
                names = {rule.id: rule.where for rule in self.rules}
                where = names[answer.policies[0]] if answer.policies else "loop.policies"
                found.append(
                    Problem(
                        where,
                        f"The loop itself could not {action.replace('_', ' ')} in {environment}: {answer.reason}",
                        "Leave it that: forbid it to others, or permit it to System.",
                    )
                )
        return list({problem.where: problem for problem in reversed(found)}.values())
