"""What serves a collection's searches is exchanged whole, by whoever knows what serves, and never names what is not there."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from meliora.errors import Conflict, NotFound, StoreError
from meliora.knowledge.config import Expansion, Reranking, SearchConfig, Spelling
from meliora.store.engine import writing
from meliora.store.tables import knowledge_artifacts
from tests.store.test_knowledge_documents import document


@pytest.fixture
def snapshots(store):
    store.knowledge_documents.put("t", "c", [document("a")])
    return store.knowledge_snapshots


def test_before_anything_is_kept_the_first_configuration_serves(snapshots) -> None:
    for collection in ("c", "unknown"):
        found = snapshots.serving("t", collection)
        assert (found.number, found.config) == (0, SearchConfig())
    assert snapshots.get("t", "c", 0) == found
    with pytest.raises(NotFound):
        snapshots.get("t", "c", 1)


def test_the_same_configuration_of_the_same_maker_is_kept_once(snapshots) -> None:
    config = SearchConfig(spelling=Spelling(distance=1))
    first = snapshots.add("t", "c", config, "chg_1")
    assert (first.number, first.config, first.made_by) == (1, config, "chg_1")
    assert snapshots.add("t", "c", config, "chg_1") == first
    assert snapshots.add("t", "c", config, "chg_2").number == 2
    assert snapshots.add("t", "c", SearchConfig(), "chg_1").number == 3
    assert [one.number for one in snapshots.list("t", "c")] == [3, 2, 1]
    with pytest.raises(NotFound, match="'unknown'"):
        snapshots.add("t", "unknown", config, "chg_1")


def test_an_exchange_is_refused_where_something_else_serves(snapshots, store) -> None:
    for by in ("x", "y"):
        snapshots.add("t", "c", SearchConfig(), by)
    assert snapshots.exchange("t", "c", 2, instead_of=1) is False
    assert snapshots.exchange("t", "c", 1, instead_of=0) is True
    assert snapshots.exchange("t", "c", 2, instead_of=0) is False
    assert snapshots.serving("t", "c").number == 1
    assert store.knowledge_documents.collection("t", "c").snapshot == 1
    assert snapshots.exchange("t", "c", 0, instead_of=1) is True
    assert snapshots.serving("t", "c").number == 0
    with pytest.raises(NotFound):
        snapshots.exchange("t", "c", 9, instead_of=0)


def test_the_fence_is_asked_first(snapshots) -> None:
    snapshots.add("t", "c", SearchConfig(), "x")
    asked: list[object] = []

    def overtaken(connection) -> None:
        asked.append(connection)
        raise Conflict("overtaken")

    with pytest.raises(Conflict, match="overtaken"):
        snapshots.exchange("t", "c", 1, instead_of=0, fenced=overtaken)
    assert asked
    assert snapshots.serving("t", "c").number == 0


def test_a_configuration_that_takes_what_is_not_kept_is_refused(snapshots) -> None:
    table = snapshots.keep("t", "expansion", b"table")
    assert snapshots.keep("t", "expansion", b"table") == table
    whole = SearchConfig(expansion=Expansion(table=table))
    assert snapshots.add("t", "c", whole, "x").config == whole
    with pytest.raises(NotFound, match="artifact"):
        snapshots.add("t", "c", SearchConfig(reranking=Reranking(model="0" * 64)), "x")
    assert snapshots.artifact("t", table) == b"table"
    for tenant, wanted in (("other", table), ("t", "0" * 64)):
        with pytest.raises(NotFound):
            snapshots.artifact(tenant, wanted)


def test_an_artifact_that_was_altered_is_not_given(snapshots, engine: sa.Engine) -> None:
    kept = snapshots.keep("t", "reranker", b"model")
    with writing(engine) as connection:
        connection.execute(sa.update(knowledge_artifacts).values(data=b"other"))
    with pytest.raises(StoreError, match="damaged"):
        snapshots.artifact("t", kept)


def test_numbers_go_on_after_a_collection_was_dropped(snapshots, store) -> None:
    snapshots.add("t", "c", SearchConfig(), "x")
    snapshots.exchange("t", "c", 1, instead_of=0)
    store.knowledge_documents.drop("t", "c")
    store.knowledge_documents.put("t", "c", [document("a")])
    assert snapshots.serving("t", "c").number == 0
    assert snapshots.add("t", "c", SearchConfig(), "y").number == 2
