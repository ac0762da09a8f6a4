"""Which pairs of many texts are worth comparing: those that meet in a bucket of a rare 3-gram, or have the same words.

In a bucket of many, as boilerplate makes it, each text meets the first ones and its neighbours in length alone: the work grows with the
number of texts, whatever they share. So a pair may be missed there, and never one wrongly found.
"""

from __future__ import annotations

import numpy as np

from meliora.knowledge.upkeep.shingles import Hashes, Ints, Shingled, mix
from meliora.stats.distinct import distinct

HASHES, AGREEING = 48, 9
"""Hashes by which a pair is looked at before it is compared, and those that must agree: a pair that shares a third of its 3-grams, as two
of equal length do of which each holds half of the other, is passed over once in a hundred; one that shares half, never."""
RAREST, DRAWN = 5, 3
"""3-grams of a text that make buckets: the rarest, and some drawn by hash, of those that another text has."""
FEW = 8
"""Texts of a bucket in which all meet."""
FIRST = 6
"""Texts of a larger one that each meets, and neighbours."""
NEIGHBOURS = 2


def pairs(shingled: Shingled, order: Ints) -> Ints:
    """Give pairs worth comparing, [n, 2], smaller number first. `order` has the place of each text: the first ones are met by more."""
    texts, grams = _chosen(shingled)
    everyone = np.arange(len(order))
    found = [
        _meetings(everyone, shingled.bags, order, shingled.letters),
        _meetings(texts, mix(grams.astype(np.uint64)) + shingled.facts[texts], order, shingled.letters),
        _meetings(texts, grams.astype(np.uint64), order, shingled.letters),
    ]
    met = _decoded(distinct(np.concatenate(found)), len(order))
    return _alike(shingled, met)


def _alike(shingled: Shingled, met: Ints) -> Ints:
    """Give the pairs that may have a third of their 3-grams in common, by the least of each of some hashes (MinHash; Broder 1997)."""
    mixed = mix(shingled.grams.astype(np.uint64))
    same = shingled.bags[met[:, 0]] == shingled.bags[met[:, 1]]
    certain, met = met[same], met[~same]
    agreeing = np.zeros(len(met), np.int8)
    for number in range(HASHES if len(met) else 0):
        least = np.minimum.reduceat(mixed * _odd(number), shingled.starts[:-1]).astype(np.uint16)
        agreeing += least[met[:, 0]] == least[met[:, 1]]
        if number == HASHES // 3 - 1:
            met, agreeing = met[agreeing > 0], agreeing[agreeing > 0]
    both = np.concatenate([certain, met[agreeing >= AGREEING]])
    return both[np.lexsort((both[:, 1], both[:, 0]))]


def _odd(number: int) -> np.uint64:
    return mix(np.array([number], np.uint64))[0] | np.uint64(1)


def _chosen(shingled: Shingled) -> tuple[Ints, Ints]:
    counts = np.diff(shingled.starts)
    texts = np.repeat(np.arange(len(counts)), counts)
    holders = shingled.holders[shingled.grams]
    shared = holders > 1
    texts, grams, holders = texts[shared], shingled.grams[shared], holders[shared]
    drawn = mix(grams.astype(np.uint64))
    found = [
        (texts[at], grams[at]) for key, most in ((holders, RAREST), (drawn, DRAWN)) for at in [_least(texts, key, most)]
    ]
    both = distinct(np.concatenate([text * len(shingled.holders) + gram for text, gram in found]))
    return both // len(shingled.holders), both % len(shingled.holders)


def _least(texts: Ints, key: Ints | Hashes, most: int) -> Ints:
    """Give where the least ones of each text stand."""
    order = np.lexsort((key, texts))
    sorted_texts = texts[order]
    begins = np.searchsorted(sorted_texts, sorted_texts)
    return order[np.arange(len(order)) - begins < most]


def _meetings(texts: Ints, keys: Hashes, order: Ints, letters: Ints) -> Ints:
    """Give coded pairs of texts with equal keys."""
    first = _sorted(texts, keys, order[texts])
    found = [_steps(first, keys, texts, step, len(order)) for step in range(1, FEW)]
    met = [_with_first(first, keys, texts, place, len(order)) for place in range(FIRST)]
    alike = _sorted(texts, keys, letters[texts])
    near = [_steps(alike, keys, texts, step, len(order), few=False) for step in range(1, NEIGHBOURS + 1)]
    return np.concatenate([*found, *met, *near])


def _sorted(texts: Ints, keys: Hashes, by: Ints) -> Ints:
    return np.lexsort((texts, by, keys))


def _sizes(keys: Hashes) -> tuple[Ints, Ints]:
    begins = np.searchsorted(keys, keys)
    return begins, np.searchsorted(keys, keys, side="right") - begins


def _steps(at: Ints, keys: Hashes, texts: Ints, step: int, size: int, *, few: bool = True) -> Ints:
    """Pair each with the one so many places on: in small buckets these are all pairs, in others the neighbours."""
    ordered = keys[at]
    if len(at) <= step:
        return np.zeros(0, np.int64)
    _, sizes = _sizes(ordered)
    equal = (ordered[step:] == ordered[:-step]) & ((sizes[step:] <= FEW) | (not few))
    return _coded(texts[at[:-step]][equal], texts[at[step:]][equal], size)


def _with_first(at: Ints, keys: Hashes, texts: Ints, place: int, size: int) -> Ints:
    ordered = keys[at]
    begins, sizes = _sizes(ordered)
    many = (sizes > FEW) & (np.arange(len(at)) > begins + place)
    return _coded(texts[at[begins[many] + place]], texts[at[many]], size)


def _coded(a: Ints, b: Ints, size: int) -> Ints:
    apart = a != b
    return np.minimum(a, b)[apart] * size + np.maximum(a, b)[apart]


def _decoded(coded: Ints, size: int) -> Ints:
    return np.stack([coded // size, coded % size], axis=1) if size else np.zeros((0, 2), np.int64)
