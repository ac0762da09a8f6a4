"""The documents' YAML `selfImprovement:` (Helm values, `values-*.yaml`), translated to the `[loop]` of `meliora.toml`.

Refuses unknown keys, with the nearest known one: a misspelt `manualApprovalRequired` must not be passed over. Carries no secret.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from meliora.errors import InvalidRequest, MissingExtra
from meliora.settings.loop import Loop
from meliora.settings.secret import is_reference

_ENVIRONMENTS = {"dev": "dev", "mock": "dev", "staging": "staging", "full": "production", "production": "production"}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|sec|m|min|h|d)?", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")


def convert(path: str | Path) -> tuple[str, list[str]]:
    """Translate a file; give the TOML and notes on what did not cross.

    Raises `MissingExtra` without PyYAML, and `InvalidRequest` for a file that cannot be read, has no `selfImprovement`, names a
    key there is not, or holds a value that will not do.
    """
    tree = _read(Path(path))
    values = tree.get("selfImprovement")
    if not isinstance(values, dict):
        raise InvalidRequest(f"{path} has no `selfImprovement`.", hint="Name a values file that has it.")
    reading = _Reading()
    reading.take(values)
    try:
        Loop.model_validate(reading.tree)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise InvalidRequest(f"selfImprovement does not hold together: {where or 'loop'}: {what}.") from None
    return _text(reading, Path(path).name), reading.notes


class _Reading:
    """What was understood so far, as the tree of `[loop]`."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self.notes: list[str] = []

    def take(self, values: Mapping[Any, Any], prefix: str = "") -> None:
        """Take one mapping. Raises `InvalidRequest` for a key that there is not."""
        known = {key for key in (*_KEYS, *_NESTED) if key.startswith(prefix)}
        for key, value in values.items():
            name = f"{prefix}{key}"
            where = f"selfImprovement.{name}"
            if name in _NESTED and isinstance(value, dict):
                self.take(value, f"{name}.")
            elif name in _KEYS:
                path, read = _KEYS[name]
                self._set(path, read(where, value), where)
            elif name in _NESTED:
                raise InvalidRequest(f"{where} is not a mapping.", field=name)
            else:
                names = sorted(one.removeprefix(prefix).partition(".")[0] for one in known)
                close = difflib.get_close_matches(str(key), names, 1, 0.6)
                hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(dict.fromkeys(names))}."
                raise InvalidRequest(f"{where} is not a key of selfImprovement.", hint=hint, field=name)

    def _set(self, path: str, value: Any, where: str) -> None:
        if not path:
            self.notes.append(f"{where} does not cross: {value}")
            return
        if value is None:
            self.notes.append(f"{where} does not cross: write a reference (`env:NAME`, `file:PATH`) for loop.{path}.")
            return
        step = self.tree
        *sections, last = path.split(".")
        for section in sections:
            step = step.setdefault(section, {})
        if step.get(last, value) != value:
            raise InvalidRequest(f"{where} contradicts another key: both say what loop.{path} is.")
        step[last] = value


def _flag(where: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest(f"{where} is not true or false.")
    return value


def _number(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
        raise InvalidRequest(f"{where} is no number from 0 on.")
    return value


def _whole(where: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRequest(f"{where} is no whole number from 1 on.")
    return value


def _share(where: str, value: Any) -> float:
    """Read a share: 0..1, or per cent above 1."""
    number = _number(where, value)
    if number > 100:
        raise InvalidRequest(f"{where} is neither a share nor per cent.")
    return number / 100 if number > 1 else number


def _seconds(where: str, value: Any) -> float:
    """Read seconds, or a text like `15m`."""
    if isinstance(value, str) and (found := _SPAN.fullmatch(value.strip())):
        return float(found[1]) * _SECONDS[(found[2] or "s").lower()]
    return _number(where, value)


def _environment(where: str, value: Any) -> str:
    found = _ENVIRONMENTS.get(str(value).lower())
    if found is None:
        raise InvalidRequest(f"{where} is {str(value)[:40]!r}.", hint=f"Write one of: {', '.join(_ENVIRONMENTS)}.")
    return found


def _secret(where: str, value: Any) -> str | None:
    """Carry a reference, or a variable as one; never a secret that is written out."""
    text = str(value or "")
    if is_reference(text):
        return text
    found = _VARIABLE.fullmatch(text)
    return f"env:{found[1]}" if found else None


def _left(why: str) -> Callable[[str, Any], str]:
    return lambda where, value: why


_BACKUP = "a backup is made by `meliora db backup`: run it from cron."
_KUBECOST = "what calls cost is counted by Meliora itself."
_KEYS: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "enabled": ("enabled", _flag),
    "policy": ("environment", _environment),
    "environment": ("environment", _environment),
    "abTesting": ("trial.ab_testing", _flag),
    "abSplitRatio": ("trial.ab_split_ratio", _share),
    "autoPromote": ("approval.auto_promote", _flag),
    "rollbackOnDegrade": ("watch.rollback_on_degrade", _flag),
    "manualApprovalRequired": ("approval.required", _flag),
    "killSwitch": ("kill_switch", _flag),
    "mockSignals": ("mock_signals", _flag),
    "mockMetrics": ("mock_signals", _flag),
    "cycleInterval": ("interval", _seconds),
    "maxCyclesPerDay": ("max_cycles_per_day", _whole),
    "maxChangesPerDay": ("max_changes_per_day", _whole),
    "cooldownSeconds": ("cooldown_seconds", _seconds),
    "alertOnDegrade": ("alerts.on_degrade", _flag),
    "slackWebhook": ("alerts.slack_webhook", _secret),
    "kubecostIntegration": ("", _left(_KUBECOST)),
    "kubecost.enabled": ("", _left(_KUBECOST)),
    "kubecost.budgetAlert": ("budget_alert", _share),
    "backup.enabled": ("", _left(_BACKUP)),
    "backup.schedule": ("", _left(_BACKUP)),
    "backup.retention": ("", _left(_BACKUP)),
    "backup": ("", _left(_BACKUP)),
}
"""Keys of the documents, what they are called here (empty: they do not cross, for the reason given), and how they are read."""
_NESTED = ("kubecost", "backup")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        import yaml
    except ImportError:
        raise MissingExtra(
            "Reading YAML needs PyYAML, which is not installed.", hint='Install it: pip install "meliora[litellm]"'
        ) from None
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}.", hint="Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        # the parser's own message quotes the file, and with it what may be a secret
        raise InvalidRequest(f"{path} is not YAML.", hint="Name a values file with `selfImprovement`.") from None
    if not isinstance(tree, dict):
        raise InvalidRequest(f"{path} has no `selfImprovement`.", hint="Name a values file that has it.")
    return tree


def _text(reading: _Reading, source: str) -> str:
    """Give the TOML."""
    lines = [f"# Translated from {_one_line(source)} by `meliora config import self-improvement`."]
    lines += [f"# Note: {_one_line(note)}" for note in reading.notes]
    tables = {"loop": {name: value for name, value in reading.tree.items() if not isinstance(value, dict)}}
    tables |= {f"loop.{name}": value for name, value in reading.tree.items() if isinstance(value, dict)}
    for title, table in tables.items():
        if table:
            lines += ["", f"[{title}]"]
            lines += [f"{name} = {_value(value)}" for name, value in table.items()]
    return "\n".join([*lines, ""])


def _value(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value).replace("\x7f", "\\u007f")


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
