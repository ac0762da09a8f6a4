"""Shifts planted in a collection or its queries, each seeded: misspelled queries, new jargon, an index with a fault, or none.

Clean is how the queries were; broken, how they are asked after the shift; regained is what of the difference a repair brings back.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from meliora.stats.paired import compare

Edit = Literal["lost", "added", "other", "swapped", "doubled", "beside"]
EDITS: tuple[Edit, ...] = ("lost", "added", "other", "swapped", "doubled", "beside")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SYLLABLES = tuple(
    one + vowel for one in ("b", "d", "fl", "g", "gr", "k", "kr", "m", "pl", "sk", "v", "z") for vowel in "aeiou"
)
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Query:
    """A query and how well documents answer it."""

    id: str
    text: str
    grades: Mapping[str, float]


@dataclass(frozen=True)
class Shift:
    """What was planted."""

    kind: Literal["typos", "jargon", "index", "none"]
    clean: tuple[Query, ...]
    broken: tuple[Query, ...]
    """The same queries, as they are asked after it."""
    planted: Mapping[str, str] = field(default_factory=dict)
    """Made-up words by the terms that they stand for."""
    missing: frozenset[str] = frozenset()
    """Documents that the index lost."""
    stale: frozenset[str] = frozenset()
    """Documents that the index has in an older state."""

    @property
    def changed(self) -> frozenset[str]:
        """Give the ids of the queries that read differently now."""
        return frozenset(one.id for one, now in zip(self.clean, self.broken, strict=True) if one.text != now.text)


def none(queries: Sequence[Query]) -> Shift:
    """Plant nothing: whatever is found here is a false alarm."""
    return Shift("none", tuple(queries), tuple(queries))


def typos(
    queries: Sequence[Query],
    seed: int,
    *,
    share: float = 0.5,
    double: float = 0.2,
    edits: Sequence[Edit] = EDITS,
    least: int = 4,
    able: Callable[[str], bool] = lambda word: True,
) -> Shift:
    """Misspell a share of the words of at least `least` letters that `able` takes; of these `double` (from 6 letters) get two edits."""
    rng = random.Random(seed)

    def misspelled(found: re.Match[str]) -> str:
        word = found[0].lower()
        if len(word) < least or not word.isalpha() or not able(word) or rng.random() >= share:
            return found[0]
        wrong = edited(word, rng.choice(edits), rng)
        return edited(wrong, rng.choice(edits), rng) if len(word) >= 6 and rng.random() < double else wrong

    broken = tuple(replace(one, text=_WORD.sub(misspelled, one.text)) for one in queries)
    return Shift("typos", tuple(queries), broken)


def edited(word: str, edit: Edit, rng: random.Random) -> str:
    """Give a word with one edit, anywhere in it."""
    at = rng.randrange(len(word))
    if edit == "lost":
        return word[:at] + word[at + 1 :]
    if edit == "doubled":
        return word[:at] + word[at] + word[at:]
    if edit == "added":
        return word[:at] + rng.choice(_LETTERS) + word[at:]
    if edit == "swapped":
        at = rng.randrange(len(word) - 1)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    instead = _beside(word[at]) if edit == "beside" else _LETTERS
    return word[:at] + rng.choice(instead.replace(word[at], "") or _LETTERS) + word[at + 1 :]


def _beside(letter: str) -> str:
    row = next((row for row in _ROWS if letter in row), "")
    at = row.find(letter)
    return row[max(0, at - 1) : at] + row[at + 1 : at + 2]


def jargon(
    queries: Sequence[Query],
    seed: int,
    *,
    terms_of: Callable[[str], Sequence[str]],
    able: Callable[[str], bool],
    words: int = 15,
    least: int = 6,
) -> Shift:
    """Replace content words by made-up ones, each term by the same one everywhere.

    `terms_of` gives a text's terms (a word's form does not matter); `able` tells which terms are content; each stands in at least
    `least` queries.
    """
    rng = random.Random(seed)
    asked = Counter(term for one in queries for term in set(terms_of(one.text)))
    frequent = sorted(term for term, times in asked.items() if times >= least and able(term))
    chosen = rng.sample(frequent, min(words, len(frequent)))
    planted = dict(zip(chosen, _made_up(len(chosen), rng), strict=True))

    def renamed(found: re.Match[str]) -> str:
        terms = terms_of(found[0])
        return planted.get(terms[0], found[0]) if len(terms) == 1 else found[0]

    broken = tuple(replace(one, text=_WORD.sub(renamed, one.text)) for one in queries)
    return Shift("jargon", tuple(queries), broken, planted=planted)


def _made_up(count: int, rng: random.Random) -> list[str]:
    found: set[str] = set()
    while len(found) < count:
        found.add("".join(rng.choice(_SYLLABLES) for _ in range(4)) + rng.choice("kxz"))
    drawn = sorted(found)  # a set has no order that another process would have, too
    rng.shuffle(drawn)
    return drawn


def index_fault(
    queries: Sequence[Query], documents: Sequence[str], seed: int, *, missing: float, stale: float
) -> Shift:
    """Let an index lose a share of its documents, and keep another share in an older state."""
    drawn = list(documents)
    random.Random(seed).shuffle(drawn)
    lost, old = round(missing * len(drawn)), round(stale * len(drawn))
    gone, older = frozenset(drawn[:lost]), frozenset(drawn[lost : lost + old])
    return Shift("index", tuple(queries), tuple(queries), missing=gone, stale=older)


def clicks(
    ranked: Sequence[str], grades: Mapping[str, float], rng: random.Random, *, wrong: float = 0.15, eta: float = 1.0
) -> list[tuple[str, float]]:
    """Give what one person uses of a list: documents and weights that correct for where they stood.

    A place is looked at with probability (1 / place) ** `eta`; of what is looked at, a good document is used, and a bad one in so
    many cases that about `wrong` of all uses are bad. (Joachims, Swaminathan and Schnabel, WSDM 2017, use the same model.)
    """
    looked = [(name, (1 / place) ** eta) for place, name in enumerate(ranked, start=1)]
    looked = [(name, chance) for name, chance in looked if rng.random() < chance]
    good = [(name, 1 / chance) for name, chance in looked if grades.get(name, 0) > 0]
    bad = [(name, 1 / chance) for name, chance in looked if grades.get(name, 0) <= 0]
    return good + [one for one in bad if rng.random() < _bad_share(len(good), len(bad), wrong)]


def _bad_share(good: int, bad: int, wrong: float) -> float:
    # A person who saw nothing good mostly uses nothing; sometimes, something bad.
    wanted = max(good, wrong) * wrong / (1 - wrong)
    return min(1.0, wanted / bad) if bad else 0.0


@dataclass(frozen=True)
class Regained:
    """What a repair brought back, on queries that nothing was learned from."""

    queries: int
    clean: float
    broken: float
    repaired: float
    share: float
    """Of the loss, (repaired - broken) / (clean - broken)."""
    low: float
    high: float
    """A 95% interval of the share, by drawing queries anew."""
    p: float | None
    """One-sided, paired permutation: the repair gains nothing."""


def regained(clean: Sequence[float], broken: Sequence[float], repaired: Sequence[float], *, seed: int = 7) -> Regained:
    """Compare three scores of each query. The interval is a bootstrap of queries (Efron and Tibshirani 1993), 2,000 draws."""
    whole, lost, back = (np.asarray(scores, dtype=float) for scores in (clean, broken, repaired))
    gap = whole.mean() - lost.mean()
    drawn = np.random.default_rng(seed).integers(0, len(whole), (2000, len(whole)))
    gaps = whole[drawn].mean(axis=1) - lost[drawn].mean(axis=1)
    gains = back[drawn].mean(axis=1) - lost[drawn].mean(axis=1)
    shares = gains[gaps > 0] / gaps[gaps > 0]
    low, high = np.quantile(shares, (0.025, 0.975)) if len(shares) else (float("nan"), float("nan"))
    share = float((back.mean() - lost.mean()) / gap) if gap else float("nan")
    p = compare(broken, repaired, seed=seed).p_better
    return Regained(
        len(whole), float(whole.mean()), float(lost.mean()), float(back.mean()), share, float(low), float(high), p
    )
