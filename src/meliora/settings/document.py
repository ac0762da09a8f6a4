"""The reference of all settings and a commented example file, both written from the models. Writes no file itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from meliora.settings.shapes import BARE_NAMES, Setting, Shape, shape, walk

_MARK = "<!-- Written by `meliora config document --write`; change src/meliora/settings/models.py instead. -->"

_HEAD = f"""# Configuration

{_MARK}

Everything has a default: with no file and no variable, `make up` serves the simulated provider on port 8700.

- **File.** `meliora.toml` in the working directory, or the file that `--config FILE` or `MELIORA_CONFIG` names.
  [meliora.example.toml](meliora.example.toml) has every setting with its default, commented out.
- **Variables.** `MELIORA_SECTION__NAME` goes over the file: two underscores between the steps, e.g. `MELIORA_SERVER__PORT=8800`.
  Names of providers and models are matched whatever their case, and `_` stands for any sign a variable cannot hold.
  Lists and tables are written as JSON or TOML. An empty variable of a setting that is not text counts as not set.
- **The documents' bare names** (below) count where neither of the two says anything.
- **Secrets** are references: `env:NAME` reads a variable, `file:PATH` a file. A key written out is refused, and never shown.
- Relative paths start at the working directory.

`meliora config check` says all that is wrong at once: where, what, and what to write. `meliora config show` prints what is
in force. `meliora reload` (or SIGHUP) reads everything again without dropping a call; the `server` and `store` sections
need a restart.
"""


def reference() -> str:
    """Give docs/configuration.md."""
    parts = [_HEAD]
    settings = list(walk())
    parts.extend(_section(section, settings) for section in _sections(settings))
    rows = [f"| `{bare}` | `{'.'.join(path)}` |" for bare, path in BARE_NAMES.items()]
    parts.append("\n".join(["## Bare names", "", "| variable | setting |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


def _sections(settings: list[Setting]) -> Iterator[tuple[str, ...]]:
    """Give the path of each section, in order; the tables at the top that are no sections come last."""
    seen = dict.fromkeys(setting.path[:-1] for setting in settings if len(setting.path) > 1)
    yield from seen
    yield ()


def _section(path: tuple[str, ...], settings: list[Setting]) -> str:
    members = [s for s in settings if s.path[:-1] == path and _inner(s) is None]
    if not members:
        return ""
    lines = [f"## {_title(path)}", ""]
    model = _model(path, settings)
    if model is not None and model.__doc__:
        lines += [" ".join(model.__doc__.split()), ""]
    lines += ["| setting | type | default | meaning |", "|---|---|---|---|"]
    lines += [_row(setting) for setting in members]
    example = next((s.variable for s in members if s.variable), "")
    if example:
        stem = example.rpartition("__")[0]
        lines += ["", f"As variables: `{stem}__...`, e.g. `{example}`." if stem else f"As a variable: `{example}`."]
    return "\n".join([*lines, ""])


def _title(path: tuple[str, ...]) -> str:
    if not path:
        return "Tables at the top"
    if path[-1] == "N":
        return f"`[[{'.'.join(path[:-1])}]]`"
    return f"`[{'.'.join(path)}]`"


def _inner(setting: Setting) -> type[BaseModel] | None:
    """Give the model of what a setting holds, where that has a section of its own."""
    found = setting.shape
    if found.kind in ("table", "list"):
        found = shape(found.inner)
    return found.inner if found.kind == "section" else None


def _model(path: tuple[str, ...], settings: list[Setting]) -> type[BaseModel] | None:
    owner = path[:-1] if path and path[-1] in ("N", "NAME") else path
    return next((_inner(s) for s in settings if s.path == owner), None)


def _row(setting: Setting) -> str:
    meaning = (setting.field.description or "").replace("|", "\\|")
    return f"| `{setting.path[-1]}` | {_type(setting)} | {_default(setting)} | {meaning} |"


def _type(setting: Setting) -> str:
    text = _kind(setting.field.annotation, setting.shape)
    limits = [_limit(one) for one in setting.field.metadata]
    known = [limit for limit in limits if limit]
    return f"{text}, {' and '.join(known)}" if known else text


def _kind(annotation: Any, kind: Shape) -> str:
    if kind.kind == "table":
        return "table of texts" if shape(kind.inner).kind == "text" else "table"
    if kind.kind == "list":
        return (
            "list of texts" if shape(kind.inner).kind == "text" else f"list of {_kind(kind.inner, shape(kind.inner))}"
        )
    if kind.kind == "text":
        return "text"
    options = [a for a in get_args(annotation) if a is not type(None)]
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if options and get_origin(annotation) is not dict:
        whole = get_origin(annotation) in (Union, type(int | str))
        return _kind(options[0], shape(options[0])) if whole or len(options) == 1 else _kind(options[0], Shape("value"))
    names = {int: "whole number", float: "number", bool: "`true` or `false`", Path: "path", str: "text"}
    return names.get(annotation, "value")


def _limit(constraint: Any) -> str:
    match constraint:
        case Ge(ge=value):
            return f"at least {value}"
        case Gt(gt=value):
            return f"more than {value}"
        case Le(le=value):
            return f"at most {value}"
        case Lt(lt=value):
            return f"less than {value}"
        case MinLen(min_length=value):
            return "not empty" if value == 1 else f"at least {value} characters"
        case _ if hasattr(constraint, "__metadata__") or type(constraint).__name__ == "FieldInfo":
            return " and ".join(filter(None, (_limit(one) for one in constraint.metadata)))
        case _:
            return ""


def _default(setting: Setting) -> str:
    if setting.field.is_required():
        return "needed"
    value = setting.field.get_default(call_default_factory=True)
    if value in (None, ""):
        return "empty"
    return f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    """Write a default as TOML; the defaults are texts, numbers, truths, paths, and empty lists and tables."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Path):
        return json.dumps(str(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


_NAMES = {"providers": "openai", "models": "gpt-5"}
_EXAMPLES = {
    "base_url": '"https://api.openai.com/v1"',
    "api_key": '"env:OPENAI_API_KEY"',
    "providers.NAME.models": '["gpt-5"]',
    "provider": '"openai"',
    "context_window": "400000",
    "max_output": "128000",
    "price.input": "1.25",
    "price.output": "10.0",
    "capabilities": '["tools", "vision", "json_schema", "reasoning"]',
    "scorers.N.name": '"no-apology"',
    "scorers.N.pattern": '"(?i)as an ai"',
    "loop.gates.N.name": '"errors"',
    "loop.gates.N.metric": '"error_rate"',
    "loop.gates.N.threshold": "0.01",
    "loop.triggers.N.name": '"errors"',
    "loop.triggers.N.gate": '"errors"',
    "loop.triggers.N.kinds": '["routing_policy", "routing_rule"]',
    "pattern": '"(?i)translate|traduire"',
    "preferred_model": '"gpt-5"',
}
"""What stands in the example where a default would say nothing, by the end of the setting's name."""


def example() -> str:
    """Give a meliora.toml in which every setting stands with its default, commented out."""
    lines = [
        "# Every setting of Meliora with its default, commented out: remove the `#` of a line to change it.",
        "# Written by `meliora config document --write`. docs/configuration.md says more.",
    ]
    settings = list(walk())
    top = [s for s in settings if len(s.path) == 1 and _inner(s) is None]
    for section in _sections(settings):
        members = top if not section else [s for s in settings if s.path[:-1] == section and _inner(s) is None]
        for setting in top if not section else ():
            lines += ["", f"# {setting.field.description}", f"#[{setting.path[0]}]"]
        if not section or not members:
            continue
        lines += ["", f"#{_example_title(section)}"]
        for setting in members:
            lines += [f"# {setting.field.description}", f"#{setting.path[-1]} = {_example(setting)}"]
    return "\n".join([*lines, ""])


def _example_title(path: tuple[str, ...]) -> str:
    parts = [_NAMES.get(path[i - 1], "name") if part == "NAME" else part for i, part in enumerate(path)]
    named = [f'"{part}"' if "." in part else part for part in parts if part != "N"]
    return f"[[{'.'.join(named)}]]" if "N" in path else f"[{'.'.join(named)}]"


def _example(setting: Setting) -> str:
    for name, text in _EXAMPLES.items():
        if f".{setting.name}".endswith(f".{name}"):
            return text
    default = setting.field.default
    if default is PydanticUndefined and not setting.field.is_required():
        default = setting.field.get_default(call_default_factory=True)
    if default is not PydanticUndefined and default is not None:
        return "{}" if default == {} else _toml(default)
    kinds = {"whole number": "1000", "number": "1.0", "text": '""', "list of texts": "[]"}
    text = _kind(setting.field.annotation, setting.shape)
    if text.startswith("`"):
        return json.dumps(text.split("`")[1])
    return kinds.get(text, "[]" if text.startswith("list") else '""')
