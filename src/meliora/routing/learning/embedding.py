"""What words or prompts mean, folded into a trunk when a policy is fitted: more columns of its table, and nothing to do for a call.

Asks nobody: vectors come from a table of words, or were asked of a model before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from meliora.errors import InvalidRequest
from meliora.routing.learned.features import IDS, words
from meliora.routing.learned.policy import Trunk
from meliora.routing.learning.trunk import Corpus, finished, frequent, positions
from meliora.routing.learning.vectors import read_table, spelling

Floats = NDArray[np.floating]

WIDTH = 20
"""Directions of meaning that are kept, at most."""
LEAST = 20
"""Prompts whose embedding has to be known."""
FOLDS = 5
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Of the regression of embeddings on n-grams, to choose from by the error on folds left out."""


class Vectors(Protocol):
    """What is known of the meaning of prompts."""

    @property
    def name(self) -> str:
        """Say what it is, for people to read."""
        ...

    def directions(self, corpus: Corpus, prompts: Sequence[str], idf: Floats) -> NDArray[np.float32]:
        """Give [IDS, k] for `prompts`, read as `corpus`: what each hashed n-gram adds, its idf counted in. k may be 0."""
        ...


def folded(trunk: Trunk, corpus: Corpus, prompts: Sequence[str], vectors: Vectors) -> Trunk:
    """Give a trunk without a forest the directions of `vectors` as more columns, scaled together to a mean variance of 1."""
    more = vectors.directions(corpus, prompts, trunk.idf)
    place = positions(more, corpus, trunk.idf)
    spread = float(np.sqrt(place.var(axis=0).mean())) if more.shape[1] else 0.0
    if spread < 1e-6:
        return trunk
    table = np.concatenate((trunk.table, more / spread), axis=1).astype(np.float32)
    return finished(replace(trunk, table=table), corpus)


class WordVectors:
    """A table of words. Each hashed word means what the words of the prompts that share its id mean on the average."""

    def __init__(self, known: Mapping[str, NDArray[np.float32]], name: str, width: int = WIDTH) -> None:
        self.name = name
        self._known = known
        self._width = width

    @classmethod
    def read(cls, path: Path, prompts: Sequence[str], width: int = WIDTH) -> WordVectors:
        """Read what a table has of the words of prompts. Raises `InvalidRequest` as `read_table`, and where it has none of them."""
        wanted = {spelling(word) for prompt in prompts for word in words(prompt)[0]}
        known = read_table(path, wanted)
        if not known:
            raise InvalidRequest(
                f"{path} has none of the {len(wanted)} words of the prompts.", hint="Take a table of their language."
            )
        return cls(known, path.name, width)

    def directions(self, corpus: Corpus, prompts: Sequence[str], idf: Floats) -> NDArray[np.float32]:
        """Give the greatest principal directions of the prompts' mean word vectors."""
        means = self._means(prompts, len(corpus))
        some = np.abs(means).max(axis=1) > 0
        if not some.any():
            return np.zeros((IDS, 0), np.float32)
        # Less what all prompts have in common: that would only move their middle away from nought.
        shared = positions(means * idf[:, None], corpus, idf).mean(axis=0)
        mass = float(positions((some * idf)[:, None], corpus, idf).mean())
        table = np.where(some[:, None], means - shared / max(mass, 1e-9), 0) * idf[:, None]
        return (table @ principal(positions(table, corpus, idf), self._width)).astype(np.float32)

    def _means(self, prompts: Sequence[str], count: int) -> NDArray[np.float32]:
        """Give [IDS, dim]: the mean vector of the words that share an id, by their share of idf; nought where none is known."""
        seen: Counter[tuple[bytes, int]] = Counter()
        for prompt in prompts:
            found, ids = words(prompt)
            seen.update(set(zip(found, ids.tolist(), strict=True)))
        sums = np.zeros((IDS, len(next(iter(self._known.values())))), np.float32)
        shares = np.zeros(IDS)
        for (word, place), times in seen.items():
            vector = self._known.get(spelling(word))
            if vector is not None:
                share = times * np.log((1 + count) / (1 + times))
                sums[place] += share * vector
                shares[place] += share
        return sums / np.maximum(shares, 1e-9)[:, None].astype(np.float32)


class PromptVectors:
    """A model's embeddings of prompts, as far as hashed n-grams foretell them."""

    def __init__(self, known: Mapping[str, NDArray[np.float32]], name: str, width: int = WIDTH) -> None:
        """`known` are embeddings by the prompt's text."""
        self.name = name
        self._known = known
        self._width = width

    def directions(self, corpus: Corpus, prompts: Sequence[str], idf: Floats) -> NDArray[np.float32]:
        """Give the principal directions of the embeddings that n-grams foretell out of fold (ridge regression on tf-idf).

        Raises `InvalidRequest` where fewer than `LEAST` embeddings are known, or they are of different lengths.
        """
        rows = np.array([row for row, prompt in enumerate(prompts) if prompt in self._known], np.int64)
        if len(rows) < LEAST:
            raise InvalidRequest(
                f"{self.name} embedded {len(rows)} of {len(prompts)} prompts, and {LEAST} are needed.",
                hint="Run it again.",
            )
        given = [self._known[prompts[int(row)]] for row in rows]
        if len({len(vector) for vector in given}) > 1:
            raise InvalidRequest(f"The embeddings of {self.name} are of different lengths.")
        target = np.array(given, np.float64)
        target -= target.mean(axis=0)
        target = target @ principal(target, self._width)
        columns = frequent(corpus)
        table = np.zeros((IDS, target.shape[1]), np.float32)
        wide = corpus.take(rows).dense(columns, idf).astype(np.float64)
        table[columns], kept = foretold(wide, target)
        return (table[:, kept] * idf[:, None]).astype(np.float32)


def principal(values: Floats, width: int) -> NDArray[np.float64]:
    """Give [d, k] of the greatest principal directions of `values` [n, d], at most `width`; those without variance are left out."""
    centred = (values - values.mean(axis=0)).astype(np.float64)
    directions, sizes = _turned(centred)
    kept = min(width, int((sizes > 1e-9 * max(float(sizes.max(initial=0)), 1e-12)).sum()))
    return directions[:, :kept]


def foretold(wide: Floats, target: Floats, seed: int = 7) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Regress `target` [n, k] on `wide` [n, p] under the penalty that errs least on folds left out.

    Give the coefficients [p, k], and which of the k are foretold better than by their mean on prompts left out.
    """
    folds = np.random.default_rng(seed).permutation(len(wide)) % FOLDS
    errors, alone = np.zeros((len(PENALTIES), target.shape[1])), np.zeros(target.shape[1])
    for fold in range(FOLDS):
        inside, outside = folds != fold, folds == fold
        left = target[outside] - target[inside].mean(axis=0)
        alone += (left**2).sum(axis=0)
        there = wide[outside] - wide[inside].mean(axis=0)
        for at, coefficients in enumerate(_ridges(wide[inside], target[inside])):
            errors[at] += ((there @ coefficients - left) ** 2).sum(axis=0)
    best = int(errors.sum(axis=1).argmin())
    return _ridges(wide, target)[best], errors[best] < alone


def _ridges(wide: Floats, target: Floats) -> list[NDArray[np.float64]]:
    """Give the coefficients under each penalty, by one decomposition; both sides less their means."""
    centred = wide - wide.mean(axis=0)
    directions, sizes = _turned(centred)
    turned = directions.T @ (centred.T @ (target - target.mean(axis=0)))
    return [directions @ (turned / (sizes + penalty)[:, None]) for penalty in PENALTIES]


def _turned(centred: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the principal directions [d, r] of rows that are centred [n, d], the greatest first, and their sums of squares [r]."""
    if len(centred) >= centred.shape[1]:
        sizes, directions = np.linalg.eigh(centred.T @ centred)
        return directions[:, ::-1], np.maximum(sizes[::-1], 0)
    sizes, rows = np.linalg.eigh(centred @ centred.T)
    sizes, rows = np.maximum(sizes[::-1], 0), rows[:, ::-1]
    kept = sizes > 1e-9 * max(float(sizes.max(initial=0)), 1e-12)
    return centred.T @ (rows[:, kept] / np.sqrt(sizes[kept])), sizes[kept]
