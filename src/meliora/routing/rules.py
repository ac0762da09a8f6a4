"""Routing rules that people wrote: linear-time patterns (RE2), searched all at once.

Refuses what RE2 does not have (look-around, backreferences) and what would take too much memory, and says which rule it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import re2

from meliora.errors import InvalidRequest
from meliora.gateway.state import RuleState

ALL_TENANTS = "*"
"""Tenant of the rules that hold for every one."""

Kind = Literal["auto", "named"]
"""Whether a call leaves the choice to Meliora, or names a model."""

PATTERN_CHARS = 2000
"""Longest pattern."""
PATTERN_MEMORY = 1 << 20
"""Bytes that one compiled pattern may take."""
SET_MEMORY = 16 << 20
"""Bytes that all patterns of one tenant may take, with what the search remembers."""
SEARCHED = 256 * 1024
"""Characters that are searched; of a longer text the first and the last half of that."""

_MISSING = (
    ("(?=", "look-ahead"),
    ("(?!", "look-ahead"),
    ("(?<=", "look-behind"),
    ("(?<!", "look-behind"),
    ("(?>", "atomic groups"),
    ("(?#", "comments"),
    ("(?(", "conditions"),
    ("(?P=", "backreferences"),
    ("(?P>", "recursion"),
    ("(?R", "recursion"),
    ("(?|", "branch resets"),
    ("(?&", "recursion"),
)


def validate_pattern(pattern: str, rule_id: str = "") -> None:
    """Check a rule's pattern. Raises `InvalidRequest` that names the rule and says what is wrong with it."""
    named = f"Rule {rule_id}: " if rule_id else ""
    if len(pattern) > PATTERN_CHARS:
        raise InvalidRequest(
            f"{named}the pattern has {len(pattern)} characters; {PATTERN_CHARS} are allowed.",
            hint="Make several rules of it.",
            field="pattern",
        )
    try:
        re2._Regexp(pattern, _options(PATTERN_MEMORY))  # past the module's cache, which would keep what users send
    except (re2.error, UnicodeEncodeError) as error:
        what, hint = _explain(pattern, error)
        raise InvalidRequest(f"{named}the pattern {pattern[:80]!r} {what}.", hint=hint, field="pattern") from error


def _explain(pattern: str, error: Exception) -> tuple[str, str]:
    raw = error.args[0] if isinstance(error, re2.error) and error.args else str(error)
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    linear = "RE2 runs in linear time and therefore does not have them; write the rule without."
    if "invalid perl operator" in text:
        for token, name in _MISSING:
            if token in pattern:
                return f"uses {name} ({token})", linear
    if "invalid escape sequence" in text and (digit := text.rpartition("\\")[2][:1]):
        if digit.isdigit():
            return f"uses a backreference (\\{digit})", linear
        if digit == "Z":
            return "uses \\Z", "Write \\z for the end of the text."
    if text.endswith((": ++", ": *+", ": ?+")):
        return "uses possessive repetition", linear
    if "too large" in text or "repetition size" in text:
        return f"is too large: {text}", "A repetition goes up to 1000, and nested ones multiply; use * or + instead."
    return f"cannot be read: {text}", "See https://github.com/google/re2/wiki/Syntax."


def _options(max_mem: int) -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = max_mem
    return options


class RuleSet:
    """The rules of all tenants. By priority, highest first, then by id: the first that matches counts.

    Rules of the tenant `*` hold for every tenant, in one order with its own.

    Raises `InvalidRequest` for the first bad rule; with `strict=False` bad rules are left out and kept in `refused`, so that one
    of them cannot take the others down.
    """

    __slots__ = ("_sets", "_tenants", "refused")

    def __init__(self, rules: Iterable[RuleState] = (), *, strict: bool = True) -> None:
        refused: list[tuple[str, str]] = []
        usable: list[RuleState] = []
        groups: dict[tuple[str, Kind], list[RuleState]] = {}
        for rule in sorted(rules, key=lambda rule: (-rule.priority, rule.id)):
            try:
                validate_pattern(rule.pattern, rule.id)
            except InvalidRequest as error:
                if strict:
                    raise
                refused.append((rule.id, str(error)))
                continue
            usable.append(rule)
        self._tenants = tenants = frozenset(rule.tenant for rule in usable)
        for rule in usable:
            kinds: tuple[Kind, ...] = ("auto", "named") if rule.applies_to == "all" else ("auto",)
            for tenant in tenants if rule.tenant == ALL_TENANTS else (rule.tenant,):
                for kind in kinds:
                    groups.setdefault((tenant, kind), []).append(rule)
        self._sets: dict[tuple[str, Kind], tuple[re2.Set, tuple[RuleState, ...]]] = {}
        for group, members in groups.items():
            try:
                self._sets[group] = (_compile(members), tuple(members))
            except re2.error as error:
                message = (
                    f"The {len(members)} rules of tenant {group[0]} take more than {SET_MEMORY >> 20} MB together."
                )
                if strict:
                    raise InvalidRequest(message, hint="Simplify or deactivate some.", field="pattern") from error
                refused.extend((rule.id, message) for rule in members)
        self.refused: tuple[tuple[str, str], ...] = tuple(refused)
        """Id and error of the rules that were left out."""

    def match(self, tenant: str, text: str, kind: Kind) -> RuleState | None:
        """Give the first rule of the tenant that matches the text; a call that names a model meets only rules for all calls."""
        found = self._sets.get((tenant if tenant in self._tenants else ALL_TENANTS, kind))
        if found is None:
            return None
        if len(text) > SEARCHED:
            text = f"{text[: SEARCHED // 2]}\n{text[-SEARCHED // 2 :]}"
        patterns, rules = found
        hits = patterns.Match(text.encode("utf-8", "replace"))
        return rules[min(hits)] if hits else None


def _compile(rules: Iterable[RuleState]) -> re2.Set:
    patterns = re2.Set.SearchSet(_options(SET_MEMORY))
    for rule in rules:
        patterns.Add(rule.pattern)
    patterns.Compile()
    return patterns
