"""Vectors by row: written beside a state, and searched one by one, so that nothing near is missed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meliora.errors import Conflict
from meliora.knowledge.index.embedded.layout import Model, mapped
from meliora.knowledge.index.embedded.lsa import Lsa
from meliora.knowledge.index.embedded.rows import Rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Embed = Callable[[Sequence[str]], Any]
"""Gives a vector of each text, all of one length."""
BLOCK = 4096
BATCH = 64
"""Texts of one call to a provider."""


class Nearest:
    """Searches the vectors of a state."""

    def __init__(self, folder: Path, model: Model, rows: int) -> None:
        import numpy as np

        body = mapped(folder / model.file, 4 * rows * model.dimension)
        self._vectors = np.frombuffer(body, "<f4").reshape(rows, model.dimension)

    def nearest(
        self, vector: NDArray[np.float32], limit: int, allowed: NDArray[np.bool_]
    ) -> tuple[list[int], list[float]]:
        """Give the allowed rows of the greatest cosine above 0, best first."""
        import numpy as np

        scores = self._vectors @ vector
        scores[~allowed] = -1
        cut = max(len(scores) - limit, 0)
        best = np.argpartition(scores, cut)[cut:]
        best = best[scores[best] > 0]
        best = best[np.argsort(-scores[best], kind="stable")]
        return best.tolist(), scores[best].tolist()

    def cosines(self, vector: NDArray[np.float32], rows: Sequence[int]) -> list[float]:
        """Give the cosine with each of the rows."""
        return (self._vectors[list(rows)] @ vector).tolist() if rows else []


def fold(path: Path, rows: Rows, first: int, lsa: Lsa) -> None:
    """Write the vectors of the rows from `first` on, whatever stands there. Raises `OSError`."""
    _append(
        path,
        4 * first * lsa.dimension,
        (
            lsa.folded([rows.record(row).all_terms for row in range(at, min(at + BLOCK, rows.rows))])
            for at in range(first, rows.rows, BLOCK)
        ),
    )


def given(path: Path, rows: Rows, first: int, embed: Embed, dimension: int | None) -> int | None:
    """Write the vectors that a provider gives of the rows from `first` on; give their length. Raises `Conflict` where it changed."""
    found = dimension

    def blocks():
        nonlocal found
        for at in range(first, rows.rows, BATCH):
            records = [rows.record(row) for row in range(at, min(at + BATCH, rows.rows))]
            vectors = normalised(embed([f"{one.title}\n{one.text}".strip() for one in records]), len(records), found)
            found = vectors.shape[1]
            yield vectors

    _append(path, 4 * first * (dimension or 0), blocks())
    return found


def normalised(said: Any, count: int, dimension: int | None) -> NDArray[np.float32]:
    """Check what a provider gave, and give it with length 1. Raises `Conflict` for another number or length of vectors."""
    import numpy as np

    vectors = np.asarray(said, dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != count or not vectors.shape[1]:
        raise Conflict(f"The embeddings of {count} texts have the shape {vectors.shape}: one vector a text is asked.")
    if dimension is not None and vectors.shape[1] != dimension:
        raise Conflict(
            f"The embeddings have {vectors.shape[1]} dimensions, those of the index {dimension}.",
            hint="Configure the model that the index was built with, or build a new generation.",
        )
    if not np.isfinite(vectors).all():
        raise Conflict("The embeddings hold something that is no number.")
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _append(path: Path, size: int, blocks: Any) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        file.truncate(size)
        file.seek(size)
        for block in blocks:
            file.write(block.astype("<f4").tobytes())
        file.flush()
        os.fsync(file.fileno())
