"""The worker keeps this machine's indexes after their documents: who is busy is waited for, what fails is told and stops no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meliora.errors import Conflict, StoreError, StoreUnavailable
from meliora.knowledge.documents import Document, Kept
from meliora.knowledge.front import Plane
from meliora.knowledge.index.embedded import making
from meliora.knowledge.index.embedded.layout import Folder
from meliora.knowledge.indexes import folder_of
from meliora.knowledge.upkeep.keeper import Keeper
from meliora.runtime.knowledge.plane import plane_of
from meliora.runtime.knowledge.tasks import Following, Upkeeping
from meliora.settings import Settings
from meliora.store import Store
from meliora.testing import FrozenClock
from meliora.testing.store import temporary_store


@pytest.fixture
def store() -> Iterator[Store]:
    with temporary_store(FrozenClock()) as store:
        yield store


def settings_of(tmp_path: Path, **knowledge: object) -> Settings:
    return Settings.model_validate({"server": {"state_dir": str(tmp_path)}, "knowledge": knowledge})


@pytest.fixture
def plane(tmp_path: Path, store: Store) -> Plane:
    made = plane_of(settings_of(tmp_path), store, FrozenClock())
    for collection in ("a", "b"):
        made.put("t", collection, [Document(id="one", text="the first word")])
    return made


def test_all_collections_follow_and_the_index_of_one_that_is_gone_is_removed(
    tmp_path: Path, store: Store, plane: Plane
) -> None:
    following = Following(settings_of(tmp_path), store, FrozenClock())
    while following.step():
        pass
    assert [plane.indexes.view("t", name).documents for name in "ab"] == [1, 1]
    store.knowledge_documents.drop("t", "a")
    again = Following(settings_of(tmp_path), store, FrozenClock())
    again.step()
    assert [one.name for one in (tmp_path / "knowledge").iterdir()] == [folder_of("t", "b")]


def test_an_index_that_another_process_writes_is_left_to_it(tmp_path: Path, store: Store, plane: Plane) -> None:
    following = Following(settings_of(tmp_path), store, FrozenClock())
    with Folder(tmp_path / "knowledge" / folder_of("t", "a")).writing("another"):
        following.step()
    assert [plane.indexes.view("t", name).documents for name in "ab"] == [0, 1]
    following.step()
    assert plane.indexes.view("t", "a").documents == 1


def test_a_document_at_which_our_own_code_fails_is_told_and_stops_no_other_collection(
    tmp_path: Path, store: Store, plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker has to live: calls are taken in by it, and other people's documents."""

    def entries(kept: Kept, chunk: making.Chunk) -> object:
        if kept.document.id == "poison":
            raise ZeroDivisionError("nobody thought of it")
        return whole(kept, chunk)

    whole = making.entries
    monkeypatch.setattr(making, "entries", entries)
    plane.put("t", "a", [Document(id="poison", text="a word")])
    following = Following(settings_of(tmp_path), store, FrozenClock())
    with pytest.raises(StoreError, match="'a' fails at its documents: ZeroDivisionError"):
        following.step()
    assert plane.indexes.view("t", "b").documents == 1


def test_an_index_that_is_configured_otherwise_than_it_was_made_is_told_again_and_again(
    tmp_path: Path, store: Store, plane: Plane
) -> None:
    """Otherwise its documents would never be found, and nobody would know."""
    plane.put("t", "a", [Document(id=f"d{at}", text=f"the word {at} of some") for at in range(60)])
    following = Following(settings_of(tmp_path), store, FrozenClock())
    while following.step():
        pass
    store.knowledge_documents.drop("t", "b")
    plane.put("t", "a", [Document(id="z", text="another")])
    embeddings = {"model": "m", "key": "env:KEY"}
    other = Following(settings_of(tmp_path, embeddings=embeddings), store, FrozenClock())
    for _ in range(2):
        with pytest.raises(Conflict, match="configured otherwise"):
            other.step()


def test_a_look_at_a_collection_that_failed_is_made_again_at_the_next_step(
    tmp_path: Path, store: Store, plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is away for a moment costs a collection no day, and not the look itself."""
    looked: list[str] = []

    compare = Keeper.compare

    def failing(keeper: Keeper, tenant: str, collection: str) -> int:
        looked.append(collection)
        if looked == ["a"]:
            raise StoreUnavailable("The database cannot be used.")
        return compare(keeper, tenant, collection)

    monkeypatch.setattr(Keeper, "compare", failing)
    upkeeping = Upkeeping(settings_of(tmp_path), store, FrozenClock(), "worker")
    with pytest.raises(StoreUnavailable):
        upkeeping.step()
    upkeeping.step()
    upkeeping.step()
    assert looked == ["a", "b", "a"]
