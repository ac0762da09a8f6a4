"""Which generations and states there are, which of them serves, and what nobody needs any more."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from meliora.knowledge.text.analysis import VERSION
from meliora.store.knowledge.index.driver import Cursor
from meliora.store.knowledge.index.files import outlived

WRITTEN_AS = f"1/{VERSION}"
"""Version of the format, and of the analysis."""
KEPT_US = 3_600_000_000
"""How long a state is kept after it was replaced: what a view, which holds no transaction, can count on."""


class Part(msgspec.Struct, frozen=True, array_like=True):
    """A stretch of rows whose postings were written together."""

    number: int
    first: int
    rows: int


class Model(msgspec.Struct, frozen=True, array_like=True):
    """Which vectors a state has."""

    made: int
    """State at which it was fitted: the files of its vectors are named by it."""
    own: bool
    """Whether it was fitted here; else a provider gave the vectors."""
    dimension: int
    fitted: int
    """Passages at that time."""

    @property
    def file(self) -> str:
        """Name the file of the model."""
        return f"model-{self.made}"

    def vectors(self, part: Part) -> str:
        """Name the file of a part's vectors."""
        return f"vectors-{self.made}-{part.number}"


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a state of a generation is."""

    id: int
    """Of the generation."""
    generation: str
    state: int
    watermark: int = 0
    rows: int = 0
    """Dead ones included."""
    passages: int = 0
    documents: int = 0
    words: int = 0
    parts: tuple[Part, ...] = ()
    next_part: int = 0
    columns: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    """The first is whole, the others are changes to it."""
    fields: dict[str, int] = {}
    """Fields of the metadata, with the passages that have them."""
    model: Model | None = None

    def files(self) -> list[str]:
        """Name its files."""
        vectors = [self.model.file, *map(self.model.vectors, self.parts)] if self.model else []
        return [*self.columns, *self.counts, *map(lengths, self.parts), *vectors]


def lengths(part: Part) -> str:
    """Name the file of a part's lengths: 4 bytes a row of its words, then of its n-grams."""
    return f"lengths-{part.number}"


def lock_of(tenant: str, collection: str) -> int:
    """Give the number that stands for a collection's index among the locks."""
    name = f"meliora index\0{tenant}\0{collection}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "big", signed=True)


def serving(cursor: Cursor, tenant: str, collection: str) -> tuple[int, int] | None:
    """Give the generation and state that serve; None for none that can be used."""
    query = "SELECT id, state FROM index_generations WHERE tenant = %s AND collection = %s AND version = %s AND serves"
    return cursor.execute(query, (tenant, collection, WRITTEN_AS)).fetchone()


def whole(cursor: Cursor, tenant: str, collection: str, name: str) -> tuple[int, int] | None:
    """Give a generation by its name, with its last state; None for none that can be used."""
    query = """SELECT id, state FROM index_generations WHERE tenant = %s AND collection = %s AND name = %s
               AND version = %s AND replaced_us IS NULL"""
    return cursor.execute(query, (tenant, collection, name, WRITTEN_AS)).fetchone()


def names(cursor: Cursor, tenant: str, collection: str) -> list[str]:
    """Give the names of the generations that there are."""
    query = "SELECT DISTINCT name FROM index_generations WHERE tenant = %s AND collection = %s ORDER BY name"
    return [name for (name,) in cursor.execute(query, (tenant, collection))]


def named(cursor: Cursor, tenant: str, collection: str) -> dict[int, str]:
    """Give the names of all generations by their numbers, those that cannot be used among them."""
    query = "SELECT id, name FROM index_generations WHERE tenant = %s AND collection = %s"
    return dict(cursor.execute(query, (tenant, collection)).fetchall())


def load(cursor: Cursor, generation: int, state: int) -> tuple[State, bytes]:
    """Give a state, and a bit a row that lives. Raises `StoreError` where it was removed."""
    query = "SELECT manifest, alive FROM index_states WHERE generation = %s AND state = %s"
    found = cursor.execute(query, (generation, state)).fetchone()
    if found is None:
        raise outlived()
    return msgspec.msgpack.decode(found[0], type=State), found[1]


def check_kept(cursor: Cursor, state: State) -> None:
    """Raise `StoreError` where a state was removed, and with it what was just read of it."""
    query = "SELECT 1 FROM index_states WHERE generation = %s AND state = %s"
    if cursor.execute(query, (state.id, state.state)).fetchone() is None:
        raise outlived()


def begin(cursor: Cursor, tenant: str, collection: str, name: str) -> int:
    """Make a generation that has nothing yet and does not serve; give its number."""
    query = """INSERT INTO index_generations (tenant, collection, name, version, state, serves)
               VALUES (%s, %s, %s, %s, 0, false) RETURNING id"""
    return cursor.execute(query, (tenant, collection, name, WRITTEN_AS)).fetchone()[0]


def finish(cursor: Cursor, state: State, alive: bytes, now_us: int) -> None:
    """Write a state down as the last one of its generation."""
    values = (state.id, state.state, now_us, msgspec.msgpack.encode(state), alive)
    cursor.execute(
        "INSERT INTO index_states (generation, state, made_us, manifest, alive) VALUES (%s, %s, %s, %s, %s)", values
    )
    cursor.execute("UPDATE index_generations SET state = %s WHERE id = %s", (state.state, state.id))


def point(cursor: Cursor, tenant: str, collection: str, generation: int) -> None:
    """Let a generation serve, and no other."""
    query = """UPDATE index_generations SET serves = (id = %s)
               WHERE tenant = %s AND collection = %s AND serves <> (id = %s)"""
    cursor.execute(query, (generation, tenant, collection, generation))


def replace(cursor: Cursor, generation: int, now_us: int) -> None:
    """Say that another generation of the same name goes on in the place of this one."""
    cursor.execute("UPDATE index_generations SET replaced_us = %s WHERE id = %s", (now_us, generation))


def remove(cursor: Cursor, generations: Sequence[int]) -> None:
    """Remove generations with all that they have."""
    if generations:
        for table in ("index_postings", "index_passages", "index_files", "index_states"):
            cursor.execute(f"DELETE FROM {table} WHERE generation = ANY(%s)", (list(generations),))
        cursor.execute("DELETE FROM index_generations WHERE id = ANY(%s)", (list(generations),))


def retire(cursor: Cursor, tenant: str, collection: str, kept: Sequence[int]) -> None:
    """Remove generations that are older than all that are kept."""
    query = "SELECT id FROM index_generations WHERE tenant = %s AND collection = %s AND id < %s AND replaced_us IS NULL"
    remove(cursor, [id for (id,) in cursor.execute(query, (tenant, collection, min(kept))).fetchall()])


def unusable(cursor: Cursor, tenant: str, collection: str, name: str) -> list[int]:
    """Give the generations of a name that are of another version."""
    query = """SELECT id FROM index_generations WHERE tenant = %s AND collection = %s AND name = %s AND version <> %s"""
    return [id for (id,) in cursor.execute(query, (tenant, collection, name, WRITTEN_AS)).fetchall()]


def can_be_swept(cursor: Cursor, tenant: str, collection: str, now_us: int) -> bool:
    """Tell whether anything was replaced an hour ago."""
    query = """SELECT 1 FROM index_generations g WHERE g.tenant = %s AND g.collection = %s AND (g.replaced_us < %s OR EXISTS (
                   SELECT 1 FROM index_states s WHERE s.generation = g.id AND s.state < (
                       SELECT max(l.state) FROM index_states l WHERE l.generation = g.id AND l.made_us < %s))) LIMIT 1"""
    before = now_us - KEPT_US
    return cursor.execute(query, (tenant, collection, before, before)).fetchone() is not None


def sweep(cursor: Cursor, tenant: str, collection: str, now_us: int) -> None:
    """Remove what was replaced an hour ago: states with the parts, files and dead rows that no later one has, and generations."""
    query = "SELECT id FROM index_generations WHERE tenant = %s AND collection = %s AND replaced_us < %s"
    remove(cursor, [id for (id,) in cursor.execute(query, (tenant, collection, now_us - KEPT_US)).fetchall()])
    query = """SELECT s.generation, max(s.state) FROM index_states s JOIN index_generations g ON g.id = s.generation
               WHERE g.tenant = %s AND g.collection = %s AND s.made_us < %s GROUP BY s.generation"""
    # The last state made before then served until later: only those before it were replaced before then.
    for generation, first in cursor.execute(query, (tenant, collection, now_us - KEPT_US)).fetchall():
        _sweep_states(cursor, generation, first)


def _sweep_states(cursor: Cursor, generation: int, first: int) -> None:
    query = "DELETE FROM index_states WHERE generation = %s AND state < %s RETURNING manifest"
    gone = _states(cursor.execute(query, (generation, first)).fetchall())
    if not gone:
        return
    kept = _states(cursor.execute("SELECT manifest FROM index_states WHERE generation = %s", (generation,)).fetchall())
    parts = {part.number for one in gone for part in one.parts} - {part.number for one in kept for part in one.parts}
    files = {name for one in gone for name in one.files()} - {name for one in kept for name in one.files()}
    cursor.execute("DELETE FROM index_postings WHERE generation = %s AND part = ANY(%s)", (generation, [*parts]))
    cursor.execute("DELETE FROM index_files WHERE generation = %s AND name = ANY(%s)", (generation, [*files]))
    cursor.execute("DELETE FROM index_passages WHERE generation = %s AND died <= %s", (generation, first))


def _states(rows: Sequence[tuple[bytes]]) -> list[State]:
    return [msgspec.msgpack.decode(body, type=State) for (body,) in rows]
