"""Indexes go after their documents: what begins to serve has all that served before it, and nothing is built for ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meliora.errors import Conflict
from meliora.knowledge.documents import Document
from meliora.knowledge.front import Plane
from meliora.knowledge.index.base import IndexHeld
from meliora.knowledge.index.embedded import Embedded
from meliora.knowledge.index.embedded.layout import Folder
from meliora.knowledge.indexes import folder_of
from meliora.runtime.knowledge.plane import plane_of
from meliora.settings import Settings
from meliora.settings.models import Server
from meliora.store import Store
from meliora.store.engine import writing
from meliora.store.knowledge.documents import prune_deletions
from meliora.testing import FrozenClock
from meliora.testing.store import temporary_store


@pytest.fixture
def store() -> Iterator[Store]:
    with temporary_store(FrozenClock()) as store:
        yield store


@pytest.fixture
def plane(tmp_path: Path, store: Store) -> Plane:
    made = plane_of(Settings(server=Server(state_dir=tmp_path)), store, FrozenClock())
    put(made, "early", "text")
    made.follow("t", "c")
    return made


def put(plane: Plane, *ids: str) -> None:
    plane.put("t", "c", [Document(id=id, text=f"the word {id}") for id in ids])


def held(plane: Plane) -> set[str]:
    return {id for id, _ in plane.indexes.view("t", "c").hashes()}


def forget_deletions(store: Store) -> None:
    with writing(store.engine) as connection:
        assert prune_deletions(connection, 2**60, 1000)


def test_a_generation_that_was_built_long_ago_begins_with_what_came_since(plane: Plane) -> None:
    """What was put since is not missing for a moment, and what was deleted does not come back."""
    put(plane, "doomed")
    plane.follow("t", "c")
    plane.indexes.build("t", "c", "2-long-ago")
    put(plane, *(f"late{at}" for at in range(1200)))
    plane.delete("t", "c", ["doomed"])
    plane.follow("t", "c")
    before, at = held(plane), plane.indexes.view("t", "c").watermark
    for to, instead_of in (("2-long-ago", "1"), ("1", "2-long-ago")):
        assert plane.shelf.exchange_generation("t", "c", to, instead_of=instead_of)
        plane.indexes.follow("t", "c")
        view = plane.indexes.view("t", "c")
        assert (view.generation, view.watermark, held(plane)) == (to, at, before)
        put(plane, f"after {to}")
        plane.follow("t", "c")
        before, at = held(plane), plane.indexes.view("t", "c").watermark


def test_one_that_slept_through_forgotten_deletions_is_not_switched_to_but_built_again(
    plane: Plane, store: Store
) -> None:
    put(plane, "doomed")
    plane.indexes.build("t", "c", "2-long-ago")
    plane.delete("t", "c", ["doomed"])
    put(plane, "late")
    plane.follow("t", "c")
    forget_deletions(store)
    plane.shelf.exchange_generation("t", "c", "2-long-ago", instead_of="1")
    while plane.indexes.follow("t", "c"):
        assert "doomed" not in held(plane)
    assert held(plane) == {"early", "text", "late"}


def test_where_the_last_change_was_a_deletion_that_is_forgotten_an_index_is_built_once(
    plane: Plane, store: Store
) -> None:
    plane.delete("t", "c", ["text"])
    plane.follow("t", "c")
    forget_deletions(store)
    assert plane.rebuild("t", "c") == plane.shelf.generation("t", "c")
    assert not plane.indexes.follow("t", "c")
    assert held(plane) == {"early"}


class Waiting:
    """A pause in which another writer is done after so many of them."""

    def __init__(self, plane: Plane, tmp_path: Path, pauses: int) -> None:
        self._folder = Folder(tmp_path / "knowledge" / folder_of("t", "c"))
        self._left, self.slept = pauses, 0.0
        self._holding = self._folder.writing("another")
        self._holding.__enter__()

    def __call__(self, seconds: float) -> None:
        self.slept += seconds
        self._left -= 1
        if not self._left:
            self._holding.__exit__(None, None, None)

    def now(self) -> float:
        return self.slept


def waiting(plane: Plane, tmp_path: Path, pauses: int) -> Plane:
    """Give the plane while another writer holds its index for so many pauses."""
    other = Waiting(plane, tmp_path, pauses)
    kept = {name: getattr(plane, name) for name in Plane.__dataclass_fields__}
    return Plane(**{**kept, "sleep": other, "monotonic": other.now})


def test_who_comes_second_takes_up_its_own_documents_after_the_other(plane: Plane, tmp_path: Path) -> None:
    """The other may have looked for changes before these were there, and come to its end without them."""
    put(plane, "second")
    slow = waiting(plane, tmp_path, 5)
    assert slow.bring_up("t", "c", slow.shelf.latest("t", "c"), 10.0)
    assert "second" in held(plane)


def test_a_command_that_waits_in_vain_says_that_the_index_is_behind(plane: Plane, tmp_path: Path) -> None:
    put(plane, "second")
    slow = waiting(plane, tmp_path, 1000)
    assert not slow.bring_up("t", "c", slow.shelf.latest("t", "c"), 3.0)
    with pytest.raises(IndexHeld, match="another"):
        slow.rebuild("t", "c", 3.0)
    assert plane.shelf.generation("t", "c") == "1"


def test_an_index_is_rebuilt_by_hand_between_the_steps_of_another(plane: Plane, tmp_path: Path) -> None:
    assert waiting(plane, tmp_path, 5).rebuild("t", "c", 10.0) == plane.indexes.view("t", "c").generation == "2-by-hand"


def test_a_collection_that_nobody_made_is_not_rebuilt(plane: Plane, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="no collection"):
        plane.rebuild("t", "nothing")
    assert not (tmp_path / "knowledge" / folder_of("t", "nothing")).exists()


def test_a_refusal_that_no_waiting_ends_is_not_waited_for(plane: Plane) -> None:
    def gone(*args: object, **named: object) -> None:
        raise Conflict("It is configured otherwise.")

    plane.indexes.of("t", "c").apply = gone  # pyright: ignore[reportAttributeAccessIssue]
    put(plane, "new")
    with pytest.raises(Conflict, match="configured"):
        plane.bring_up("t", "c", 9, 1e9)


def generations(tmp_path: Path) -> set[str]:
    return {one.name for one in Folder(tmp_path / "knowledge" / folder_of("t", "c")).generations()}


def anew(tmp_path: Path, store: Store) -> Plane:
    """Give the plane as a process has it that was just started."""
    return plane_of(Settings(server=Server(state_dir=tmp_path)), store, FrozenClock())


def test_who_is_killed_after_an_erasure_switched_leaves_the_words_to_the_next_who_looks(
    plane: Plane, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(index: Embedded) -> None:
        raise KeyboardInterrupt

    plane.shelf.exchange_generation("t", "c", "2-erased", instead_of="1")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Embedded, "retire", killed)
        plane.follow("t", "c")
    assert generations(tmp_path) == {"1", "2-erased"}
    other = anew(tmp_path, store)
    assert not other.indexes.follow("t", "c")
    assert (generations(tmp_path), held(other)) == ({"2-erased"}, {"early", "text"})


def test_an_erasure_whose_generation_was_passed_over_leaves_nothing_behind_either(plane: Plane, tmp_path: Path) -> None:
    """Somebody has the index built again before any machine came to build it for the erasure."""
    plane.shelf.exchange_generation("t", "c", "2-erased", instead_of="1")
    assert plane.rebuild("t", "c") == "3-by-hand"
    assert generations(tmp_path) == {"3-by-hand"}


def test_a_generation_that_is_to_serve_after_that_of_an_erasure_is_kept(
    plane: Plane, tmp_path: Path, store: Store
) -> None:
    """What a change built as its candidate was read after the erasure: its proof needs it."""
    plane.shelf.exchange_generation("t", "c", "2-erased", instead_of="1")
    plane.follow("t", "c")
    plane.indexes.build("t", "c", "3-change")
    anew(tmp_path, store).follow("t", "c")
    assert generations(tmp_path) == {"2-erased", "3-change"}


def test_a_collection_of_a_name_that_another_one_had_keeps_nothing_of_that_one(plane: Plane, tmp_path: Path) -> None:
    plane.shelf.drop("t", "c")  # type: ignore[attr-defined]  # by another machine: this one's index stays until it looks
    put(plane, "fresh")
    plane.follow("t", "c")
    assert (len(generations(tmp_path)), held(plane)) == (1, {"fresh"})


def test_a_collection_goes_though_its_index_is_being_written(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(tenant: str, collection: str) -> None:
        raise IndexHeld("The index is held by another writer.")

    monkeypatch.setattr(plane.indexes, "forget", busy)
    assert plane.drop("t", "c") == 2
    assert plane.shelf.collections("t") == ()  # type: ignore[attr-defined]
