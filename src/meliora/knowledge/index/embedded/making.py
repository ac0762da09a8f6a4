"""A new state of a generation: made aside, with all that the state before has, and renamed whole at the end.

Whatever fails before that, a full disk or a kill, leaves a folder and tails of files that no manifest names.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from meliora.errors import Conflict
from meliora.knowledge.documents import Changed
from meliora.knowledge.index.embedded import counts, lsa, vectors
from meliora.knowledge.index.embedded.columns import MOST_PARTS, Columns, ColumnsWriter
from meliora.knowledge.index.embedded.entries import Chunk, Entry, again, entries, grams_of, token, tokens
from meliora.knowledge.index.embedded.layout import (
    MAKING,
    MANIFEST,
    SCHEMA,
    Fixed,
    Folder,
    Manifest,
    Model,
    Step,
    fixed,
    state_name,
    sync,
    write,
)
from meliora.knowledge.index.embedded.rows import Rows, RowsWriter
from meliora.knowledge.index.embedded.words import FOLDER, Words, WordsWriter
from meliora.knowledge.text.analysis import VERSION

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Settings:
    """How an index is made."""

    dimension: int = 128
    """Of the vectors, at most; a quarter of the passages in a small collection."""
    fit_from: int = 50
    """Passages from which on there are vectors."""
    fit_again: int = 4
    """Times that a collection has grown since the fit, before the model is fitted again."""
    sample: int = 20_000
    """Passages that a model is fitted to, at most."""
    seed: int = 7
    dead_rows: int = 2_000
    """Rows up to which dead ones are left where they are."""
    build_heap: int = 128_000_000
    apply_heap: int = 30_000_000
    """Bytes that tantivy gathers before it writes a segment."""


@dataclass(frozen=True, slots=True)
class Means:
    """What it is made with."""

    folder: Folder
    chunk: Chunk
    settings: Settings
    embed: vectors.Embed | None
    now_us: Callable[[], int]
    step: Step


class Making:
    """Takes changes to the state `before`, or to none, and makes the next.

    Where more rows are dead than alive, the living are numbered anew first, which removes the others from every file.
    """

    def __init__(self, means: Means, generation: str, before: Manifest | None, *, heap: int) -> None:
        self._means = means
        anew = before if before is not None and _wasteful(before, means) else None
        self._before = None if anew else before
        self._base = self._before or _blank(generation, anew, means.now_us())
        self._folder = means.folder.path / generation
        _check_vectors(self._base, means.embed)
        self._aside = self._folder / MAKING
        means.step("begin")
        self._aside.mkdir(parents=True)
        old = self._folder / state_name(self._base.state) / FOLDER if self._before else None
        self._old = Words(old, self._base.passages) if old else None
        self._words = WordsWriter(self._aside / FOLDER, old, heap)
        self._rows = RowsWriter(self._folder, self._base.epoch, self._base.sizes, self._base.rows)
        self._held = self._kept(self._base)
        self._dead: set[int] = set()
        self._added: dict[str, range] = {}
        self._columns, self._tally = ColumnsWriter(), counts.Tally()
        self._fields = dict(self._base.fields)
        self._passages, self._documents, self._total = self._base.passages, self._base.documents, self._base.words
        self._watermark = self._base.watermark
        self._checks: dict[str, int] = {}
        if anew is not None:
            self._number_anew(anew)

    def take(self, changes: Iterable[Changed]) -> None:
        """Take changes up, a later one of a document in the place of an earlier one."""
        for change in changes:
            self._watermark = max(self._watermark, change.seq)
            self._remove(change.id)
            if change.kept is not None:
                self._add(change)

    def reach(self, seq: int) -> None:
        """Say that it has every change up to one: the last of them may be told no more."""
        self._watermark = max(self._watermark, seq)

    def finish(self) -> str:
        """Have it whole on the disk, and give its name. It serves once `CURRENT` names it."""
        step = self._means.step
        step("words")
        self._words.finish()
        step("rows")
        sizes = self._rows.finish()
        manifest = msgspec.structs.replace(
            self._base,
            state=self._base.state + 1,
            made_us=self._means.now_us(),
            watermark=self._watermark,
            rows=self._rows.rows,
            passages=self._passages,
            documents=self._documents,
            words=self._total,
            sizes=sizes,
            fields={name: count for name, count in self._fields.items() if count},
        )
        manifest = self._with_parts(manifest)
        step("vectors")
        manifest = self._with_vectors(manifest)
        kept = {*manifest.columns, *manifest.counts, *([manifest.vectors.model] if manifest.vectors else [])}
        checks = {name: crc for name, crc in {**self._base.checks, **self._checks}.items() if name in kept}
        checks[DEAD] = self._checks[DEAD]
        manifest = msgspec.structs.replace(manifest, checks=checks)
        step("manifest")
        write(self._aside / MANIFEST, msgspec.json.encode(manifest))
        sync(self._aside / FOLDER)
        sync(self._aside)
        step("rename")
        name = state_name(manifest.state)
        self._aside.rename(self._folder / name)
        sync(self._folder)
        sync(self._folder.parent)
        step("renamed")
        return f"{manifest.generation}/{name}"

    def close(self, *, failed: bool) -> None:
        """Let go of what it holds; what was made in vain is removed."""
        self._rows.close()
        if failed:
            self._words.give_up()
            shutil.rmtree(self._aside, ignore_errors=True)

    def _add(self, change: Changed) -> None:
        assert change.kept is not None
        self._add_entries(change.id, entries(change.kept, self._means.chunk))

    def _number_anew(self, old: Manifest) -> None:
        kept = self._kept(old)
        living = map(kept.record, alive_rows(self._folder, old).nonzero()[0].tolist())
        for document, records in groupby(living, key=lambda one: one.document):
            self._add_entries(document, [again(one) for one in records])

    def _add_entries(self, document: str, found: Iterable[Entry]) -> None:
        first = self._rows.rows
        for entry in found:
            row = self._rows.add(entry.name, entry.record)
            fields = list(entry.record.fields())
            words = f"{entry.record.title_terms} {entry.record.terms}"
            self._words.add(row, words, grams_of(entry.written), tokens(fields))
            self._columns.add(row, fields)
            self._tally.add(entry.terms, entry.written)
            self._count(entry.record.metadata, entry.terms, 1)
        self._added[document] = range(first, self._rows.rows)
        self._documents += 1

    def _remove(self, document: str) -> None:
        new = self._added.pop(document, range(0))
        said = token("id", document)
        rows = [*new, *(self._old.rows_with([said]) if self._old is not None and said else ())]
        gone = [row for row in rows if row not in self._dead]
        if not gone:
            return
        self._words.remove(gone)
        kept = self._held
        if new:
            self._rows.flush()
            kept = Rows(self._folder, self._base.epoch, self._rows.sizes, self._rows.rows)
        for row in gone:
            entry = again(kept.record(row))
            self._tally.remove(entry.terms, entry.written)
            self._count(entry.record.metadata, entry.terms, -1)
        self._dead.update(gone)
        self._documents -= 1

    def _kept(self, manifest: Manifest) -> Rows:
        return Rows(self._folder, manifest.epoch, manifest.sizes, manifest.rows)

    def _count(self, metadata: Iterable[str], terms: Sequence[str], by: int) -> None:
        self._passages += by
        self._total += by * len(terms)
        for field in metadata:
            self._fields[field] = self._fields.get(field, 0) + by

    def _with_parts(self, manifest: Manifest) -> Manifest:
        """Write what never changes: dead rows, columns, counts."""
        base, at = self._base, manifest.state
        self._means.step("parts")
        self._checks[DEAD] = write(self._aside / DEAD, _packed(self._alive(manifest)))
        columns, tables = (*base.columns, f"columns-{at}"), (*base.counts, f"counts-{at}")
        all_columns = (
            Columns([*fixed(self._folder, base.columns, base).values()], base.rows)
            if len(columns) > MOST_PARTS
            else None
        )
        all_counts = (
            counts.CountsOf(fixed(self._folder, base.counts, base)) if len(tables) > counts.MOST_CHANGES else None
        )
        self._checks[columns[-1]] = write(self._folder / columns[-1], self._columns.encoded(all_columns))
        self._checks[tables[-1]] = write(self._folder / tables[-1], self._tally.encoded(all_counts))
        return msgspec.structs.replace(
            manifest,
            columns=columns[-1:] if all_columns else columns,
            counts=tables[-1:] if all_counts else tables,
        )

    def _alive(self, manifest: Manifest) -> NDArray[np.bool_]:
        import numpy as np

        alive = np.ones(manifest.rows, dtype=bool)
        if self._before is not None:
            alive[: self._base.rows] = alive_rows(self._folder, self._base)
        alive[list(self._dead)] = False
        return alive

    def _with_vectors(self, manifest: Manifest) -> Manifest:
        model, settings = manifest.vectors, self._means.settings
        rows = self._kept(manifest)
        if self._means.embed is not None:
            file = model.file if model else "vectors-given"
            length = vectors.given(
                self._folder / file, rows, self._base.rows, self._means.embed, model.dimension if model else None
            )
            made = Model(file=file, model="", dimension=length, fitted=0) if length else None
            return msgspec.structs.replace(manifest, vectors=made)
        if model is not None and manifest.passages < settings.fit_again * model.fitted:
            fitted = lsa.decoded(Fixed(self._folder / model.model, manifest.checks[model.model]).read())
            vectors.fold(self._folder / model.file, rows, self._base.rows, fitted)
            return manifest
        return self._fitted(manifest, rows)

    def _fitted(self, manifest: Manifest, rows: Rows) -> Manifest:
        """Fit a model, where there are passages enough, and fold everything into it."""
        import numpy as np

        settings = self._means.settings
        if manifest.passages < settings.fit_from:
            return msgspec.structs.replace(manifest, vectors=None)
        living = np.flatnonzero(self._alive(manifest))
        rng = np.random.default_rng(settings.seed)
        if len(living) > settings.sample:
            living = np.sort(rng.choice(living, settings.sample, replace=False))
        sample = [rows.record(row).all_terms for row in living.tolist()]
        fitted = lsa.fit(sample, min(settings.dimension, manifest.passages // 4), settings.seed)
        if fitted is None:
            return msgspec.structs.replace(manifest, vectors=None)
        file, model = f"vectors-{manifest.state}", f"model-{manifest.state}"
        self._checks[model] = write(self._folder / model, fitted.encoded())
        vectors.fold(self._folder / file, rows, 0, fitted)
        made = Model(file=file, model=model, dimension=fitted.dimension, fitted=manifest.passages)
        return msgspec.structs.replace(manifest, vectors=made)


def alive_rows(folder: Path, manifest: Manifest) -> NDArray[np.bool_]:
    """Tell of each row of a state whether it lives."""
    import numpy as np

    body = Fixed(folder / state_name(manifest.state) / DEAD, manifest.checks[DEAD]).read()
    bits = np.unpackbits(np.frombuffer(body, np.uint8), count=manifest.rows)
    return bits.astype(bool)


def _wasteful(state: Manifest, means: Means) -> bool:
    """Tell whether the living rows are to be numbered anew; not where a provider would have to be paid for their vectors again."""
    paid = means.embed is not None or (state.vectors is not None and not state.vectors.model)
    return not paid and state.rows > max(2 * state.passages, means.settings.dead_rows)


def _blank(generation: str, anew: Manifest | None, now_us: int) -> Manifest:
    """Give a state that has nothing: the first of a generation, or one that goes on from `anew` with other rows."""
    blank = Manifest(schema=SCHEMA, analysis=VERSION, generation=generation, state=0, made_us=now_us, first_us=now_us)
    if anew is None:
        return blank
    return msgspec.structs.replace(
        blank, state=anew.state, first_us=anew.first_us, epoch=anew.state + 1, watermark=anew.watermark
    )


def _packed(alive: NDArray[np.bool_]) -> bytes:
    import numpy as np

    return np.packbits(alive).tobytes()


def _check_vectors(base: Manifest, embed: vectors.Embed | None) -> None:
    if base.vectors is not None and (base.vectors.model == "") != (embed is not None):
        held = "a provider's embeddings" if base.vectors.model == "" else "vectors of its own"
        raise Conflict(f"The index has {held}; it is configured otherwise now.", hint="Build a new generation.")
