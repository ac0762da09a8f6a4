"""Fits a trunk: the space of words in which prompts are placed, from prompts alone or led by what models did on them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meliora.routing.learned.features import FEATURES_VERSION, HAND, IDS, NOTHING, Context, read
from meliora.routing.learned.policy import LEFT, REACH, Forest, Trunk
from meliora.routing.learning.forest import Growing, grow, outputs

if TYPE_CHECKING:
    from meliora.routing.learning.embedding import Vectors

Floats = NDArray[np.floating]

_USUAL = 0.9
"""Share of the training prompts that count as usual."""
_STIFF = 30.0
"""Prompts' worth of every direction that are taken as seen, so that a direction hardly seen is not endlessly far."""
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


@dataclass(frozen=True)
class Embedding:
    """How a trunk is fitted."""

    width: int = 40
    """Directions of the space of words."""
    most: int = 10
    """Outputs of the forest; with more models than these their principal directions."""
    stretch: float = 4.0
    """Standard deviation of the forest's first output in `phi`: being a prediction already, it is to be shrunk less."""
    growing: Growing = field(default_factory=Growing)
    vectors: Vectors | None = None
    """What is known of the meaning of words or prompts."""


def fit_trunk(corpus: Corpus, width: int = 40, seed: int = 7) -> Trunk:
    """Fit a trunk without a forest, from prompts alone.

    Its space of words are the greatest singular directions of the tf-idf matrix (latent semantic analysis), in their own
    proportions, scaled together to a mean variance of 1.
    """
    centre = corpus.hand.mean(axis=0)
    deviation = corpus.hand.std(axis=0)
    scale = np.where(deviation > 1e-3, 1 / np.maximum(deviation, 1e-3), 0).astype(np.float32)
    seen = np.bincount(corpus.ids, minlength=IDS)
    idf = np.where(seen > 0, np.log((1 + len(corpus)) / (1 + seen)), 0).astype(np.float32)
    columns = frequent(corpus)
    wide = corpus.dense(columns, idf)
    directions = _singular(wide, min(width, *wide.shape), seed) if wide.size else np.zeros((len(columns), 0))
    table = np.zeros((IDS, width), np.float32)
    spread = float(np.sqrt((wide @ directions).var(axis=0).mean())) if directions.size else 1.0
    table[columns, : directions.shape[1]] = directions / max(spread, 1e-6) * idf[columns, None]
    return finished(Trunk("", centre, scale, idf, table), corpus)


def finished(trunk: Trunk, corpus: Corpus) -> Trunk:
    """Give a trunk without a forest what it takes to tell usual prompts, and its id."""
    placed = phis(everywhere(trunk), corpus)[:, 1:]
    return replace(trunk, usual=_usual(placed), id=_named(trunk.centre, trunk.scale, trunk.table))


def frequent(corpus: Corpus) -> NDArray[np.int64]:
    """Give the hashed n-grams that most prompts have, those of a single prompt left out; ascending."""
    seen = np.bincount(corpus.ids, minlength=IDS)
    order = np.argsort(-seen, kind="stable")
    return np.sort(order[: min(_WIDEST, int((seen > 1).sum()))])


def plant(trunk: Trunk, phi: Floats, rewards: Floats, how: Embedding, seed: int = 7) -> tuple[Trunk, Floats]:
    """Grow a forest on a trunk without one; give the trunk, and `phi` of its training prompts with the outputs out of bag.

    `phi` [n, size] is of the trunk without a forest. A reward that was not seen counts as the mean of those seen on the prompt,
    less each model's mean: how hard it was for the others.
    """
    targets = centred(rewards)
    if targets.shape[1] > how.most:
        _, _, turned = np.linalg.svd(targets, full_matrices=False)
        targets = targets @ turned[: how.most].T
    forest, outside = grow(phi[:, 1:], targets, how.growing, np.random.default_rng(seed))
    scale = how.stretch / max(float(outside.std(axis=0).max()), 1e-6)
    grown = Forest(forest.feature, forest.threshold, (forest.leaves * scale).astype(np.float32))
    name = _named(trunk.centre, trunk.scale, trunk.table, grown.threshold, grown.leaves)
    return replace(trunk, forest=grown, id=name), np.concatenate((phi, outside * scale), axis=1)


def centred(rewards: Floats) -> Floats:
    """Give rewards less each model's mean; what was not seen is the mean of what was, on the same prompt."""
    seen = ~np.isnan(rewards)
    means = np.where(seen, rewards, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    left = np.where(seen, rewards - means, 0)
    shared = left.sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    return np.where(seen, left, shared[:, None])


def everywhere(trunk: Trunk) -> Trunk:
    """Give a trunk that shortens nothing."""
    return replace(trunk, usual=np.zeros((0, 0), np.float32))


def phis(trunk: Trunk, corpus: Corpus) -> NDArray[np.float32]:
    """Give `phi` of every prompt, [n, trunk.size]: as `Trunk.phi` does, for many at once."""
    hand = np.clip((corpus.hand - trunk.centre) * trunk.scale, -REACH, REACH)
    space = positions(trunk.table, corpus, trunk.idf)
    return grown(trunk, np.concatenate((np.ones((len(corpus), 1)), hand, space), axis=1).astype(np.float32))


def positions(table: Floats, corpus: Corpus, idf: Floats) -> NDArray[np.float32]:
    """Give where each prompt lies in the space of a `table` [IDS, k] that counts the idf in, [n, k]: as `Trunk.phi` does."""
    rows = np.repeat(np.arange(len(corpus)), np.diff(corpus.starts))
    values = corpus.weights * idf[corpus.ids]
    length = np.sqrt(np.bincount(rows, values * values, len(corpus)))
    space = np.zeros((len(corpus), table.shape[1]), np.float32)
    for row in range(len(corpus)):
        part = slice(corpus.starts[row], corpus.starts[row + 1])
        space[row] = corpus.weights[part] @ table[corpus.ids[part]]
    return space / np.where(length > 0, length, 1)[:, None].astype(np.float32)


def grown(trunk: Trunk, phi: Floats) -> NDArray[np.float32]:
    """Add the forest's outputs to `phi` [n, ...] of the same trunk without it, and shorten what is far from everything."""
    placed = phi[:, 1:]
    full = np.concatenate((phi, outputs(trunk.forest, placed)), axis=1)
    return shortened(trunk, full)


def shortened(trunk: Trunk, phi: Floats) -> NDArray[np.float32]:
    """Shorten each `phi` [n, size] that is unlike the training prompts."""
    if not len(trunk.usual):
        return phi.astype(np.float32)
    far = ((phi[:, 1 : 1 + len(trunk.usual)] @ trunk.usual) ** 2).sum(axis=1)
    short = phi * np.maximum(1 / np.maximum(far, 1.0), LEFT)[:, None]
    short[:, 0] = 1
    return short.astype(np.float32)


def _usual(placed: Floats) -> NDArray[np.float32]:
    """Give `Trunk.usual` for training prompts `placed` [n, p].

    How far a prompt is, is its leverage: the variance that a regression on the others would have there (Belsley, Kuh & Welsch,
    Regression Diagnostics, 1980, 2.1).
    """
    here = placed.astype(np.float64)
    factor = np.linalg.inv(np.linalg.cholesky(here.T @ here + _STIFF * np.eye(here.shape[1]))).T
    leverage = ((here @ factor) ** 2).sum(axis=1)
    alone = leverage / np.maximum(1 - leverage, 1e-6)
    return (factor / math.sqrt(max(float(np.quantile(alone, _USUAL)), 1e-12))).astype(np.float32)


def _singular(wide: NDArray[np.float32], width: int, seed: int) -> NDArray[np.float32]:
    """Leading right singular vectors by randomised subspace iteration (Halko, Martinsson & Tropp, SIAM Review 53, 2011, 4.4)."""
    rng = np.random.default_rng(seed)
    basis = rng.standard_normal((wide.shape[1], min(width + 10, *wide.shape))).astype(np.float32)
    for _ in range(3):
        basis, _ = np.linalg.qr(wide.T @ (wide @ basis))
    _, _, turned = np.linalg.svd(wide @ basis, full_matrices=False)
    return (basis @ turned.T)[:, :width]


def _named(*parts: NDArray[np.float32]) -> str:
    digest = hashlib.sha256(str(FEATURES_VERSION).encode())
    for part in parts:
        digest.update(np.ascontiguousarray(part, "<f4").tobytes())
    return digest.hexdigest()[:16]
