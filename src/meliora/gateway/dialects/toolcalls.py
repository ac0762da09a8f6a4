"""Tool calls in a chat stream: which call a piece belongs to, and what it adds. Servers disagree about both."""

from __future__ import annotations

from typing import Any

import msgspec


class Places:
    """Tell the calls of one answer apart.

    A call goes by its index. Where a server gives all its calls one index or none (Gemini, Ollama), a new id together with a
    name begins another; an id alone does not, as some servers make up one for each piece (older vLLM).
    """

    __slots__ = ("_at", "_ids")

    def __init__(self) -> None:
        self._at: dict[int, int] = {}
        """The place of the call that an index last stood for."""
        self._ids: list[str] = []
        """The id of the call at each place; empty where it has none."""

    def of(self, call: dict[str, Any]) -> int:
        """Give the place of the call that a piece belongs to, counted from 0."""
        index, identity = call.get("index"), _text(call.get("id"))
        named = bool(_text(_spoken(call).get("name")))
        place = self._at.get(index) if isinstance(index, int) else self._unnumbered(identity, named)
        if place is not None and not (named and identity and self._ids[place] not in ("", identity)):
            self._ids[place] = self._ids[place] or identity
            return place
        self._ids.append(identity)
        place = len(self._ids) - 1
        if isinstance(index, int):
            self._at[index] = place
        return place

    def _unnumbered(self, identity: str, named: bool) -> int | None:
        """Give the call of that id, else the last one, unless a name says that another begins."""
        if identity in self._ids and identity:
            return self._ids.index(identity)
        return None if named or not self._ids else len(self._ids) - 1


def arguments_of(call: dict[str, Any]) -> str:
    """Give the piece of the arguments (of a custom tool: the input); an object, as some servers send it, is written out."""
    spoken = _spoken(call)
    given = spoken.get("arguments") or spoken.get("input")
    if isinstance(given, dict):
        try:
            return msgspec.json.encode(given).decode()
        except (ValueError, RecursionError):
            return ""
    return _text(given)


def _spoken(call: dict[str, Any]) -> dict[str, Any]:
    found = call.get("function") or call.get("custom")
    return found if isinstance(found, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
