"""Many texts as numbers: their word 3-grams, how many texts have each, and keys that are equal for equal bags of words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meliora.knowledge.upkeep.words import EMPTY
from meliora.stats.distinct import distinct

WORD = re.compile(r"[^\W_]+")
Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Shingled:
    """Texts by their 3-grams: those of text `i` are `grams[starts[i]:starts[i + 1]]`, numbered from 0 by all texts, each once."""

    starts: Ints
    grams: Ints
    holders: Ints
    """How many texts have each 3-gram."""
    words: Ints
    """How many words each text has."""
    letters: Ints
    bags: Hashes
    """Equal for texts of the same words in whatever order."""
    facts: Hashes
    """Equal for texts of the same words that have digits."""

    def of(self, at: int) -> frozenset[int]:
        """Give a text's 3-grams."""
        return frozenset(self.grams[self.starts[at] : self.starts[at + 1]].tolist())


def shingled(texts: Sequence[str]) -> Shingled:
    """Number the 3-grams of texts; a text of fewer than three words is one 3-gram."""
    vocabulary: dict[str, int] = {"": 0}
    flat: list[Any] = []
    counts = np.zeros(len(texts), np.int64)
    words = np.zeros(len(texts), np.int64)
    for at, text in enumerate(texts):
        found = WORD.findall(text.lower())
        codes = [vocabulary.setdefault(word, len(vocabulary)) for word in found]
        words[at] = len(codes)
        codes.extend([0] * (3 - len(codes)))
        counts[at] = len(codes)
        flat.append(np.array(codes, np.int32))
    codes = np.concatenate(flat) if flat else np.zeros(0, np.int32)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    begin, grams, holders = _grams(codes, counts)
    mixed, digits = _keys(vocabulary)
    return Shingled(
        starts=begin,
        grams=grams,
        holders=holders,
        words=words,
        letters=np.array([len(text) for text in texts], np.int64),
        bags=_sums(mixed[codes], starts),
        facts=_sums((mixed * digits)[codes], starts),
    )


def _grams(codes: NDArray[np.int32], counts: Ints) -> tuple[Ints, Ints, Ints]:
    texts = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    inside = texts[:-2] == texts[2:] if len(codes) > 2 else np.zeros(0, bool)
    wide = codes.astype(np.uint64)
    hashes = mix(mix(mix(wide[:-2]) + wide[1:-1]) + wide[2:])[inside] if len(codes) > 2 else wide[:0]
    owners = texts[:-2][inside] if len(codes) > 2 else texts[:0]
    _, grams = np.unique(hashes, return_inverse=True)
    many = int(grams.max()) + 1 if len(grams) else 1
    both = distinct(owners.astype(np.int64) * many + grams)
    owners, grams = both // many, both % many
    begin = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=len(counts)))]).astype(np.int64)
    return begin, grams, np.bincount(grams, minlength=many).astype(np.int64)


def _keys(vocabulary: dict[str, int]) -> tuple[Hashes, Hashes]:
    numbers = np.arange(1, len(vocabulary) + 1, dtype=np.uint64)
    mixed = mix(numbers)
    mixed[[0, *(vocabulary[word] for word in EMPTY if word in vocabulary)]] = 0
    digits = np.fromiter((any(map(str.isnumeric, word)) for word in vocabulary), np.uint64, len(vocabulary))
    return mixed, digits


def _sums(values: Hashes, starts: Ints) -> Hashes:
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(values, dtype=np.uint64)])
    return total[starts[1:]] - total[starts[:-1]]


def mix(values: Hashes) -> Hashes:
    """Scatter numbers over 64 bits (the finaliser of SplitMix64; Steele, Lea, Flood 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
