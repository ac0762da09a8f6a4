"""Traffic of searches with a planted cause: Zipf words in topics, answered as by a search that fails on words it does not know.

The gain of one search is noisy, and known for a part of the searches only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from meliora.diagnosis.records import Window
from meliora.diagnosis.search.seen import CorpusSeen, SearchSeen, Seen

Shift = Literal["typos", "jargon", "index", "weak", "mixed", "none"]
"""`weak`: old words that became weak; `mixed`: jargon, old weak words and a little of slips, for weak tokens alone."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
DAY_US = 86_400_000_000
_WORDS, _TOPICS, _DOCUMENTS = 3000, 6, 2000
_RARE_SLIPS = 0.01
"""Part of quiet searches with a slip, and as many with a word that nobody knows."""


@dataclass(frozen=True)
class Traffic:
    """Searches of two windows, their vocabulary, and what was planted."""

    seen: Seen
    shift: Shift
    known: frozenset[str]
    close: Mapping[str, str]
    """Unknown words with the known one that they are near to: slips, and some new words by chance."""
    planted: frozenset[str]

    def frequency(self, term: str) -> int:
        return 5 if term in self.known else 0

    def meant(self, word: str) -> tuple[str, ...]:
        return (self.close[word],) if word in self.close else ()


class _Made:
    def __init__(self, rng: np.random.Generator, shift: Shift) -> None:
        self.rng, self.shift = rng, shift
        self.words = [self.word() for _ in range(_WORDS)]
        self.known = frozenset(self.words)
        self.close: dict[str, str] = {}
        self.orders = [rng.permutation(_WORDS) for _ in range(_TOPICS)]
        rates = 1 / (np.arange(_WORDS) + 4.0)
        self.rates = rates / rates.sum()
        self.ease = rng.uniform(0.45, 0.75, _TOPICS)
        self.new: dict[str, str] = {}
        self.old: frozenset[str] = frozenset()
        self.slips = self.faults = 0.0

    def word(self) -> str:
        return "".join(self.rng.choice(list(LETTERS), int(self.rng.integers(5, 10))))

    def plant(self) -> None:
        rng = self.rng
        common = [self.words[at] for order in self.orders for at in order[:12]]
        chosen = list(dict.fromkeys(str(word) for word in rng.permutation(common)))
        if self.shift in ("jargon", "mixed"):
            count = int(rng.integers(8, 21)) if self.shift == "jargon" else 7
            self.new = {old: self.word() for old in chosen[:count]}
            self.close |= {word: str(rng.choice(self.words)) for word in self.new.values() if rng.random() < 0.3}
        if self.shift in ("weak", "mixed"):
            self.old = frozenset(chosen[30:42] if self.shift == "weak" else chosen[30:35])
        if self.shift in ("typos", "mixed"):
            self.slips = float(rng.uniform(0.2, 0.6)) if self.shift == "typos" else 0.05
        if self.shift == "index":
            self.faults = float(rng.uniform(0.05, 0.4))

    def slip(self, word: str) -> str:
        at = int(self.rng.integers(len(word)))
        letter = str(self.rng.choice(list(LETTERS)))
        made = (word[:at] + letter + word[at + 1 :], word[:at] + word[at + 1 :], word[:at] + letter + word[at:])
        wrong = made[int(self.rng.integers(3))]
        if wrong not in self.known and self.rng.random() < 0.9:  # one in ten is too far from any word
            self.close[wrong] = word
        return wrong

    def search(self, name: str, at_us: int, changed: bool, judged: float) -> SearchSeen:
        rng = self.rng
        topic = int(rng.integers(_TOPICS))
        places = self.orders[topic][rng.choice(_WORDS, int(rng.integers(2, 6)), p=self.rates)]
        words: list[str] = list(dict.fromkeys(self.words[at] for at in places))
        quality = float(self.ease[topic])
        if changed:
            quality *= 0.35 ** sum(word in self.old for word in words)
            words = [self.new.get(word, word) for word in words]
        if rng.random() < (max(self.slips, _RARE_SLIPS) if changed else _RARE_SLIPS):
            at = int(rng.integers(len(words)))
            words[at] = self.slip(words[at])
        if rng.random() < _RARE_SLIPS:
            words.append(self.word())
        quality *= (sum(word in self.known for word in words) / len(words)) ** 1.5
        lost = changed and rng.random() < self.faults
        gain = float(rng.beta(1.2, 1.2) * 0.6 + 0.4) if rng.random() < (0.1 * quality if lost else quality) else 0.0
        return SearchSeen(
            id=name,
            at_us=at_us,
            terms=tuple(words),
            written=tuple(words),
            language="en",
            attributes={"source": str(rng.choice(["web", "app", "api"])), "topic": str(topic % 4)},
            results=10,
            gain=gain if rng.random() < judged else None,
            relevant_lost=float(lost) if rng.random() < judged / 2 else None,
        )


def made(
    rng: np.random.Generator, shift: Shift, searches: int, judged: float = 0.5, *, audited: bool = True
) -> Traffic:
    """Make so many searches a window, the later with the shift; gains are known for the part `judged`."""
    maker = _Made(rng, shift)
    maker.plant()
    sides = [
        tuple(
            maker.search(f"{window}-{at}", int(window * DAY_US + at * DAY_US // searches), window == 1, judged)
            for at in range(searches)
        )
        for window in (0, 1)
    ]
    missing = round(_DOCUMENTS * maker.faults)
    seen = Seen(
        before=sides[0],
        now=sides[1],
        window_before=Window(0, DAY_US),
        window_now=Window(DAY_US, 2 * DAY_US),
        corpus_before=CorpusSeen(documents=_DOCUMENTS, missing=0, stale=int(rng.integers(5))) if audited else None,
        corpus_now=CorpusSeen(documents=_DOCUMENTS, missing=missing, stale=int(rng.integers(5))) if audited else None,
    )
    planted = frozenset(maker.new.values()) | maker.old | (frozenset(maker.close) if shift == "mixed" else frozenset())
    return Traffic(seen, shift, maker.known, maker.close, planted)
