"""The environment as settings: `MELIORA_SECTION__NAME`, and the documents' bare names. Never shows a value."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from meliora.errors import Problem
from meliora.settings.models import Settings
from meliora.settings.shapes import BARE_NAMES, PREFIX, Path, Shape, shape, walk

RESERVED = frozenset({"MELIORA_CONFIG"})
"""Variables that are not settings."""

_INJECTED = re.compile(r"^MELIORA(_[A-Z0-9]+)*_(SERVICE_(HOST|PORT)|PORT)(_.*)?$")


@dataclass(slots=True)
class Layer:
    """What the environment says: a tree of values, and the variable of each place in it."""

    data: dict[str, Any] = field(default_factory=dict)
    variables: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def put(self, path: tuple[str, ...], value: Any, variable: str) -> None:
        """Set a value; a table set by one variable and a part of it by another are merged."""
        step = self.data
        for part in path[:-1]:
            step = step.setdefault(part, {})
        merge(step, {path[-1]: value})
        self.variables[path] = variable


def merge(below: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one tree over another, in place; tables are merged, anything else is replaced."""
    for name, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(name), dict):
            merge(below[name], value)
        else:
            below[name] = value
    return below


def bare_layer(environ: Mapping[str, str]) -> Layer:
    """Read the documents' bare names (`LEARNING_RATE`, ...). An empty one is not set."""
    layer = Layer()
    for name, path in BARE_NAMES.items():
        value = environ.get(name, "").strip()
        if value:
            layer.put(path, value, name)
    return layer


def prefixed_layer(environ: Mapping[str, str], existing: Mapping[str, Any]) -> Layer:
    """Read `MELIORA_*`. Names of providers and models are matched with those of `existing` whatever their case and dashes.

    An empty variable of a setting that is not text is not set. Names that container platforms inject are passed over.
    """
    layer = Layer()
    for variable in sorted(v for v in environ if v.upper().startswith(PREFIX)):
        name = variable.upper()
        if name in RESERVED or name.startswith("MELIORA_TEST_"):
            continue
        path = tuple(part.lower() for part in name[len(PREFIX) :].split("__"))
        found = _resolve(path, existing, layer.data)
        if found is None:
            problem = _unknown(variable, environ[variable])
            layer.problems.extend([problem] if problem else [])
            continue
        exact, kind = found
        value = environ[variable]
        if kind.kind != "text" and not value.strip():
            continue
        try:
            layer.put(exact, _parse(value, kind), variable)
        except ValueError:
            what = "list" if kind.kind == "list" else "table"
            example = '["a", "b"]' if kind.kind == "list" else '{"name": "value"}'
            layer.problems.append(Problem(variable, f"is not a {what}.", f"Write it as JSON, e.g. {example}."))
    return layer


def _resolve(path: tuple[str, ...], *trees: Mapping[str, Any]) -> tuple[tuple[str, ...], Shape] | None:
    """Find the setting a path means, with the names spelled as they are in the trees. None where there is none."""
    here = Shape("section", Settings)
    exact: list[str] = []
    nodes: list[Any] = list(trees)
    for part in path:
        if not part:
            return None
        if here.kind == "section":
            info = here.inner.model_fields.get(part)
            if info is None:
                return None
            here, name = shape(info.annotation), part
        elif here.kind == "table":
            names = [n for node in nodes if isinstance(node, Mapping) for n in node]
            name = next((n for n in names if _flat(n) == _flat(part)), part)
            here = shape(here.inner)
        else:
            return None
        exact.append(name)
        nodes = [node.get(name) for node in nodes if isinstance(node, Mapping)]
    return tuple(exact), here


def _flat(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "_", name.lower())


def _parse(value: str, kind: Shape) -> Any:
    """Read a list, table or section as JSON or as a TOML value; anything else stays text for the models to read."""
    if kind.kind == "text":
        return value
    if kind.kind == "value":
        return value.strip()
    try:
        parsed = json.loads(value)
    except ValueError:
        tree = tomllib.loads(f"x = {value.strip()}")
        if len(tree) != 1:
            raise ValueError("more than one value") from None
        parsed = tree["x"]
    if not isinstance(parsed, list if kind.kind == "list" else dict):
        raise ValueError("another kind of value")
    return parsed


def _unknown(variable: str, value: str) -> Problem | None:
    if _INJECTED.match(variable) and ("://" in value or "SERVICE" in variable):
        return None
    known = {s.variable for s in walk() if s.variable}
    name = variable.upper()
    flat = {k.replace("__", "_"): k for k in known}
    squeezed = re.sub("_+", "_", name)
    if squeezed in flat:
        return Problem(variable, "is not a setting.", f"Write {flat[squeezed]}, with two underscores.")
    bare = [k for k in known if k.endswith("__" + name[len(PREFIX) :])]
    if len(bare) == 1:
        return Problem(variable, "is not a setting.", f"Did you mean {bare[0]}?")
    close = difflib.get_close_matches(squeezed, flat, 1, 0.75)
    if close:
        return Problem(variable, "is not a setting.", f"Did you mean {flat[close[0]]}?")
    if "__" in variable:
        return Problem(variable, "is not a setting.", "See docs/configuration.md for those there are.")
    return Problem(variable, "is not a setting and is passed over.", "Remove it, or write SECTION__NAME.", "warning")
