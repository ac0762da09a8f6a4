"""Which documents a search may give: conditions on metadata, all of which must hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from meliora.errors import InvalidRequest
from meliora.knowledge.documents import Scalar

Test = Literal["in", "gt", "gte", "lt", "lte"]
OWN = ("id", "source", "category", "language", "user", "updated_us")
"""Fields that every document has, besides its metadata."""
MOST = 32
"""Conditions of one filter, and values of one condition times 32."""


class Condition(msgspec.Struct, frozen=True):
    """A test of one field. A field with several values passes if one of them does."""

    field: str
    test: Test
    values: tuple[Scalar, ...]


class Filter(msgspec.Struct, frozen=True):
    """Conditions that must all hold."""

    conditions: tuple[Condition, ...]


def read_filter(said: Mapping[str, Any] | None) -> Filter | None:
    """Read `{"field": value}`, `{"field": [one, of, these]}` and `{"field": {"gte": low, "lt": high}}`. Raises `InvalidRequest`.

    A bound may be a list of two, a number and a text: each value is held against the one of its kind.
    """
    if not said:
        return None
    conditions: list[Condition] = []
    for field, value in said.items():
        if isinstance(value, Mapping) and value:
            conditions.extend(_range(field, test, bound) for test, bound in value.items())
        else:
            conditions.append(Condition(field, "in", _values(field, value)))
    if len(conditions) > MOST:
        raise InvalidRequest(f"A filter has {len(conditions)} conditions; {MOST} are allowed.", field="filter")
    return Filter(tuple(conditions))


def _values(field: str, value: Any) -> tuple[Scalar, ...]:
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not values or len(values) > MOST * 32 or not all(isinstance(one, (str, int, float, bool)) for one in values):
        raise InvalidRequest(
            f"The filter on {field!r} is neither a value, nor a list of 1 to {MOST * 32} values, nor a range with a bound.",
            hint='Write {"field": "value"}, {"field": ["a", "b"]} or {"field": {"gte": 1, "lt": 5}}.',
            field=f"filter.{field}",
        )
    return values


def _range(field: str, test: Any, bound: Any) -> Condition:
    if test == "in":
        return Condition(field, "in", _values(field, bound))
    if test not in ("gt", "gte", "lt", "lte"):
        raise InvalidRequest(
            f"The filter on {field!r} has an unknown test {test!r}.",
            hint="There are: in, gt, gte, lt, lte.",
            field=f"filter.{field}",
        )
    bounds = tuple(bound) if isinstance(bound, (list, tuple)) else (bound,)
    if not 1 <= len(bounds) <= 2 or any(
        isinstance(one, bool) or not isinstance(one, (int, float, str)) for one in bounds
    ):
        raise InvalidRequest(f"The bound {test} on {field!r} is no number or text.", field=f"filter.{field}")
    return Condition(field, test, bounds)


def values_of(field: str, own: Mapping[str, Scalar], metadata: Mapping[str, Any]) -> tuple[Scalar, ...]:
    """Give the values that a document has in a field; its own fields come before metadata of the same name."""
    value = own[field] if field in own else metadata.get(field)
    return () if value is None else tuple(value) if isinstance(value, (list, tuple)) else (value,)


def passes(where: Filter, own: Mapping[str, Scalar], metadata: Mapping[str, Any]) -> bool:
    """Tell whether a document passes: all conditions, each by one of the values of its field."""
    return all(_passes(one, values_of(one.field, own, metadata)) for one in where.conditions)


def _passes(condition: Condition, values: tuple[Scalar, ...]) -> bool:
    if condition.test == "in":
        return any(_same(value, wanted) for value in values for wanted in condition.values)
    return any(_beside(value, condition.test, bound) for value in values for bound in condition.values)


def _same(value: Scalar, wanted: Scalar) -> bool:
    # True is no 1 here: who filters on a number does not mean a yes.
    return isinstance(value, bool) == isinstance(wanted, bool) and value == wanted


def _beside(value: Scalar, test: Test, bound: Scalar) -> bool:
    if isinstance(value, bool) or isinstance(value, str) != isinstance(bound, str):
        return False
    low, high = (bound, value) if test in ("gt", "gte") else (value, bound)
    return low < high or (test in ("gte", "lte") and low == high)  # pyright: ignore[reportOperatorIssue]
