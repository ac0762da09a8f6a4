"""A valid instance of a JSON schema, always the same one for the same schema and hints.

Reads `type`, `enum`, `const`, `properties`, `required`, `items`, `prefixItems`, `anyOf`, `oneOf`, `allOf`, `$ref`,
bounds, lengths, `format` and `pattern` (RE2). Overlooks `not`, `if`, `dependentSchemas`; fetches no reference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import re2

DEEPEST = 8
"""Levels after which optional properties are left out and the shortest alternative is taken, so that recursion ends."""
MANY = 500
"""Values after which the same is done, so that a wide recursion ends too; at twenty times as many, all else is null."""

_FORMATS = {
    "date": "2025-01-31",
    "date-time": "2025-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "email": "simulated@example.com",
    "hostname": "simulated.example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/simulated",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_ATOMS = ("simulated", "Simulated", "s", "a", "A", "1", "0", "ab", "AB", "a1", "A1", "a-1", "abc-123", "ABC-123", "A-1")
_SHAPES = (
    "2025-01-31",
    "12:00",
    "1.0",
    "1.0.0",
    "+10000000000",
    "simulated@example.com",
    "https://example.com/",
    "#a1b2c3",
    "",
)


def instance(schema: Any, hints: Mapping[str, Any] | None = None) -> Any:
    """Give a value that the schema accepts. `hints`: values wished for by property name, used where valid."""
    return _Maker(schema if isinstance(schema, dict) else {}, hints or {}).value(schema, "", 0)


class _Maker:
    """Holds the root, which references are resolved against."""

    def __init__(self, root: dict[str, Any], hints: Mapping[str, Any]) -> None:
        self._root = root
        self._hints = hints
        self._made = 0

    def value(self, schema: Any, name: str, depth: int) -> Any:
        self._made += 1
        if not isinstance(schema, dict) or depth > 4 * DEEPEST or self._made > 20 * MANY:
            return None
        if self._made > MANY:
            depth = max(depth, DEEPEST)
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return schema["enum"][0]
        for word in ("anyOf", "oneOf"):
            if isinstance(schema.get(word), list) and schema[word]:
                return self._either(schema, word, name, depth)
        kind = _kind(schema, depth)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        hint = self._hints.get(name)
        if kind == "string":
            return hint if isinstance(hint, str) and _is_free(schema) else _string(schema)
        if kind in ("integer", "number"):
            return _number(schema, kind == "integer", hint)
        return False if kind == "boolean" else None

    def _resolved(self, schema: dict[str, Any], level: int = 0) -> dict[str, Any]:
        """Follow `$ref` and fold `allOf` in. A reference that leads nowhere, or in a circle, accepts anything."""
        for _ in range(16):
            reference = schema.get("$ref")
            if not isinstance(reference, str):
                break
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**self._target(reference), **rest}
        parts = schema.get("allOf")
        if not isinstance(parts, list) or level > DEEPEST:
            return schema
        merged = {key: value for key, value in schema.items() if key != "allOf"}
        for part in parts[:MANY]:
            if isinstance(part, dict):
                merged = _merge(merged, self._resolved(part, 2 * level + 1))
        return merged

    def _target(self, reference: str) -> dict[str, Any]:
        found: Any = self._root
        for step in reference.removeprefix("#").strip("/").split("/") if reference != "#" else ():
            step = step.replace("~1", "/").replace("~0", "~")
            found = found.get(step) if isinstance(found, dict) else None
        return found if isinstance(found, dict) and found is not None else {}

    def _either(self, schema: dict[str, Any], word: str, name: str, depth: int) -> Any:
        """Take the first alternative; deep down the simplest, which ends a recursion."""
        options = [option for option in schema[word] if isinstance(option, dict)] or [{}]
        base = {key: value for key, value in schema.items() if key not in (word, "$defs", "definitions")}
        if depth >= DEEPEST:
            options.sort(key=lambda option: _weight(self._resolved(option)))
        return self.value(_merge(base, self._resolved(options[0])), name, depth + 1)

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        required = [key for key in schema.get("required") or () if isinstance(key, str)]
        names = required if depth >= DEEPEST else list(dict.fromkeys([*properties, *required]))
        names = [key for key in names if properties.get(key) is not False]
        made = {key: self.value(properties.get(key, {}), key, depth + 1) for key in names}
        extra = schema.get("additionalProperties")
        for i in range(max(_whole(schema.get("minProperties")) - len(made), 0)):
            made[f"simulated_{i}"] = self.value(extra, "", depth + 1) if isinstance(extra, dict) else None
        return made

    def _array(self, schema: dict[str, Any], name: str, depth: int) -> list[Any]:
        first = schema.get("prefixItems")
        made = [self.value(part, name, depth + 1) for part in first] if isinstance(first, list) else []
        least = _whole(schema.get("minItems"))
        wanted = least if depth >= DEEPEST else max(least, 1)
        if "maxItems" in schema:
            wanted = min(wanted, _whole(schema["maxItems"]))
        items = schema.get("items", {})
        if items is False:
            return made
        while len(made) < min(wanted, 1000):
            made.append(self.value(items, name, depth + 1))
        return _distinct(made, self._resolved(items)) if schema.get("uniqueItems") and isinstance(items, dict) else made


def _merge(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    merged = {**left, **right}
    for key in ("properties", "$defs"):
        if isinstance(left.get(key), dict) and isinstance(right.get(key), dict):
            merged[key] = {**left[key], **right[key]}
    if isinstance(left.get("required"), list) and isinstance(right.get("required"), list):
        merged["required"] = list(dict.fromkeys([*left["required"], *right["required"]]))
    return merged


def _kind(schema: dict[str, Any], depth: int) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kinds = [each for each in kind if isinstance(each, str)]
        if depth >= DEEPEST and "null" in kinds:
            return "null"
        kind = next((each for each in kinds if each != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in schema or "required" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "string"


def _weight(schema: dict[str, Any]) -> int:
    """How far an alternative is from ending a recursion."""
    if schema.get("type") == "null" or "const" in schema or "enum" in schema:
        return 0
    return {"array": 2, "object": 3}.get(_kind(schema, 0), 1)


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, (int, float)) and value == value and 0 <= value < 1e9 else 0


def _is_free(schema: dict[str, Any]) -> bool:
    return not any(word in schema for word in ("pattern", "format", "minLength", "maxLength"))


def _string(schema: dict[str, Any]) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    least = _whole(schema.get("minLength"))
    most = _whole(schema["maxLength"]) if "maxLength" in schema else None
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        return _matching(pattern, least, most)
    return ("simulated" * (least // 9 + 1))[: max(least, 9)][:most]


def _matching(pattern: str, least: int, most: int | None) -> str:
    """Give the first of some common shapes that the pattern accepts; `simulated` where none does or RE2 refuses it."""
    try:
        compiled = re2.compile(pattern)
    except re2.error:
        return "simulated"
    runs = (atom * length for length in range(1, 41) for atom in ("a", "A", "1"))
    for text in (*_ATOMS, *_SHAPES, *_FORMATS.values(), *runs):
        if least <= len(text) and (most is None or len(text) <= most) and compiled.search(text):
            return text
    return "simulated"


def _number(schema: dict[str, Any], whole: bool, hint: Any) -> int | float:
    bounds = [schema.get(word) for word in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf")]
    low, above, high, below, step = (
        bound if isinstance(bound, (int, float)) and not isinstance(bound, bool) else None for bound in bounds
    )
    free = all(bound is None for bound in (low, above, high, below, step))
    if free and isinstance(hint, (int, float)) and not isinstance(hint, bool) and (isinstance(hint, int) or not whole):
        return hint
    unit = abs(step) if step else 1
    value = 1 if step is None else unit
    if low is not None or above is not None:
        least = max(bound for bound in (low, above) if bound is not None)
        value = math.ceil(least / unit) * unit
        if above is not None and value <= above:
            value += unit
    most = [bound for bound in (high, below) if bound is not None]
    if most and (value > min(most) or (below is not None and value >= below)):
        value = _under(low, above, min(most), below, unit, step is None and not whole)
    return int(value) if whole or value == int(value) else value


def _under(low: float | None, above: float | None, most: float, below: float | None, unit: float, dense: bool) -> float:
    """Give a value below the upper bound; between both bounds where no multiple of the unit fits in."""
    floor = max((bound for bound in (low, above) if bound is not None), default=None)
    if dense and floor is not None:
        return low if low is not None and low == floor else (floor + most) / 2
    value = math.floor(most / unit) * unit
    return value - unit if below is not None and value >= below else value


def _distinct(made: list[Any], items: dict[str, Any]) -> list[Any]:
    """Tell equal items apart: by the enum's order, or by counting on."""
    choices = items.get("enum")
    if isinstance(choices, list):
        return choices[: len(made)]
    seen: list[Any] = []
    for index, value in enumerate(made):
        if index and isinstance(value, str) and _is_free(items):
            value = f"{value} {index + 1}"
        elif index and isinstance(value, (int, float)) and not isinstance(value, bool):
            value = value + index * (items.get("multipleOf") or 1)
        seen.append(value)
    return seen
