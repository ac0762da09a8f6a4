"""Load the settings: `MELIORA_*` over `meliora.toml` over the documents' bare names, and say all that is wrong at once.

The only reader of the environment. Shows the value of a setting only where it is a plain choice or number.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any

from pydantic import ValidationError

from meliora.errors import Problem, SettingsError
from meliora.settings.checks import Complaint, complaints
from meliora.settings.environment import Layer, bare_layer, merge, prefixed_layer
from meliora.settings.models import Settings
from meliora.settings.places import lines_of, place
from meliora.settings.secret import looks_secret
from meliora.settings.shapes import Path, Shape, dotted, shape, walk

DEFAULT_FILE = "meliora.toml"
_OPEN = frozenset({"literal_error", "int_parsing", "float_parsing", "bool_parsing"})
"""Kinds of error that may show what was written, if it is short and has not the shape of a secret."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read: the settings (None where an error is among the problems), and the file, if there was one."""

    settings: Settings | None
    problems: tuple[Problem, ...]
    file: File | None

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep the settings from being used."""
        return tuple(p for p in self.problems if p.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that only deserve a look."""
        return tuple(p for p in self.problems if p.severity == "warning")


def load(path: str | File | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Give the settings. Raises `SettingsError` with every problem in it."""
    loaded = read(path, environ)
    if loaded.settings is None:
        raise as_error(loaded)
    return loaded.settings


def read(path: str | File | None = None, environ: Mapping[str, str] | None = None) -> Loaded:
    """Give the settings and all problems, errors and warnings, without raising.

    The file is `path`, or what MELIORA_CONFIG names, or `meliora.toml` in the working directory where there is one.
    """
    environ = os.environ if environ is None else environ
    named = path or environ.get("MELIORA_CONFIG") or ""
    file = File(named or DEFAULT_FILE)
    try:
        text = file.read_text(encoding="utf-8-sig") if named or file.exists() else None
        data = {} if text is None else tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return Loaded(None, (_unreadable(file, error),), file)
    lines = lines_of(text) if text is not None else {}
    bare, above = bare_layer(environ), prefixed_layer(environ, data)
    merged = merge(merge(bare.data, data), above.data)
    sources = _Sources(bare, str(file), lines, above)
    problems = [*above.problems, *_validated(merged, sources, environ)]
    settings = None if any(p.severity == "error" for p in problems) else Settings.model_validate(merged)
    return Loaded(settings, tuple(problems), None if text is None else file)


def as_error(loaded: Loaded) -> SettingsError:
    """Make one error of all that keeps the settings from being used."""
    errors = loaded.errors
    head = "One setting is wrong" if len(errors) == 1 else f"{len(errors)} settings are wrong"
    return SettingsError("\n".join([head + ":", *(f"  {problem}" for problem in errors)]), problems=loaded.problems)


@dataclass(frozen=True, slots=True)
class _Sources:
    """Who said what: knows the place of a setting."""

    bare: Layer
    file: str
    lines: dict[Path, int]
    above: Layer

    def where(self, path: Path) -> str:
        """Name the line or the variable that set a path, or the nearest thing above it."""
        depth, line = place(path, self.lines)
        for layer, floor in ((self.above, depth), (self.bare, depth + 1)):
            deepest = max((p for p in layer.variables if p == path[: len(p)]), key=len, default=())
            if deepest and len(deepest) >= floor:
                return layer.variables[deepest]
        return f"{self.file}:{line}" if line else self.file


def _unreadable(file: File, error: Exception) -> Problem:
    if isinstance(error, tomllib.TOMLDecodeError):
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        where = f"{file}:{found[1]}" if found else str(file)
        reason = str(error).partition(" (at ")[0]
        return Problem(where, f"is not TOML: {reason}.", 'Texts stand in quotes: name = "value".')
    if isinstance(error, OSError):
        return Problem(
            str(file), f"cannot be read: {error.strerror}.", "Check the path after --config or MELIORA_CONFIG."
        )
    return Problem(str(file), "is not UTF-8 text.", "Save it as UTF-8.")


def _validated(merged: dict[str, Any], sources: _Sources, environ: Mapping[str, str]) -> Iterator[Problem]:
    """Give what the models refuse, then, with that cut out, what does not hold together."""
    tree, refused, settings = _copy(merged), set[Path](), None
    while settings is None:
        try:
            settings = Settings.model_validate(tree)
        except ValidationError as error:
            details = error.errors(include_url=False)
            for detail in details:
                if detail["loc"] not in refused:  # what was cut out a moment ago is not missing
                    yield _refused(tuple(detail["loc"]), detail, sources)
            cuts = {_existing(tuple(detail["loc"]), tree) for detail in details}
            for path in sorted(cuts, key=_order, reverse=True):
                _cut(tree, path)
            refused |= cuts
    for complaint in complaints(settings, environ):
        if not any(_shadowed(complaint, path) for path in refused):
            joint = ": " if complaint.what[0].isupper() else " "
            text = f"{dotted(complaint.path)}{joint}{complaint.what}"
            yield Problem(sources.where(complaint.path), text, complaint.write, complaint.severity)


def _order(path: Path) -> tuple[int, int]:
    """Cut deep places first, and of a list the last element first, so that each path still means what it meant."""
    return len(path), path[-1] if isinstance(path[-1], int) else -1


def _shadowed(complaint: Complaint, cut: Path) -> bool:
    """Whether a complaint may come from a cut: about the same place, a list that moved up, or a name that went."""
    path = complaint.path
    shared = min(len(path), len(cut))
    if path[:shared] == cut[:shared] or (isinstance(cut[-1], int) and path[: len(cut) - 1] == cut[:-1]):
        return True
    return cut[0] in ("models", "providers") and "no provider" in complaint.what


def _copy(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _copy(value) for name, value in node.items()}
    return [_copy(value) for value in node] if isinstance(node, list) else node


def _existing(path: Path, tree: Any) -> Path:
    """Cut a path to the part of it that stands in the tree, at least its first step."""
    for depth, part in enumerate(path):
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            return path[: max(depth, 1)]
    return path


def _cut(tree: Any, path: Path) -> None:
    """Take what stands at a path out of the tree, so that the rest can be looked at."""
    for part in path[:-1]:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            return
    last = path[-1]
    if isinstance(tree, dict):
        tree.pop(last, None)
    elif isinstance(tree, list) and isinstance(last, int) and last < len(tree):
        del tree[last]


def _refused(path: Path, detail: Any, sources: _Sources) -> Problem:
    """Put an error of the models into a sentence."""
    kind, name = detail["type"], dotted(path)
    where = sources.where(path)
    if kind == "extra_forbidden":
        return Problem(where, f"{name} is not a setting.", _meant(path))
    if kind == "missing":
        return Problem(where, f"{name} is missing.", f"Add {path[-1]} = ...")
    message = (
        detail["msg"].removeprefix("Value error, ").replace("Input should ", "must ").replace("String should ", "must ")
    )
    shown, value = "", detail.get("input")
    if (
        kind in _OPEN
        and isinstance(value, str | int | float)
        and len(str(value)) <= 30
        and not looks_secret(str(value))
    ):
        shown = f" (it is {value!r})"
    write = ""
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", str(detail.get("ctx", {}).get("expected", "")))
        close = difflib.get_close_matches(str(value), choices, 1, 0.6)
        write = f'Write {path[-1]} = "{close[0]}".' if close and isinstance(path[-1], str) else ""
    joint = " " if message.startswith("must") else ": "
    return Problem(where, f"{name}{joint}{message}{shown}.", write)


def _meant(path: Path) -> str:
    """Guess what an unknown name was to be: a sibling spelled almost so, or the same name in another section."""
    last = str(path[-1])
    siblings = _siblings(path)
    close = difflib.get_close_matches(last, siblings, 1, 0.6)
    if close:
        return f"Did you mean {close[0]}?"
    elsewhere = [s.name for s in walk() if s.path[-1] == last and len(s.path) > 1]
    if len(elsewhere) == 1:
        return f"Did you mean {elsewhere[0]}?"
    return f"There are: {', '.join(siblings)}."


def _siblings(path: Path) -> list[str]:
    """Name the settings that may stand beside the last step of a path."""
    here = Shape("section", Settings)
    for part in path[:-1]:
        if here.kind == "section" and part in here.inner.model_fields:
            here = shape(here.inner.model_fields[str(part)].annotation)
        elif here.kind in ("table", "list"):
            here = shape(here.inner)
    return list(here.inner.model_fields) if here.kind == "section" else []
