"""Secrets by reference: `env:NAME` and `file:PATH`. No message here ever holds a secret, or what might be one."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from meliora.errors import SettingsError

MAX_BYTES = 64 * 1024
_CARRIERS = re.compile(r"(?i)(^|[-_])(authorization|key|token|secret|password|cookie)s?$|apikey|accesskey")
_SHAPES = re.compile(
    r"(?i)\b(sk|pk|rk|gsk|xai|hf|ghp|gho|pat|r8|fw|pplx|tgp|nvapi|AIza|AKIA|eyJ)[-_a-z0-9]{16,}|bearer\s+\S{8,}|[a-f0-9]{32,}"
)
_LOGIN = re.compile(r"(?<=://)([^/@\s:]*):([^/@\s]*)@")


def is_reference(value: str) -> bool:
    """Whether a value is `env:NAME` or `file:PATH`."""
    return value.startswith(("env:", "file:")) and len(value.partition(":")[2]) > 0


def carries_secret(name: str) -> bool:
    """Whether a header or query parameter of this name usually carries a secret."""
    return _CARRIERS.search(name) is not None


def looks_secret(value: str) -> bool:
    """Whether a text has the shape of a provider's key or a token."""
    return _SHAPES.search(value) is not None


def mask_login(text: str) -> str:
    """Hide the password of every URL in a text."""
    return _LOGIN.sub(r"\1:***@", text)


def strip_login(text: str) -> str:
    """Take the name and password out of every URL in a text."""
    return _LOGIN.sub("", text)


def resolve_secret(reference: str, environ: Mapping[str, str] | None = None) -> str:
    """Give the value behind `env:NAME` or `file:PATH`; any other text is given back as it is.

    Raises `SettingsError` where the variable is not set, the file cannot be read or is over 64 KB, or the value is
    empty or holds a line break (it would end a header).
    """
    if not is_reference(reference):
        return reference
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = (os.environ if environ is None else environ).get(name, "")
        if not value.strip():
            raise SettingsError(f"The variable {name} is not set.", hint=f"Set {name} to the key.", field=reference)
    else:
        value = _read(name, reference)
    value = value.strip()
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in value):
        raise SettingsError(f"{reference} holds a control character.", hint="Keep the key alone, on one line.")
    return value


def _read(name: str, reference: str) -> str:
    path = Path(name).expanduser()
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SettingsError(f"The file {name} is too large for a key.", hint="Keep the key alone in it.")
        value = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"The file {name} cannot be read: {error.strerror}.", hint="Check its path and owner.", field=reference
        ) from error
    except UnicodeDecodeError:
        raise SettingsError(f"The file {name} is not text.", hint="Keep the key alone in it.") from None
    if not value.strip():
        raise SettingsError(f"The file {name} is empty.", hint="Write the key into it.", field=reference)
    return value


def doubt(reference: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Say what is wrong with a reference now, and what to do; None where nothing is."""
    try:
        resolve_secret(reference, environ)
    except SettingsError as error:
        return error.message, error.hint
    kind, _, name = reference.partition(":")
    if kind == "file":
        mode = stat.S_IMODE(Path(name).expanduser().stat().st_mode)
        if mode & 0o077:
            return f"The file {name} can be read by others (mode {mode:04o}).", f"chmod 600 {name}"
    return None
