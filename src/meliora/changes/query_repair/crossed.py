"""Repairs tried on the queries that went unanswered, each answered with what was learned without it.

The queries are split into parts, those that people put into one another in the same part. A part is answered with a table learned from
the others (cross-validation: Stone 1974). So all of them prove, and all but a part are learned from. That the best of several is
chosen on what proves it is allowed for in the test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from meliora.changes.comparing import Compared, compared
from meliora.knowledge.quality.evidence import Pair, normal

Method = Literal["spelling", "expansion"]
METHODS: tuple[Method, ...] = ("spelling", "expansion")
Methods = tuple[Method, ...]
PARTS = 8
LEAST_GAIN = 0.005
"""NDCG@10 below which no repair is worth a change, nor a second one beside the first."""


@dataclass(frozen=True, slots=True)
class Tried:
    """How well the same queries are answered: by what serves, and by each repair."""

    now: Sequence[float]
    """NDCG@10 of each query by what serves."""
    by: Mapping[Methods, Sequence[float]]
    """By repair, the one that the finding names first; with what was learned without the query's part."""

    def chosen(self) -> tuple[float, Methods]:
        """Give the repair that gains most, with its gain; `()` where none is worth a change. Both must gain so much more than one."""
        gains = {how: sum(after) - sum(self.now) for how, after in self.by.items()}
        worth = LEAST_GAIN * len(self.now)
        best = max(gains, key=lambda how: gains[how] - worth * (len(how) - 1), default=())
        return (gains[best] / len(self.now), best) if best and gains[best] >= worth > 0 else (0.0, ())

    def proved(self, methods: Methods, seed: int) -> Compared:
        """Compare what serves with a repair that was chosen among these; with itself where that one cannot be made any more."""
        beside = [after for how, after in self.by.items() if how != methods]
        return compared(self.now, self.by.get(methods, self.now), seed, beside)


class Parting:
    """Says in which part a query is: the same words, and all that people put them into, always in the same one."""

    def __init__(self, pairs: Iterable[Pair], salt: str) -> None:
        self._salt, self._above = salt, dict[str, str]()
        for one in pairs:
            if one.again:
                low, high = sorted((self._first(normal(one.query)), self._first(normal(one.again))))
                if low != high:
                    self._above[high] = low

    def __call__(self, query: str) -> int:
        """Give the part, from 0 to `PARTS` - 1."""
        name = f"{self._salt}/part\0{self._first(normal(query))}"
        return sha256(name.encode("utf-8", "surrogatepass")).digest()[0] % PARTS

    def _first(self, text: str) -> str:
        """Give the text that stands for all that are put into one another."""
        while (above := self._above.get(text)) is not None:
            self._above[text] = self._above.get(above, above)
            text = above
        return text
