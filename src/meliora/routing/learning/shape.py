"""Whether a value has the shape that a JSON schema describes: the keywords of draft 2020-12 that describe data, references within it.

Refuses a schema with a keyword that it does not know: what is not checked must not count as right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import re2

from meliora.errors import SettingsError

_DEEPEST = 64
_TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _number(value) and float(value).is_integer(),
    "number": lambda value: _number(value),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_SILENT = frozenset(
    ("$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "format")
)
"""Keywords that describe and do not check. `format` is one of them by the standard."""


class Shape:
    """A schema, looked over once. Raises `SettingsError` for what it cannot check."""

    def __init__(self, schema: Mapping[str, Any], where: str) -> None:
        self._root = schema
        self._where = where
        self._seen: set[int] = set()
        self._look(schema)

    def fits(self, value: Any) -> bool:
        """Say whether a value has the shape."""
        return self._fits(value, self._root, 0)

    def _look(self, schema: Any) -> None:
        if isinstance(schema, bool) or id(schema) in self._seen:
            return
        if not isinstance(schema, dict):
            raise self._wrong(f"holds {schema!r} where a schema belongs")
        self._seen.add(id(schema))
        for name, rule in schema.items():
            if name not in _SILENT and name not in _CHECKS and name != "$ref":
                raise self._wrong(f"uses the keyword {name!r}, which is not checked here")
            for inner in _inner(name, rule):
                self._look(inner)
        if "pattern" in schema:
            self._pattern(schema["pattern"])
        if "$ref" in schema:
            self._look(self._referred(schema["$ref"]))
        kinds = schema.get("type", [])
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            if kind not in _TYPES:
                raise self._wrong(f"names the type {kind!r}")

    def _fits(self, value: Any, schema: Any, depth: int) -> bool:
        if isinstance(schema, bool):
            return schema
        if depth > _DEEPEST:
            return False
        if "$ref" in schema and not self._fits(value, self._referred(schema["$ref"]), depth + 1):
            return False

        def fits(inner: Any, rule: Any) -> bool:
            return self._fits(inner, rule, depth + 1)

        return all(_CHECKS[name](value, rule, schema, fits) for name, rule in schema.items() if name in _CHECKS)

    def _referred(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise self._wrong(f"refers to {reference!r}; only references within it (`#/$defs/NAME`) are followed")
        found: Any = self._root
        for step in reference[1:].split("/")[1:]:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        if found is None:
            raise self._wrong(f"refers to {reference!r}, which is not in it")
        return found

    def _pattern(self, pattern: Any) -> None:
        try:
            re2.compile(pattern)
        except (re2.error, TypeError) as error:
            raise self._wrong(f"has the pattern {pattern!r}, which RE2 does not take") from error

    def _wrong(self, what: str) -> SettingsError:
        return SettingsError(f"The schema of {self._where} {what}.", hint="Change the schema.", field=self._where)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _inner(name: str, rule: Any) -> list[Any]:
    """Give the schemas within a keyword's value."""
    if name in ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"):
        return list(rule.values()) if isinstance(rule, dict) else [rule]
    if name in ("allOf", "anyOf", "oneOf", "prefixItems"):
        return rule if isinstance(rule, list) else [rule]
    return [rule] if name in ("items", "additionalProperties", "not", "contains", "propertyNames") else []


Fits = Callable[[Any, Any], bool]


def _type(value: Any, rule: Any, _: Any, __: Fits) -> bool:
    return any(_TYPES[kind](value) for kind in ([rule] if isinstance(rule, str) else rule))


def _same(one: Any, other: Any) -> bool:
    """Compare as JSON does: 1 is 1.0, and neither is true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    return one == other


def _properties(value: Any, rule: Any, _: Any, fits: Fits) -> bool:
    return not isinstance(value, dict) or all(fits(value[name], inner) for name, inner in rule.items() if name in value)


def _additional(value: Any, rule: Any, schema: Any, fits: Fits) -> bool:
    if not isinstance(value, dict):
        return True
    known = schema.get("properties", {})
    return all(fits(inner, rule) for name, inner in value.items() if name not in known)


def _items(value: Any, rule: Any, schema: Any, fits: Fits) -> bool:
    return not isinstance(value, list) or all(fits(one, rule) for one in value[len(schema.get("prefixItems", ())) :])


def _prefix(value: Any, rule: Any, _: Any, fits: Fits) -> bool:
    return not isinstance(value, list) or all(fits(one, inner) for one, inner in zip(value, rule, strict=False))


def _unique(value: Any, rule: Any, _: Any, __: Fits) -> bool:
    if not rule or not isinstance(value, list):
        return True
    return not any(_same(one, other) for place, one in enumerate(value) for other in value[:place])


def _multiple(value: Any, rule: Any, _: Any, __: Fits) -> bool:
    if not _number(value):
        return True
    share = value / rule
    return math.isfinite(share) and abs(share - round(share)) < 1e-9


def _bound(of: Callable[[Any], Any | None], holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any, Any, Fits], bool]:
    """Check a number got from the value against the keyword's; a value of another type passes."""

    def check(value: Any, rule: Any, _: Any, __: Fits) -> bool:
        found = of(value)
        return found is None or holds(found, rule)

    return check


def _own(value: Any) -> Any | None:
    return value if _number(value) else None


def _size(kind: type) -> Callable[[Any], int | None]:
    return lambda value: len(value) if isinstance(value, kind) else None


def _at_least(found: Any, rule: Any) -> bool:
    return found >= rule


def _at_most(found: Any, rule: Any) -> bool:
    return found <= rule


_CHECKS: dict[str, Callable[[Any, Any, Any, Fits], bool]] = {
    "type": _type,
    "enum": lambda value, rule, _, __: any(_same(value, one) for one in rule),
    "const": lambda value, rule, _, __: _same(value, rule),
    "properties": _properties,
    "required": lambda value, rule, _, __: not isinstance(value, dict) or all(name in value for name in rule),
    "additionalProperties": _additional,
    "propertyNames": lambda value, rule, _, fits: (
        not isinstance(value, dict) or all(fits(name, rule) for name in value)
    ),
    "minProperties": _bound(_size(dict), _at_least),
    "maxProperties": _bound(_size(dict), _at_most),
    "items": _items,
    "prefixItems": _prefix,
    "contains": lambda value, rule, _, fits: not isinstance(value, list) or any(fits(one, rule) for one in value),
    "minItems": _bound(_size(list), _at_least),
    "maxItems": _bound(_size(list), _at_most),
    "uniqueItems": _unique,
    "minLength": _bound(_size(str), _at_least),
    "maxLength": _bound(_size(str), _at_most),
    "pattern": lambda value, rule, _, __: not isinstance(value, str) or re2.search(rule, value) is not None,
    "minimum": _bound(_own, _at_least),
    "maximum": _bound(_own, _at_most),
    "exclusiveMinimum": _bound(_own, lambda found, rule: found > rule),
    "exclusiveMaximum": _bound(_own, lambda found, rule: found < rule),
    "multipleOf": _multiple,
    "allOf": lambda value, rule, _, fits: all(fits(value, one) for one in rule),
    "anyOf": lambda value, rule, _, fits: any(fits(value, one) for one in rule),
    "oneOf": lambda value, rule, _, fits: sum(fits(value, one) for one in rule) == 1,
    "not": lambda value, rule, _, fits: not fits(value, rule),
}
