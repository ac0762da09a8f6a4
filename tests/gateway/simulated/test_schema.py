"""Instances of JSON schemas are valid, held by an independent validator."""

from __future__ import annotations

import time
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.gateway.simulated.schema import instance

NODE = {
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
                "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            },
            "required": ["value", "next", "children"],
        }
    },
    "$ref": "#/$defs/Node",
}


def obj(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    "schema",
    [
        obj(kind={"enum": ["b", "a"]}, fixed={"const": 3}, flag={"type": "boolean"}, nothing={"type": "null"}),
        obj(a={"type": ["string", "null"]}, b={"anyOf": [{"type": "null"}, obj(c={"type": "number"})]}),
        obj(n={"type": "integer", "minimum": 5, "maximum": 5}, m={"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}),
        obj(n={"type": "integer", "multipleOf": 7, "minimum": 15}, m={"type": "integer", "maximum": -3}),
        obj(n={"type": "integer", "exclusiveMaximum": 0}, m={"type": "number", "minimum": 0.1, "maximum": 0.2}),
        obj(s={"type": "string", "minLength": 30}, t={"type": "string", "maxLength": 2}, u={"type": "string", "maxLength": 0}),
        obj(s={"type": "string", "pattern": "^[A-Z]{3}$"}, t={"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}),
        obj(s={"type": "string", "pattern": "^[0-9]{5}$"}, t={"type": "string", "format": "email"}),
        *({"type": "string", "format": name} for name in ("date", "date-time", "time", "ipv4", "ipv6", "uuid", "uri")),
        obj(a={"type": "array", "items": {"type": "string"}, "minItems": 3, "uniqueItems": True}),
        obj(a={"type": "array", "items": {"type": "integer"}, "maxItems": 0}),
        obj(a={"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "minItems": 2}),
        obj(a={"type": "array", "items": {"enum": ["x", "y", "z"]}, "minItems": 2, "uniqueItems": True}),
        {"allOf": [obj(a={"type": "string"}) | {"additionalProperties": True}, {"required": ["b"], "properties": {"b": {"const": 1}}}]},
        {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2},
        {"oneOf": [obj(kind={"const": "cat"}), obj(kind={"const": "dog"})]},
        {"$defs": {"a/b": {"type": "string"}}, **obj(x={"$ref": "#/$defs/a~1b"})},
        NODE,
        {},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_made_is_valid(schema: dict[str, Any]) -> None:
    made = instance(schema)
    jsonschema_rs.validator_for(schema, validate_formats=True).validate(made)
    assert made == instance(schema)


_leaf = st.one_of(
    st.just({"type": "boolean"}),
    st.builds(lambda low, span: {"type": "integer", "minimum": low, "maximum": low + span}, st.integers(-99, 99), st.integers(0, 9)),
    st.builds(lambda low, span: {"type": "number", "minimum": low, "maximum": low + span}, st.floats(-9, 9), st.floats(0, 3)),
    st.builds(lambda low, span: {"type": "string", "minLength": low, "maxLength": low + span}, st.integers(0, 40), st.integers(0, 9)),
    st.builds(lambda values: {"enum": values}, st.lists(st.text(max_size=3), min_size=1, max_size=3)),
)  # fmt: skip
_schema = st.recursive(
    _leaf,
    lambda inner: st.one_of(
        st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3).map(lambda fields: obj(**fields)),
        st.builds(lambda items, least: {"type": "array", "items": items, "minItems": least}, inner, st.integers(0, 3)),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
    ),
    max_leaves=10,
)


@given(_schema)
@settings(max_examples=200, deadline=None)
def test_any_schema_of_the_usual_words_gets_a_valid_instance(schema: dict[str, Any]) -> None:
    jsonschema_rs.validate(schema, instance(schema))


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"type": "object", "properties": {f"p{i}": {"$ref": "#"} for i in range(30)}},
        {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]},
        {"type": "array", "minItems": 1000, "items": {"$ref": "#"}},
        {"type": "string", "pattern": "(a+)+$"},
        {"type": "string", "pattern": "(?<=x)y("},
        {"type": "integer", "minimum": 5, "maximum": 1},
        {"type": 7, "enum": [], "required": "no", "properties": [], "items": 3},
        {"$ref": "https://example.com/schema.json"},
    ],
    ids=str,
)
def test_a_schema_that_is_endless_or_makes_no_sense_ends_quickly(schema: dict[str, Any]) -> None:
    began = time.process_time()
    instance(schema)
    assert time.process_time() - began < 2


def test_hints_are_taken_where_they_are_valid() -> None:
    schema = obj(
        city={"type": "string"},
        answer={"type": "integer"},
        unit={"enum": ["c"]},
        code={"type": "string", "maxLength": 1},
    )
    made = instance(schema, {"city": "Oslo", "answer": 84, "unit": "f", "code": "long"})
    assert made == {"city": "Oslo", "answer": 84, "unit": "c", "code": "s"}
    assert instance(obj(answer={"type": "integer"}), {"answer": "many"}) == {"answer": 1}
