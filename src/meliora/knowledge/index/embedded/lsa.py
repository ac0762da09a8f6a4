"""The vector model: latent semantic analysis (Deerwester et al., 1990) of weighted terms. New passages and queries are folded in.

A passage's term weighs (1 + log of its count) * (1 + log of passages by those that have it); rows have length 1.
The decomposition is randomised, with a fixed seed (Halko, Martinsson, Tropp, SIAM Review 2011, algorithm 4.4).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import msgspec

from meliora.errors import MissingExtra

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_TERMS = 50_000
"""Terms of a model: those that most passages of the sample have."""
OVERSAMPLED = 16
POWERS = 8
"""Iterations after which a small sample's axes no longer move. Fewer leave chance in the last of them: what a handful of other passages
changes is then seen in the ranking."""
LEAST_POWERS = 3
WORK = 40_000
"""Passages times iterations from which on there are fewer: the fit takes as long as both."""


class _File(msgspec.Struct, frozen=True, array_like=True):
    terms: list[str]
    dimension: int
    rarity: bytes
    axes: bytes


class Lsa:
    """A fitted model. Safe to use from several threads."""

    def __init__(self, terms: Sequence[str], rarity: NDArray[np.float32], axes: NDArray[np.float32]) -> None:
        self._places = {term: place for place, term in enumerate(terms)}
        self._rarity, self._axes = rarity, axes
        self.dimension = int(axes.shape[1])

    def encoded(self) -> bytes:
        """Give it as a file."""
        axes, rarity = self._axes.astype("<f4").tobytes(), self._rarity.astype("<f4").tobytes()
        return msgspec.msgpack.encode(_File(list(self._places), self.dimension, rarity, axes))

    def folded(self, passages: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """Give the vectors of passages by their terms, of length 1; zeros where no term is known."""
        import numpy as np

        vectors = (_weighted(passages, self._places, self._rarity) @ self._axes).astype(np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.where(lengths > 0, vectors / np.maximum(lengths, 1e-12), 0).astype(np.float32)

    def vector(self, terms: Mapping[str, float]) -> NDArray[np.float32] | None:
        """Give the vector of a query, of length 1; None where no term is known."""
        import numpy as np

        known = [
            (self._places[term], weight) for term, weight in terms.items() if term in self._places and 0 < weight < 1e9
        ]
        if not known:
            return None
        places = [place for place, _ in known]
        weights = np.array([1 + math.log(one) if one >= 1 else one for _, one in known], dtype=np.float32)
        vector = (weights * self._rarity[places]) @ self._axes[places]
        length = float(np.linalg.norm(vector))
        return (vector / length).astype(np.float32) if length > 1e-12 else None


def decoded(body: bytes) -> Lsa:
    """Read a model's file."""
    import numpy as np

    kept = msgspec.msgpack.decode(body, type=_File)
    axes = np.frombuffer(kept.axes, "<f4").reshape(-1, kept.dimension)
    return Lsa(kept.terms, np.frombuffer(kept.rarity, "<f4"), axes)


def fit(passages: Sequence[Sequence[str]], dimension: int, seed: int) -> Lsa | None:
    """Fit a model to a sample of passages by their terms; None where they have too few terms to tell anything."""
    import numpy as np

    frequency = Counter(chain.from_iterable(map(set, passages)))
    terms = [term for term, _ in sorted(frequency.items(), key=lambda one: (-one[1], one[0]))[:MOST_TERMS]]
    dimension = min(dimension, len(terms) - 1, len(passages) - 1)
    if dimension < 2:
        return None
    places = {term: place for place, term in enumerate(terms)}
    rarity = np.array([math.log(len(passages) / frequency[term]) + 1 for term in terms], dtype=np.float32)
    matrix = _weighted(passages, places, rarity)
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix = _sparse().diags(1 / np.maximum(lengths, 1e-12)).astype(np.float32) @ matrix
    return Lsa(terms, rarity, _axes(matrix.tocsr(), dimension, np.random.default_rng(seed)))


def _axes(matrix: Any, dimension: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Give the first right singular vectors, a column each."""
    import numpy as np

    width = min(dimension + OVERSAMPLED, *matrix.shape)
    across = matrix.T.tocsr()
    basis = np.linalg.qr(matrix @ rng.standard_normal((matrix.shape[1], width)).astype(np.float32))[0]
    for _ in range(max(LEAST_POWERS, min(POWERS, WORK // matrix.shape[0]))):
        basis = np.linalg.qr(matrix @ (across @ basis))[0]
    # The right singular vectors of the small matrix, by the eigenvectors of its square: width by width only.
    small = across @ basis
    values, turned = np.linalg.eigh((small.T @ small).astype(np.float64))
    first = turned[:, ::-1][:, :dimension] / np.sqrt(np.maximum(values[::-1][:dimension], 1e-12))
    return (small @ first.astype(np.float32)).astype(np.float32)


def _weighted(passages: Sequence[Sequence[str]], places: Mapping[str, int], rarity: NDArray[np.float32]) -> Any:
    import numpy as np

    columns, ends = _placed(passages, places)
    ones = np.ones(len(columns), dtype=np.float32)
    matrix = _sparse().csr_matrix((ones, columns, ends), shape=(len(passages), len(places)))
    matrix.sum_duplicates()
    matrix.data = (1 + np.log(matrix.data)) * rarity[matrix.indices]
    return matrix


def _placed(
    passages: Sequence[Sequence[str]], places: Mapping[str, int]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Give the places of the known terms of all passages in a row, and where each passage begins and the last one ends."""
    import numpy as np

    until = np.cumsum([0, *map(len, passages)])
    found = np.fromiter(map(places.get, chain.from_iterable(passages), repeat(-1)), np.int32, int(until[-1]))
    known = found >= 0
    before = np.zeros(len(found) + 1, dtype=np.int32)
    np.cumsum(known, out=before[1:])
    return found[known], before[until]


def _sparse() -> Any:
    try:
        from scipy import sparse
    except ImportError as error:
        raise MissingExtra("Vectors need scipy.", hint="pip install 'meliora[knowledge]'") from error
    return sparse
