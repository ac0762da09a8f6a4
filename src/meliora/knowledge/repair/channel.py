"""How likely a word is to be typed as another: a noisy channel of single edits, each kind with its own cost.

The kinds and their order follow Kernighan, Church and Gale (COLING 1990) and Brill and Moore (ACL 2000): letters swapped, doubled, or
hit beside the wanted key are common; a wrong first letter is rare (Pollock and Zamora, CACM 1984).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SWAPPED, _DOUBLED, _BESIDE, _LOST, _ADDED, _OTHER = 2.0, 1.8, 2.4, 2.6, 2.8, 3.4
"""Negative logarithms of how often a kind is seen, up to a constant."""
_FIRST = 1.5
"""On top, for the first letter."""
_EDIT = 1000.0
"""More than all costs of a word together: fewest edits first, then the cheapest."""


def cost(typed: str, meant: str, most: int) -> tuple[int, float] | None:
    """Give the edits (Damerau-Levenshtein, no letter edited twice) and their cost; None for more than `most` edits."""
    if abs(len(typed) - len(meant)) > most:
        return None
    far = _EDIT * (most + 1)
    keys = neighbours()
    before: list[float] = []
    last = [_EDIT * at + _price_lost(meant, at) for at in range(len(meant) + 1)]
    for row in range(1, len(typed) + 1):
        low, high = max(1, row - most), min(len(meant), row + most)
        now = [far] * (len(meant) + 1)
        if low == 1:
            now[0] = _EDIT * row + _FIRST + _ADDED * row
        for at in range(low, high + 1):
            now[at] = _best(typed, meant, (row, at), (before, last, now), keys)
        if min(now) >= far:
            return None
        before, last = last, now
    found = last[len(meant)]
    return None if found >= far else (int(found // _EDIT), found % _EDIT)


def _best(
    typed: str,
    meant: str,
    place: tuple[int, int],
    rows: tuple[list[float], list[float], list[float]],
    keys: Mapping[str, str],
) -> float:
    row, at = place
    before, last, now = rows
    has, wants = typed[row - 1], meant[at - 1]
    if has == wants:
        return last[at - 1]
    first = _FIRST if row == 1 or at == 1 else 0.0
    beside = wants in keys.get(has, "")
    best = last[at - 1] + _EDIT + first + (_BESIDE if beside else _OTHER)
    doubled = row > 1 and has == typed[row - 2]
    best = min(best, last[at] + _EDIT + first + (_DOUBLED if doubled else _BESIDE if beside else _ADDED))
    halved = at > 1 and wants == meant[at - 2]
    best = min(best, now[at - 1] + _EDIT + first + (_DOUBLED if halved else _LOST))
    if row > 1 and at > 1 and has == meant[at - 2] and typed[row - 2] == wants:
        best = min(best, before[at - 2] + _EDIT + _SWAPPED)
    return best


def _price_lost(meant: str, at: int) -> float:
    return _FIRST + _LOST * at if at else 0.0


@cache
def neighbours() -> Mapping[str, str]:
    """Give the letters beside each on a QWERTY keyboard; other scripts have none."""
    found: dict[str, str] = {}
    for high, row in enumerate(_ROWS):
        for at, letter in enumerate(row):
            near = [row[at - 1 : at], row[at + 1 : at + 2]] if at else [row[1:2]]
            if high:
                near.append(_ROWS[high - 1][at : at + 2])
            if high < len(_ROWS) - 1:
                near.append(_ROWS[high + 1][max(0, at - 1) : at + 1])
            found[letter] = "".join(near)
    return found
