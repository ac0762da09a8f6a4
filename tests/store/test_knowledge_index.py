"""The index in PostgreSQL holds to the contract of every index."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from meliora.errors import Conflict, InvalidRequest, NotFound, StoreError, StoreUnavailable
from meliora.knowledge.config import LEGS
from meliora.knowledge.index.base import IndexHeld
from meliora.knowledge.index.embedded import Settings
from meliora.knowledge.index.local import LocalView
from meliora.knowledge.indexes import Indexes
from meliora.store import Store
from meliora.store.dump import dump_tables, load_tables
from meliora.store.engine import connect
from meliora.store.knowledge.index import PostgresIndex, indexed
from meliora.store.knowledge.index.catalog import lock_of
from meliora.store.knowledge.index.driver import holding
from meliora.store.knowledge.index.view import PostgresView
from meliora.store.tables import metadata
from meliora.testing import FrozenClock
from tests.knowledge.index.contract import IndexContract, all_of, animals, asked, chunk, found, gone, many, put


def cleared(engine: sa.Engine) -> sa.Engine:
    """Empty the tables of the index."""
    with engine.begin() as connection:
        for table in metadata.sorted_tables:
            if table.info.get("derived"):
                connection.execute(sa.delete(table))
    return engine


@pytest.fixture
def database(postgres: sa.Engine) -> sa.Engine:
    return cleared(postgres)


class TestPostgres(IndexContract):
    """The suite, on PostgreSQL."""

    @pytest.fixture
    def index(self, database: sa.Engine) -> PostgresIndex:
        """Give an empty index."""
        return PostgresIndex(database, "default", "c", chunk=chunk, clock=FrozenClock())


def opened(database: sa.Engine, collection: str = "c", clock=None, **given) -> PostgresIndex:
    """Open an index as one process does."""
    return PostgresIndex(database, "default", collection, chunk=chunk, clock=clock or FrozenClock(), **given)


def rows_of(database: sa.Engine, table: str) -> int:
    with database.connect() as connection:
        return connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()


def test_all_processes_see_what_one_of_them_wrote(database: sa.Engine) -> None:
    one, other = opened(database), opened(database)
    one.apply(animals())
    assert found(other.view(), "quick fox") == ["fox"]
    other.apply([put(4, "owl", "an owl and a fox")])
    assert set(found(one.view(), "fox")) == {"fox", "owl"}
    assert one.view() is one.view()


def test_collections_and_tenants_are_apart(database: sa.Engine) -> None:
    opened(database).apply(animals())
    for tenant, collection in (("default", "d"), ("other", "c")):
        apart = PostgresIndex(database, tenant, collection, chunk=chunk, clock=FrozenClock())
        assert apart.view().documents == 0
        apart.apply([put(1, "own", "a fox of its own")])
        assert found(apart.view(), "fox") == ["own"]
    assert found(opened(database).view(), "fox") == ["fox"]


def test_a_second_writer_is_refused_and_readers_are_not(database: sa.Engine) -> None:
    one, other = opened(database), opened(database)
    one.apply(animals())

    def meanwhile():
        for write in (
            lambda: other.apply([put(9, "x", "text")]),
            lambda: other.build([], "2"),
            lambda: other.switch("1"),
        ):
            with pytest.raises(Conflict, match="held by another writer"):
                write()
        assert found(other.view(), "quick fox") == ["fox"]
        opened(database, "elsewhere").apply(animals())
        yield put(5, "new", "brand new")

    one.build(meanwhile(), "next")
    one.switch("next")
    assert dict(other.view().hashes()) == {"new": "hash of new at 5"}


STEPS = ("begin", "part", "tables", "vectors", "join", "state", "point", "commit")


@pytest.mark.parametrize("failing", STEPS)
def test_what_fails_at_any_step_was_never_there(database: sa.Engine, failing: str) -> None:
    calm = opened(database)
    calm.apply(many(60))
    told, stored = all_of(calm.view()), rows_of(database, "index_postings")

    def step(name: str) -> None:
        if name == failing:
            raise OSError(28, "No space left on device")

    changes = [put(100, "d1", "engine of another kind"), gone(101, "d2")]
    with pytest.raises(OSError, match="No space"):
        opened(database, step=step).apply(changes)
    assert all_of(calm.view()) == all_of(opened(database).view()) == told
    assert rows_of(database, "index_postings") == stored
    assert calm.apply(changes) == 101
    assert found(calm.view(), "kind") == ["d1"]


@pytest.mark.parametrize("at", ["part", "commit"])
def test_a_writer_whose_connection_is_cut_leaves_nothing(database: sa.Engine, at: str) -> None:
    calm = opened(database)
    calm.apply(animals())

    def cut(name: str) -> None:
        if name == at:
            with database.connect() as connection:
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                    " AND pid <> pg_backend_pid() AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                    f" AND ((classid::int8 << 32) | objid::int8) = ({lock_of('default', 'c')} # hashtextextended(current_schema(), 0))"
                )

    with pytest.raises(StoreUnavailable):
        opened(database, step=cut).apply([put(4, "owl", "an owl")])
    assert (calm.view().watermark, found(calm.view(), "owl")) == (3, [])
    assert calm.apply([put(4, "owl", "an owl")]) == 4


def test_a_database_that_is_away_is_named_and_nothing_hangs() -> None:
    away = connect("postgresql+psycopg://nobody@127.0.0.1:1/nowhere")
    index = opened(away)
    for ask in (index.view, lambda: index.apply(animals()), lambda: index.build([], "1"), lambda: index.built("1")):
        with pytest.raises(StoreUnavailable):
            ask()
    away.dispose()


def test_a_view_says_that_the_database_went_away_and_goes_on_when_it_is_back(database: sa.Engine) -> None:
    opened(database).apply(many(60))
    away = connect("postgresql+psycopg://nobody@127.0.0.1:1/nowhere")
    view = opened(database).view()
    assert isinstance(view, PostgresView)
    view._engine = away
    for leg in LEGS:
        with pytest.raises(StoreUnavailable):
            found(view, "engine oil", leg)
    with pytest.raises(StoreUnavailable):
        view.stored(["d1#0"])
    view._engine = database
    assert found(view, "engine oil")
    away.dispose()


def test_scores_are_those_of_the_formula_whatever_was_replaced_before(database: sa.Engine) -> None:
    """Held against the index of a few passages, which counts one by one."""
    index = opened(database)
    chosen = random.Random(3)
    words = [f"{a}{b}" for a in ("kan", "mor", "tel", "vis", "rup") for b in ("ado", "ina", "ekt", "ul")]
    for step in range(8):
        index.apply(
            [
                put(
                    step * 20 + at, f"d{chosen.randrange(60)}", " ".join(chosen.choices(words, k=chosen.randint(3, 30)))
                )
                for at in range(1, 20)
            ]
        )
    view = index.view()
    names = [f"{id}#0" for id, _ in view.hashes()]
    exact = LocalView([one for one in view.stored(names) if one is not None])
    for _ in range(20):
        question = asked(" ".join(chosen.choices(words, k=3)))
        for leg in ("words", "grams"):
            expected = {one.passage: one.score for one in exact.retrieve(leg, question, 100)}
            given = {one.passage: one.score for one in view.retrieve(leg, question, 100)}
            assert given == pytest.approx(expected, rel=1e-4)


def test_many_small_steps_are_joined_into_few_parts(database: sa.Engine) -> None:
    index = opened(database)
    for at, change in enumerate(many(80), start=1):
        index.apply([change])
        view = index.view()
        assert isinstance(view, PostgresView)
        assert len(view._state.parts) <= 2 + at.bit_length() // 2
    index.build(many(80), "whole")
    assert all_of(index.built("whole")) == all_of(index.view())
    for question in ("engine oil", "number17", "orbit law"):
        for leg in ("words", "grams"):
            stepwise = {one.passage: one.score for one in index.view().retrieve(leg, asked(question), 100)}
            whole = {one.passage: one.score for one in index.built("whole").retrieve(leg, asked(question), 100)}
            assert stepwise == pytest.approx(whole)


def test_a_large_build_is_written_in_parts_and_joined(database: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meliora.store.knowledge.index.making.FLUSHED", 7)
    index = opened(database)
    again = [put(300 + at, f"d{at}", f"star planet again{at}") for at in (1, 2, 50, 99, 100)]
    index.build([*many(100), *again, gone(400, "d3")], "1")
    index.switch("1")
    opened(database, "other").apply([*many(100), *again, gone(400, "d3")])
    view = index.view()
    assert isinstance(view, PostgresView)
    assert len(view._state.parts) < 4
    assert all_of(view) == all_of(opened(database, "other").view())
    assert {"d50", "d100"} <= set(found(view, "star planet", limit=40))
    assert found(view, "again50")[0] == "d50"
    assert "d50" in found(view, "star planet", "dense", limit=40)


def test_a_view_stands_for_an_hour_after_its_state_was_replaced_and_then_says_so(database: sa.Engine) -> None:
    clock = FrozenClock()
    index = opened(database, clock=clock)
    index.apply(many(60))
    old = index.view()
    told = all_of(old)
    for at in range(5):
        index.apply([put(100 + at, f"d{at + 1}", f"changed {at}"), gone(200 + at, f"d{50 + at}")])
    index.apply([put(300, "fresh", "fresh")])
    clock.advance(3500)
    index.apply([put(301, "fresher", "fresher")])
    assert all_of(opened(database).built("1")) != told
    assert all_of(old) == told
    clock.advance(101)
    index.apply([put(302, "freshest", "freshest")])
    for question in (lambda: found(old, "engine oil"), lambda: old.stored(["d7#0"]), lambda: list(old.hashes())):
        with pytest.raises(StoreError, match="older than what the index keeps"):
            question()
    assert rows_of(database, "index_states") == 3
    assert rows_of(database, "index_passages") == index.view().passages


def test_rows_are_numbered_anew_where_most_are_dead(database: sa.Engine) -> None:
    clock = FrozenClock()
    index = opened(database, clock=clock, settings=Settings(dead_rows=10))
    index.apply(many(60))
    old, last = index.view(), 60
    for _ in range(4):
        index.apply([put(last + at, f"d{at}", f"engine oil number{at}") for at in range(1, 61)])
        last += 60
    view = index.view()
    assert isinstance(view, PostgresView)
    assert view._state.rows <= 180
    assert (view.generation, view.passages, view.documents) == ("1", 60, 60)
    assert found(view, "number9")[0] == "d9"
    assert len(found(old, "orbit", limit=100)) == 15
    clock.advance(3601)
    index.apply([gone(last + 100, "d1")])
    with pytest.raises(StoreError):
        found(old, "orbit")
    clock.advance(3601)
    index.apply([gone(last + 101, "d2")])
    assert rows_of(database, "index_generations") == 1
    assert rows_of(database, "index_passages") == index.view().passages + 1 == 59


def test_the_vectors_of_a_provider_take_the_place_of_its_own(database: sa.Engine) -> None:
    def embed(texts: Sequence[str]) -> list[list[float]]:
        return [[text.count("fox") + 0.01, text.count("cow"), len(text) / 100] for text in texts]

    index = opened(database, embed=embed)
    index.apply(animals())
    index.apply([put(4, "two", "fox fox fox fox"), gone(5, "dog")])
    assert found(index.view(), "fox", "dense")[0] == "two"
    assert index.view().vector({"fox": 1.0}) is not None
    with pytest.raises(Conflict, match="provider"):
        found(opened(database).view(), "fox", "dense")
    with pytest.raises(Conflict, match="provider"):
        opened(database).apply([put(6, "x", "text")])
    with pytest.raises(Conflict, match="dimensions"):
        opened(database, embed=lambda texts: [[1.0, 2.0]] * len(texts)).apply([put(6, "x", "text")])
    assert index.view().watermark == 5


def test_names_and_values_from_outside_are_never_part_of_a_statement(database: sa.Engine) -> None:
    index = opened(database)
    hostile = "x'; DROP TABLE index_states; --"
    index.apply([put(1, hostile, f"fox {hostile}", source=hostile, metadata={hostile: hostile, '%s"': 1})])
    assert found(index.view(), "fox", where={hostile: hostile, "id": hostile, "source": hostile, '%s"': 1}) == [hostile]
    with pytest.raises(InvalidRequest, match="No document has the field") as caught:
        found(index.view(), "fox", where={"' OR true --": 1})
    assert caught.value.field == "filter.' OR true --"


def test_more_threads_than_connections_wait_for_one_another(database: sa.Engine) -> None:
    opened(database).apply(many(60))
    index, wrong = opened(database), []
    alone = {leg: found(index.view(), "engine oil", leg) for leg in LEGS}

    def search() -> None:
        fresh = opened(database)
        for leg in LEGS:
            if found(fresh.view(), "engine oil", leg) != alone[leg]:
                wrong.append(leg)

    threads = [threading.Thread(target=search) for _ in range(24)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not wrong


def test_only_the_last_that_served_is_kept_beside_what_serves(database: sa.Engine) -> None:
    index = opened(database)
    for at in range(1, 5):
        index.build(animals(), str(at))
        index.switch(str(at))
    assert rows_of(database, "index_generations") == 2
    with pytest.raises(NotFound, match="'1'"):
        index.built("1")


def test_no_dump_holds_an_index_and_none_outlives_a_restore(database: sa.Engine, tmp_path: Path) -> None:
    opened(database).apply(animals())
    dump_tables(database, tmp_path / "dump")
    assert not [one.name for one in (tmp_path / "dump").iterdir() if one.name.startswith("index_")]
    load_tables(database, tmp_path / "dump")
    assert opened(database).view().documents == 0


def test_the_setting_says_where_the_index_is_kept(store: Store, tmp_path: Path) -> None:
    from meliora.runtime.knowledge.plane import opener
    from meliora.settings import Settings as Deployment

    def made(backend: str) -> str:
        settings = Deployment.model_validate({"knowledge": {"backend": backend}})
        return type(opener(settings, store, FrozenClock())("default", "c", tmp_path)).__name__

    assert (made("embedded"), made("postgres")) == ("Embedded", "PostgresIndex")


def test_vectors_of_a_model_are_asked_for_where_they_are_configured(
    database: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from meliora.runtime.knowledge import plane
    from meliora.settings import Settings as Deployment

    monkeypatch.setattr(plane, "embedder", lambda settings: lambda texts: [[1.0, 0.0]] * len(texts))
    settings = Deployment.model_validate({"knowledge": {"backend": "postgres"}})
    index = plane.opener(settings, Store(database), FrozenClock())("default", "c", tmp_path)
    index.apply(animals())
    assert len(index.view().retrieve("dense", asked("fox"), 9)) == 3


def test_after_an_erasure_nothing_but_what_serves_is_kept_and_of_a_dropped_collection_nothing(
    database: sa.Engine,
) -> None:
    index = opened(database)
    index.apply([*animals(), put(4, "own", "a word of ann")])
    old = index.view()
    index.build(animals(), "2-erased")
    index.switch("2-erased")
    index.retire()
    assert rows_of(database, "index_passages") == 3
    with pytest.raises(StoreError, match="older"):
        found(old, "word")
    opened(database, "other").apply(animals())
    index.drop()
    assert (index.view().documents, opened(database, "other").view().documents) == (0, 3)
    assert rows_of(database, "index_passages") == rows_of(database, "index_generations") * 3 == 3


def test_the_indexes_of_a_plane_follow_and_forget_in_the_database(database: sa.Engine, tmp_path: Path) -> None:
    indexes = Indexes(tmp_path, Shelf(), partial(open_index, database))  # pyright: ignore[reportArgumentType]
    while indexes.follow("default", "c"):
        pass
    assert found(indexes.view("default", "c"), "quick fox") == ["fox"]
    indexes.forget("default", "c")
    assert indexes.view("default", "c").documents == rows_of(database, "index_states") == 0


def test_a_generation_that_is_to_serve_next_outlasts_those_before(database: sa.Engine) -> None:
    index = opened(database)
    index.apply(animals())
    for name in ("2-erased", "3-change"):
        index.build(animals(), name)
    index.switch("2-erased")
    index.retire()
    assert index.built("3-change").documents == 3
    assert rows_of(database, "index_generations") == 2


def test_the_index_of_a_collection_that_is_gone_is_removed_by_whoever_looks(
    database: sa.Engine, tmp_path: Path
) -> None:
    """Whoever deleted the collection may have been killed before its index, or another process had it."""
    for name in ("c", "kept"):
        opened(database, name).apply(animals())
    indexes = Indexes(tmp_path, Shelf(), partial(open_index, database), lambda: indexed(database))  # pyright: ignore[reportArgumentType]
    with holding(database, lock_of("default", "c"), "c"):
        assert indexes.keep_only([("default", "kept")]) == 0
    assert indexes.keep_only([("default", "kept")]) == 1
    assert (opened(database).view().documents, opened(database, "kept").view().documents) == (0, 3)
    assert indexes.keep_only([("default", "kept")]) == 0


def test_what_was_replaced_goes_after_its_hour_though_nobody_writes_any_more(database: sa.Engine) -> None:
    clock = FrozenClock()
    index = opened(database, clock=clock)
    index.apply(animals())
    index.apply([gone(4, "fox")])
    index.sweep()
    assert (rows_of(database, "index_states"), rows_of(database, "index_passages")) == (2, 3)
    clock.advance(3601)
    opened(database, clock=clock).sweep()
    assert (rows_of(database, "index_states"), rows_of(database, "index_passages")) == (1, 2)
    assert found(index.view(), "quick fox") == []


def open_index(database: sa.Engine, tenant: str, collection: str, directory: Path) -> PostgresIndex:
    return PostgresIndex(database, tenant, collection, chunk=chunk, clock=FrozenClock())


class Shelf:
    """Three documents in generation 1."""

    def generation(self, tenant: str, collection: str) -> str:
        return "1"

    def latest(self, tenant: str, collection: str) -> int:
        return 3

    def changes(self, tenant: str, collection: str, after: int, limit: int, *, begun: int = 0):
        return [one for one in animals() if one.seq > after]


def test_a_deployment_in_another_schema_of_the_database_writes_beside_this_one(database: sa.Engine) -> None:
    elsewhere = connect(database.url.set(query={"options": "-csearch_path=public"}))
    key = lock_of("default", "c")
    with holding(database, key, "c"):
        with holding(elsewhere, key, "c"):
            pass
        with pytest.raises(IndexHeld, match="another writer"), holding(database, key, "c"):
            pass
    elsewhere.dispose()
