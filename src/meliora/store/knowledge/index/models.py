"""The vectors of a state: fitted to what is there, folded in part by part, joined as parts are, and searched one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from meliora.errors import Conflict
from meliora.knowledge.index.embedded import lsa
from meliora.knowledge.index.embedded.entries import Record
from meliora.knowledge.index.embedded.making import Settings
from meliora.knowledge.index.embedded.vectors import BATCH, Embed, normalised
from meliora.store.knowledge.index import files
from meliora.store.knowledge.index.catalog import Model, Part, State
from meliora.store.knowledge.index.driver import Cursor
from meliora.store.knowledge.index.postings import best

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK = 4096
MOST_BYTES = 1 << 27
"""Of the vectors of one part: what one value of the database holds with ease."""

decode = msgspec.msgpack.Decoder(Record).decode


class Nearest:
    """Searches the vectors of a state, all of them, so that nothing near is missed."""

    def __init__(self, bodies: Sequence[bytes], parts: Sequence[Part], dimension: int) -> None:
        import numpy as np

        self._blocks = [np.frombuffer(body, "<f4").reshape(-1, dimension) for body in bodies]
        self._firsts = np.array([part.first for part in parts])

    def nearest(
        self, vector: NDArray[np.float32], limit: int, allowed: NDArray[np.bool_]
    ) -> tuple[list[int], list[float]]:
        """Give the allowed rows of the greatest cosine above 0, best first."""
        import numpy as np

        scores = np.concatenate([block @ vector for block in self._blocks])
        scores[~allowed] = -1
        return best(scores, limit)

    def cosine(self, vector: NDArray[np.float32], row: int) -> float:
        """Give the cosine with a row."""
        import numpy as np

        at = int(np.searchsorted(self._firsts, row, "right")) - 1
        return float(self._blocks[at][row - self._firsts[at]] @ vector)


class Vectors:
    """Writes the vectors of one new state."""

    def __init__(self, cursor: Cursor, settings: Settings, embed: Embed | None) -> None:
        self._cursor, self._settings, self._embed = cursor, settings, embed

    def finish(self, state: State, before: State, alive: NDArray[np.bool_]) -> State:
        """Give the state with its model, and write the vectors of the parts that have none of it."""
        model = before.model
        if model is not None and model.own == (self._embed is not None):
            held = "vectors of its own" if model.own else "a provider's embeddings"
            raise Conflict(f"The index has {held}; it is configured otherwise now.", hint="Build a new generation.")
        if self._embed is not None:
            return self._given(state, before, self._embed)
        if model is None or state.passages >= self._settings.fit_again * model.fitted:
            state = self._fitted(state, alive)
            model = None
        if state.model is not None:
            self._fold(state, len(before.parts) if model is not None else 0)
        return state

    def most_rows(self, state: State) -> int:
        """Give the rows that one part may have."""
        return MOST_BYTES // (4 * (state.model.dimension if state.model else self._settings.dimension))

    def join(self, state: State, parts: Sequence[Part], into: Part) -> None:
        """Write the vectors of neighbouring parts once more, as those of one."""
        if state.model is not None:
            names = list(map(state.model.vectors, parts))
            found = files.read(self._cursor, state.id, names)
            files.write(self._cursor, state.id, state.model.vectors(into), b"".join(found[name] for name in names))

    def _fitted(self, state: State, alive: NDArray[np.bool_]) -> State:
        """Fit a model, where there are passages enough."""
        import numpy as np

        fitted = None
        if state.passages >= self._settings.fit_from:
            living = np.flatnonzero(alive)
            if len(living) > self._settings.sample:
                rng = np.random.default_rng(self._settings.seed)
                living = np.sort(rng.choice(living, self._settings.sample, replace=False))
            query = "SELECT record FROM index_passages WHERE generation = %s AND row = ANY(%s) ORDER BY row"
            sample: list[list[str]] = []
            for at in range(0, len(living), BLOCK):
                rows = self._cursor.execute(query, (state.id, living[at : at + BLOCK].tolist()))
                sample.extend(decode(body).all_terms for (body,) in rows.fetchall())
            dimension = min(self._settings.dimension, state.passages // 4)
            fitted = lsa.fit(sample, dimension, self._settings.seed)
        if fitted is None:
            return msgspec.structs.replace(state, model=None)
        model = Model(made=state.state, own=True, dimension=fitted.dimension, fitted=state.passages)
        files.write(self._cursor, state.id, model.file, fitted.encoded())
        return msgspec.structs.replace(state, model=model)

    def _fold(self, state: State, first: int) -> None:
        model = state.model
        assert model is not None
        if first == len(state.parts):
            return
        fitted = lsa.decoded(files.read(self._cursor, state.id, [model.file])[model.file])
        for part in state.parts[first:]:
            blocks = (
                fitted.folded([one.all_terms if one else () for one in rows]) for rows in self._records(state, part)
            )
            files.write(self._cursor, state.id, model.vectors(part), b"".join(one.tobytes() for one in blocks))

    def _given(self, state: State, before: State, embed: Embed) -> State:
        """Write the vectors that a provider gives of the new parts. Raises `Conflict` where their length changed."""
        model = before.model
        dimension = model.dimension if model else None
        bodies: list[bytes] = []
        new = state.parts[len(before.parts) if model else 0 :]
        for part in new:
            blocks: list[bytes] = []
            for rows in self._records(state, part, BATCH):
                said = [f"{one.title}\n{one.text}".strip() if one else "" for one in rows]
                vectors = normalised(embed(said), len(rows), dimension)
                dimension = int(vectors.shape[1])
                blocks.append(vectors.astype("<f4").tobytes())
            bodies.append(b"".join(blocks))
        if model is None and dimension is not None:
            model = Model(made=state.state, own=False, dimension=dimension, fitted=0)
            files.write(self._cursor, state.id, model.file, b"")
        if model is not None:
            for part, body in zip(new, bodies, strict=True):
                files.write(self._cursor, state.id, model.vectors(part), body)
        return msgspec.structs.replace(state, model=model)

    def _records(self, state: State, part: Part, block: int = BLOCK) -> Iterator[list[Record | None]]:
        """Give the records of a part's rows, some at a time; None for a row that is dead."""
        query = "SELECT row, record FROM index_passages WHERE generation = %s AND row >= %s AND row < %s"
        for at in range(part.first, part.first + part.rows, block):
            end = min(at + block, part.first + part.rows)
            found = dict(self._cursor.execute(query, (state.id, at, end)).fetchall())
            yield [decode(found[row]) if row in found else None for row in range(at, end)]
