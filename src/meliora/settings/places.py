"""Where a setting stands in a TOML file, by line. Reads no values and never fails: what it cannot place has no line."""

from __future__ import annotations

import re
import tomllib

from meliora.settings.shapes import Path

_HEADER = re.compile(r"^\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""^\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+|[ \t]*\.[ \t]*)+?)\s*=""")
_TOKEN = re.compile(r'''"""|\'\'\'|"(?:\\.|[^"\\])*"|'[^']*'|[\[\]{}]|#.*|\\.|.''')


def lines_of(text: str) -> dict[Path, int]:
    """Give the first line (from 1) of each table and key. Only for text that `tomllib` accepts."""
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    depth, quote = 0, ""
    for number, line in enumerate(text.split("\n"), 1):
        if depth == 0 and not quote:
            header = _HEADER.match(line)
            if header:
                table = _enter(_split(header[2]), counts, array=header[1] == "[[")
                found.setdefault(table, number)
                continue
            key = _KEY.match(line)
            if key:
                parts = _split(key[1])
                for end in range(1, len(parts) + 1):
                    found.setdefault((*table, *parts[:end]), number)
                line = line[key.end() :]
        depth, quote = _advance(line, depth, quote)
    return found


def place(path: Path, lines: dict[Path, int]) -> tuple[int, int]:
    """Give how many steps of a path are known to stand in the file, and the line of the deepest one (0, 0: none)."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return end, lines[path[:end]]
    return 0, 0


def _split(dotted: str) -> tuple[str, ...]:
    """Split a dotted key by TOML's own rules."""
    try:
        node = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return (dotted,)
    parts: list[str] = []
    step: object = node
    while isinstance(step, dict):
        name, step = next(iter(step.items()))
        parts.append(name)
    return tuple(parts)


def _enter(parts: tuple[str, ...], counts: dict[Path, int], *, array: bool) -> Path:
    """Give the path of a table header; a name that is an array of tables means its last element."""
    path: Path = ()
    for position, part in enumerate(parts):
        path = (*path, part)
        if array and position == len(parts) - 1:
            counts[path] = counts.get(path, 0) + 1
        if path in counts:
            path = (*path, counts[path] - 1)
    return path


def _advance(line: str, depth: int, quote: str) -> tuple[int, str]:
    """Follow brackets and multi-line strings over a line."""
    for match in _TOKEN.finditer(line):
        token = match[0]
        if quote:
            quote = "" if token == quote else quote
        elif token in ('"""', "'''"):
            quote = token
        elif token in "[{":
            depth += 1
        elif token in "]}":
            depth = max(0, depth - 1)
        elif token.startswith("#"):
            break
    return depth, quote
