"""What a translation may lose, and small readers of untrusted JSON that the translators share."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from meliora.errors import InvalidRequest, UntranslatableField
from meliora.gateway.dialects.translate.fields import Field

MAX_LOST = 100
"""A body of many thousand strange blocks must not fill the record with their paths."""

_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a translation needs to know besides the bodies. Time and ids are passed in."""

    created: int
    """Seconds since the epoch, for `created` and `created_at`."""
    new_id: Callable[[str], str]
    """Makes a fresh id that begins with the given prefix."""
    max_tokens: int = 4096
    """Limit of the answer where the client sets none and the upstream wants one (the model's `max_output`)."""
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    stream_usage: bool = True
    """The upstream takes `stream_options.include_usage`."""
    include_usage: bool = False
    """The client of a chat stream asked for a usage chunk."""
    thinking: Literal["adaptive", "budget"] = "adaptive"
    """How a messages upstream is told to think; models before Claude 4.6 know only budgets."""
    reasoning_effort: bool = True
    """A chat upstream takes `reasoning_effort`; otherwise a wish to think is refused."""


class Crossing:
    """Collects what is lost on the way, or refuses it."""

    def __init__(self, upstream: str, *, allow_loss: bool, names: dict[str, str] | None = None) -> None:
        self.inner = names is not None
        """The body comes from another translator, which knows the client's own paths and keeps signed thinking."""
        self._upstream = upstream
        self._allow_loss = allow_loss
        self._names = names or {}
        self._lost: dict[str, None] = {}

    def drop(self, path: str, why: str = "") -> None:
        """Note that the value at `path` has no counterpart. Raises `UntranslatableField` where loss is not allowed."""
        path = self._names.get(path, path)
        if self._allow_loss:
            if len(self._lost) < MAX_LOST:
                self._lost[path] = None
            return
        reason = f" ({why})" if why and why != "no counterpart" else ""
        raise UntranslatableField(
            f"`{path}` has no counterpart in the {self._upstream} dialect of this model's provider{reason}.",
            hint="Leave it out, choose a model whose provider speaks your dialect, or use a key that allows loss.",
            field=path,
        )

    @property
    def lost(self) -> tuple[str, ...]:
        """Paths of what was dropped, each once, in the order met; at most `MAX_LOST`."""
        return tuple(self._lost)

    def invalid(self, path: str, what: str) -> InvalidRequest:
        """Make the error for a value that is wrong in the client's own dialect."""
        path = self._names.get(path, path)
        return InvalidRequest(f"`{path}` {what}.", field=path)

    def check_fields(self, body: dict[str, Any], table: dict[str, Field]) -> None:
        """Refuse what the table refuses, and what it does not know."""
        for name, value in body.items():
            field = table.get(name)
            if field is None:
                self.drop(shown(name), "unknown field")
            elif field.how == "refused" and not _empty(value) and value not in field.harmless:
                self.drop(name, field.note)

    def only(self, thing: dict[str, Any], known: frozenset[str], path: str) -> None:
        """Refuse members of `thing` outside `known`, unless they are null or empty."""
        for name, value in thing.items():
            if name not in known and not _empty(value):
                self.drop(f"{path}.{shown(name)}", "unknown field")


def _empty(value: Any) -> bool:
    return value is None or value == [] or value == {}


def shown(name: Any) -> str:
    """A client's own name for something, short enough for a message."""
    return str(name)[:100]


def copy_same(body: dict[str, Any], table: dict[str, Field]) -> dict[str, Any]:
    """Start the translated body with the fields that cross as they are; nulls are left out."""
    return {
        name: value
        for name, value in body.items()
        if value is not None and (field := table.get(name)) is not None and field.how == "same"
    }


def dicts(value: Any) -> list[dict[str, Any]]:
    """The objects in a list; nothing where it is no list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def mapping(value: Any) -> dict[str, Any]:
    """The value where it is an object, an empty one where it is not."""
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str:
    """The value where it is a string, an empty one where it is not."""
    return value if isinstance(value, str) else ""


def parse_object(arguments: Any) -> dict[str, Any] | None:
    """Read a tool call's arguments; None where they are no JSON object. Empty means `{}`."""
    if isinstance(arguments, dict):
        return arguments
    if not isinstance(arguments, str):
        return None
    if not arguments.strip():
        return {}
    try:
        value = msgspec.json.decode(arguments)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def write_json(value: Any) -> str | None:
    """Write a value as JSON; None for what cannot be written (nested too deep, a lone surrogate)."""
    try:
        return msgspec.json.encode(value).decode()
    except (ValueError, RecursionError, TypeError):
        return None


def call_id(given: Any) -> str:
    """Give a tool call's id in a form every provider takes: the same id for the same, and another for another."""
    given = text(given)
    if _CALL_ID.fullmatch(given):
        return given
    return "call_" + hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def texts_of(content: Any) -> str:
    """Join the text of a content that is a string or a list of text parts."""
    if isinstance(content, str):
        return content
    return "\n".join(text(part.get("text")) for part in dicts(content) if part.get("type") == "text")
