"""Words that stand where a word stands, learned from the collection's own texts: what may be said in a word's place.

Two words are neighbours where they have the same words around them (PPMI of positions, cosine; Levy and Goldberg 2014, section 3) and
are so for each other. What has the same words around it may also be the opposite: those stand beside each other, "convex and concave",
and are left out (Lin et al. 2003, on contrast by patterns of co-occurrence).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meliora.errors import MissingExtra
from meliora.knowledge.text.analysis import analyse

LEAST = 8
"""How often a word must stand in the texts."""
SHARED = 20
"""Places around them that two neighbours must have in common."""
COSINE = 0.2
FIRST = 3
"""Each must be among so many nearest of the other."""
BESIDE = 0.005
"""Share of the rarer word's places with the other one close by, above which they are told apart."""
_SPAN, _CLOSE = 2, 6
_COMMON = 3_000
"""Words that count as what stands around."""
_WORDS = 20_000
"""Words that may have neighbours, the commonest."""
_LETTERS = 2_000_000
"""Letters of the texts that are read."""
_TOKEN = re.compile(r"[^\W\d_]{1,40}|\d{1,20}|[^\s\w]")

_END = "."
"""Ends a sentence, and stands between texts."""

_Ints = NDArray[np.int64]


class CollectionNeighbours:
    """Implements `Neighbours` over the texts of a collection. Few texts tell nothing: then no word has any."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Read the texts. Raises `MissingExtra`."""
        tokens = _read(texts)
        counts = Counter(tokens)
        words = [word for word, count in counts.most_common(_WORDS) if count >= LEAST and _may(word)]
        common = [word for word, _ in counts.most_common(_COMMON) if word.isalpha()]
        ids = {token: id for id, token in enumerate(counts)}
        stream = np.fromiter((ids[token] for token in tokens), dtype=np.int64, count=len(tokens))
        self._words, self._rows = words, {word: row for row, word in enumerate(words)}
        self._counts, self._stems = counts, [analyse(word).terms for word in words]
        rows, places = _numbered(ids, words)[stream], _numbered(ids, common)[stream]
        self._matrix = _matrix(rows, places, (len(words), len(common)))
        self._beside = _beside(rows, np.cumsum(stream == ids.get(_END, -1)), len(words))
        self._nearest = lru_cache(4096)(self._look)

    def __call__(self, word: str, /) -> Sequence[str]:
        """Give them, the nearest first."""
        return tuple(one for one in self._nearest(word) if word in self._nearest(one) and not self._apart(word, one))

    def _look(self, word: str) -> tuple[str, ...]:
        row = self._rows.get(word)
        if row is None:
            return ()
        mine = np.zeros(self._matrix.shape[1])
        mine[self._places(row)] = self._matrix.data[self._matrix.indptr[row] : self._matrix.indptr[row + 1]]
        cosine = (self._matrix @ mine).tolist()
        near: list[str] = []
        close = [at for at, value in enumerate(cosine) if value >= COSINE and self._stems[at] != self._stems[row]]
        for at in sorted(close, key=lambda at: (-cosine[at], self._words[at])):
            if np.count_nonzero(mine[self._places(at)]) >= SHARED:
                near.append(self._words[at])
            if len(near) == FIRST:
                break
        return tuple(near)

    def _places(self, row: int) -> _Ints:
        return self._matrix.indices[self._matrix.indptr[row] : self._matrix.indptr[row + 1]]

    def _apart(self, word: str, other: str) -> bool:
        first, second = sorted((self._rows[word], self._rows[other]))
        beside = self._beside.get(first * len(self._words) + second, 0)
        return beside > BESIDE * min(self._counts[word], self._counts[other])


def _may(word: str) -> bool:
    return len(word) > 3 and word.isalpha() and bool(analyse(word).terms)


def _read(texts: Iterable[str]) -> list[str]:
    """Give the words, numbers and marks of the texts, with so many ends behind each that none reaches the next."""
    found: list[str] = []
    left = _LETTERS
    for text in texts:
        found += [*_TOKEN.findall(text[:left].casefold()), *[_END] * _SPAN]
        left -= len(text)
        if left <= 0:
            break
    return found


def _numbered(ids: Mapping[str, int], words: Sequence[str]) -> _Ints:
    """Give the number of each word by its id; -1 for all that is none of them."""
    numbers = np.full(len(ids), -1, dtype=np.int64)
    numbers[[ids[word] for word in words]] = np.arange(len(words))
    return numbers


def _matrix(rows: _Ints, places: _Ints, shape: tuple[int, int]) -> Any:
    """Give what stands around each word as rows of a sparse matrix [words, steps x common words]. Raises `MissingExtra`.

    By positive pointwise mutual information, each row of length 1; rare places are smoothed by the power .75.
    """
    try:
        from scipy.sparse import csr_array
    except ImportError as error:
        raise MissingExtra("Neighbours of words need scipy.", hint="pip install 'meliora[knowledge]'") from error
    steps = [step for step in range(-_SPAN, _SPAN + 1) if step]
    width = len(steps) * shape[1]
    codes: list[_Ints] = [np.empty(0, dtype=np.int64)]
    for number, step in enumerate(steps):
        here, there = (rows[:-step], places[step:]) if step > 0 else (rows[-step:], places[:step])
        seen = (here >= 0) & (there >= 0)
        codes.append(here[seen] * width + number * shape[1] + there[seen])
    code, count = np.unique(np.concatenate(codes), return_counts=True)
    row, column = (code // width, code % width) if width else (code, code)
    total = np.bincount(column, count, width) ** 0.75
    seen = np.bincount(row, count, shape[0])
    weight = np.log(count / seen[row] * total.sum() / total[column])
    told = weight > 0
    row, column, weight = row[told], column[told], weight[told]
    norm = np.sqrt(np.bincount(row, weight**2, shape[0]))
    return csr_array((weight / norm[row], (row, column)), shape=(shape[0], width))


def _beside(rows: _Ints, sentence: _Ints, words: int) -> dict[int, int]:
    """Count how often two words stand close to each other in a sentence, by the lesser row times `words` plus the greater."""
    codes: list[_Ints] = [np.empty(0, dtype=np.int64)]
    for step in range(1, _CLOSE):
        one, other = rows[:-step], rows[step:]
        seen = (one >= 0) & (other >= 0) & (one != other) & (sentence[:-step] == sentence[step:])
        codes.append(np.minimum(one, other)[seen] * words + np.maximum(one, other)[seen])
    code, count = np.unique(np.concatenate(codes), return_counts=True)
    return dict(zip(code.tolist(), count.tolist(), strict=True))
