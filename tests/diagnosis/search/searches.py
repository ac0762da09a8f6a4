"""Searches made for a test: what is not said of them is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from meliora.diagnosis.records import Window
from meliora.diagnosis.search.seen import SearchSeen, Seen

LENGTH = 1200
"""Microseconds of the window now; the one before is so many times as long as it is said to be."""


@dataclass(frozen=True)
class Vocab:
    """A vocabulary of known words, and what unknown ones are near to."""

    known: frozenset[str] = frozenset()
    close: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def frequency(self, term: str) -> int:
        return 7 if term in self.known else 0

    def meant(self, word: str) -> tuple[str, ...]:
        return self.close.get(word, ())


def one(id: object, terms: Sequence[str] = ("a",), gain: float | None = None, **more: object) -> SearchSeen:
    """Make a search."""
    return SearchSeen(id=str(id), at_us=int(more.pop("at_us", 0)), terms=tuple(terms), gain=gain, **more)  # type: ignore[arg-type]


def seen(before: Sequence[SearchSeen], now: Sequence[SearchSeen], times: int = 1, **more: object) -> Seen:
    """Give both sides with their windows, the one before so many times as long."""
    edge = times * LENGTH
    return Seen(
        before=tuple(before),
        now=tuple(now),
        window_before=Window(0, edge),
        window_now=Window(edge, edge + LENGTH),
        **more,  # type: ignore[arg-type]
    )


def gained(rng: np.random.Generator, level: float) -> float:
    """Draw a gain: nothing, or something found at some place, `level` in the mean."""
    return float(rng.uniform(0.5, 1.0)) if rng.random() < level / 0.75 else 0.0
