"""The settings seen as a tree of names: what is a section, a table, a list or a single value, and what it is called where.

Reads the models only; knows no file and no environment.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from meliora.settings.models import Settings

Path = tuple[str | int, ...]
"""Where a setting stands in the tree: `("providers", "openai", "base_url")`, `("rules", 0, "pattern")`."""

PREFIX = "MELIORA_"

BARE_NAMES: dict[str, tuple[str, str]] = {
    "ENABLE_LEARNING": ("learning", "enabled"),
    "LEARNING_RATE": ("learning", "rate"),
    "EXPLORATION_RATE": ("learning", "exploration"),
    "RESPONSE_TIME_THRESHOLD_MS": ("thresholds", "response_time_ms"),
    "MEMORY_WARNING_THRESHOLD_MB": ("thresholds", "memory_warning_mb"),
    "ERROR_RATE_THRESHOLD": ("thresholds", "error_rate"),
    "ENABLE_AUTO_IMPROVEMENTS": ("improvements", "automatic"),
    "IMPROVEMENT_CONFIDENCE_THRESHOLD": ("improvements", "confidence_threshold"),
    "MONITORING_DURATION_SECONDS": ("improvements", "monitoring_seconds"),
    "ENABLE_AUTO_ROLLBACK": ("improvements", "auto_rollback"),
    "ROLLBACK_ERROR_THRESHOLD": ("improvements", "rollback_error_threshold"),
}
"""Names from before `MELIORA_*`; they count where neither that nor the file says otherwise."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What may stand at a place. `inner` is the model of a section, or the annotation of what a table or list holds."""

    kind: Literal["section", "table", "list", "text", "value"]
    inner: Any = None


def shape(annotation: Any) -> Shape:
    """Say what an annotation of the models asks for."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return shape(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        options = [a for a in get_args(annotation) if a is not type(None)]
        return shape(options[0]) if len(options) == 1 else Shape("value")
    if origin is dict:
        return Shape("table", get_args(annotation)[1])
    if origin in (list, tuple):
        return Shape("list", get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Shape("section", annotation)
    return Shape("text") if annotation is str else Shape("value")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, for the documentation and for guessing what was meant. `NAME` and `N` stand for a name and a number."""

    path: tuple[str, ...]
    field: FieldInfo
    shape: Shape

    @property
    def name(self) -> str:
        """The dotted name."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The environment variable; empty where there is none (an element of a list)."""
        return "" if "N" in self.path else PREFIX + "__".join(part.upper() for part in self.path)


def walk(model: type[BaseModel] = Settings, prefix: tuple[str, ...] = ()) -> Iterator[Setting]:
    """Give every setting in the order of the models; sections come before what is in them."""
    for name, field in model.model_fields.items():
        found = shape(field.annotation)
        path = (*prefix, name)
        yield Setting(path, field, found)
        inner, step = found, path
        if found.kind in ("table", "list"):
            inner = shape(found.inner)
            step = (*path, "NAME" if found.kind == "table" else "N")
        if inner.kind == "section":
            yield from walk(inner.inner, step)


def dotted(path: Path) -> str:
    """Write a path the way people do: `rules[0].pattern`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
