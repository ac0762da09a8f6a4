"""Repairs tried on the queries that went unanswered, each answered with what was learned without it.

The queries are split into parts, those that people put into one another in the same part. A part is answered with a table learned from
the others (cross-validation: Stone 1974), and by the repair that is best on the others: a choice is no witness for itself (Varma and
Simon 2006). So all of them prove, and all but a part are learned from.
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

    parts: Sequence[int]
    """Of each query."""
    now: Sequence[float]
    """NDCG@10 of each query by what serves."""
    by: Mapping[Methods, Sequence[float]]
    """By repair, the one that the finding names first; with what was learned without the query's part."""

    def chosen(self, *, without: int | None = None) -> tuple[float, Methods]:
        """Give the repair that gains most on all parts, or on all but one, with its gain. None (`()`) where none is worth a change.

        Both together must gain so much more than one.
        """
        seen = [at for at, part in enumerate(self.parts) if part != without]
        if not seen:
            return 0.0, ()
        gains = {how: sum(after[at] - self.now[at] for at in seen) / len(seen) for how, after in self.by.items()}
        best = max(gains, key=lambda how: gains[how] - LEAST_GAIN * (len(how) - 1), default=())
        return (gains[best], best) if best and gains[best] >= LEAST_GAIN else (0.0, ())

    def proved(self, seed: int) -> Compared:
        """Compare all queries, each by the repair that the other parts choose; where those choose none, nothing changes."""
        choice = {part: self.chosen(without=part)[1] for part in set(self.parts)}
        after = [self.by[how][at] if (how := choice[part]) else self.now[at] for at, part in enumerate(self.parts)]
        return compared(self.now, after, seed)


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
