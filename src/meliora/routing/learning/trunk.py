"""Fits a trunk: the space of words in which prompts are placed, from prompts alone or led by what models did on them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meliora.routing.learned.features import FEATURES_VERSION, HAND, IDS, NOTHING, Context, read
from meliora.routing.learned.policy import Trunk

_WIDEST = 3000
"""Hashed n-grams that a trunk is fitted on: the most frequent ones."""


@dataclass(frozen=True)
class Corpus:
    """Prompts, read: hand features, and the hashed n-grams of all in one row (prompt i has `starts[i]` to `starts[i + 1]`)."""

    hand: NDArray[np.float32]
    starts: NDArray[np.int64]
    ids: NDArray[np.int64]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.hand)

    def take(self, rows: NDArray[np.int64]) -> Corpus:
        """Give the corpus of these rows."""
        sizes = np.diff(self.starts)[rows]
        starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
        places = np.repeat(self.starts[rows] - starts[:-1], sizes) + np.arange(starts[-1])
        return Corpus(self.hand[rows], starts, self.ids[places], self.weights[places])

    def dense(self, columns: NDArray[np.int64], idf: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give [n, len(columns)] of weights times idf, each row scaled by the length that it has over all ids."""
        where = np.full(IDS, -1, np.int64)
        where[columns] = np.arange(len(columns))
        rows = np.repeat(np.arange(len(self)), np.diff(self.starts))
        values = self.weights * idf[self.ids]
        length = np.sqrt(np.maximum(np.bincount(rows, values * values, len(self)), 1e-12))
        kept = where[self.ids] >= 0
        wide = np.zeros((len(self), len(columns)), np.float32)
        wide[rows[kept], where[self.ids[kept]]] = values[kept]
        return wide / length[:, None].astype(np.float32)


def read_all(prompts: Sequence[str], contexts: Sequence[Context] = ()) -> Corpus:
    """Read prompts, each with its context where there are any."""
    found = [read(prompt, contexts[row] if contexts else NOTHING) for row, prompt in enumerate(prompts)]
    sizes = [len(features.ids) for features in found]
    return Corpus(
        np.stack([features.hand for features in found]) if found else np.zeros((0, HAND), np.float32),
        np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64))),
        np.concatenate([features.ids for features in found]) if found else np.zeros(0, np.int64),
        np.concatenate([features.weights for features in found]) if found else np.zeros(0, np.float32),
    )


def fit_trunk(corpus: Corpus, width: int = 48, seed: int = 7) -> Trunk:
    """Fit a trunk of `width` directions: the greatest singular ones of the tf-idf matrix (latent semantic analysis)."""
    centre = corpus.hand.mean(axis=0)
    deviation = corpus.hand.std(axis=0)
    scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0).astype(np.float32)
    seen = np.bincount(corpus.ids, minlength=IDS)
    idf = np.where(seen > 0, np.log((1 + len(corpus)) / (1 + seen)), 0).astype(np.float32)
    order = np.argsort(-seen, kind="stable")
    columns = np.sort(order[: min(_WIDEST, int((seen > 1).sum()))])
    wide = corpus.dense(columns, idf)
    directions = _singular(wide, min(width, *wide.shape), seed) if wide.size else np.zeros((len(columns), 0))
    table = np.zeros((IDS, width), np.float32)
    placed = wide @ directions
    spread = float(np.sqrt(placed.var(axis=0).mean())) if placed.size else 1.0
    table[columns, : directions.shape[1]] = directions / max(spread, 1e-6) * idf[columns, None]
    return Trunk(_named(centre, scale, table), centre, scale, idf, table)


def phis(trunk: Trunk, corpus: Corpus) -> NDArray[np.float32]:
    """Give `phi` of every prompt, [n, trunk.size]: as `Trunk.phi` does, for many at once."""
    hand = np.clip((corpus.hand - trunk.centre) * trunk.scale, -4, 4)
    rows = np.repeat(np.arange(len(corpus)), np.diff(corpus.starts))
    values = corpus.weights * trunk.idf[corpus.ids]
    length = np.sqrt(np.bincount(rows, values * values, len(corpus)))
    space = np.zeros((len(corpus), trunk.table.shape[1]), np.float32)
    for row in range(len(corpus)):
        part = slice(corpus.starts[row], corpus.starts[row + 1])
        space[row] = corpus.weights[part] @ trunk.table[corpus.ids[part]]
    space /= np.where(length > 0, length, 1)[:, None]
    return np.concatenate((np.ones((len(corpus), 1), np.float32), hand, space), axis=1).astype(np.float32)


def _singular(wide: NDArray[np.float32], width: int, seed: int) -> NDArray[np.float32]:
    """Leading right singular vectors by randomised subspace iteration (Halko, Martinsson & Tropp, SIAM Review 53, 2011, 4.4)."""
    rng = np.random.default_rng(seed)
    basis = rng.standard_normal((wide.shape[1], min(width + 10, *wide.shape))).astype(np.float32)
    for _ in range(4):
        basis, _ = np.linalg.qr(wide.T @ (wide @ basis))
    _, _, turned = np.linalg.svd(wide @ basis, full_matrices=False)
    return (basis @ turned.T)[:, :width]


def _named(*parts: NDArray[np.float32]) -> str:
    digest = hashlib.sha256(str(FEATURES_VERSION).encode())
    for part in parts:
        digest.update(np.ascontiguousarray(part, "<f4").tobytes())
    return digest.hexdigest()[:16]
