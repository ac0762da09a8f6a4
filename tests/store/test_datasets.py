"""A data set is kept once by its content, and is gone with its collection, with its searches, and with whoever's words are in it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from meliora.errors import Conflict, NotFound, StoreError
from meliora.knowledge.augment.examples import Example
from meliora.knowledge.augment.make import Made
from meliora.knowledge.augment.manifest import Origin, describe
from meliora.knowledge.augment.shelf import ToKeepSet
from meliora.store.afterwards import do_again, known_in
from meliora.store.engine import reading, writing
from meliora.store.tables import augmented_examples, augmented_people
from tests.store.test_housekeeping import everything
from tests.store.test_knowledge_documents import document


def made(*queries: str, collection: str = "c", **more: Any) -> ToKeepSet:
    rows = tuple(Example(query=one, document="a", made_of="m", method="typo", quality=0.5) for one in queries)
    set_ = Made(examples=rows, refused={"twice": 1}, calls=0, diversity=0.25)
    manifest = describe(set_, Origin(type="documents", collection=collection), 0, targets=["harbour"])
    return ToKeepSet(collection=collection, made_by="cli", manifest=manifest, examples=rows, **more)


def count(engine, table) -> int:
    with reading(engine) as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


@pytest.fixture
def datasets(store):
    for collection in ("c", "other"):
        store.knowledge_documents.put("t", collection, [document("a")])
    return store.datasets


def test_a_set_comes_back_with_what_is_known_of_it(datasets) -> None:
    kept, fresh = datasets.put("t", made("harbor", "harbuor"))
    assert fresh
    assert (kept.examples, kept.quality_score, kept.diversity_score) == (2, 0.5, 0.25)
    assert (kept.target_tokens, kept.used_for_training, kept.used_by) == (("harbour",), False, None)
    assert kept.described == made("harbor", "harbuor").manifest and kept.described.refused == {"twice": 1}
    assert datasets.get("t", kept.id) == kept
    assert [one.query for one in datasets.examples("t", kept.id)] == ["harbor", "harbuor"]


def test_the_same_content_is_kept_once_and_two_collections_share_it(datasets, engine) -> None:
    first, _ = datasets.put("t", made("x", "y"))
    assert datasets.put("t", made("y", "x")) == (first, False)
    other, fresh = datasets.put("t", made("x", "y", collection="other"))
    assert fresh and other.id != first.id and other.sha256 == first.sha256
    assert count(engine, augmented_examples) == 1
    datasets.delete("t", first.id)
    assert [one.query for one in datasets.examples("t", other.id)] == ["x", "y"]
    assert [one.id for one in datasets.list("t")] == [other.id]
    datasets.delete("t", other.id)
    assert count(engine, augmented_examples) == 0
    with pytest.raises(NotFound):
        datasets.delete("t", other.id)


def test_what_trained_on_it_is_noted(datasets) -> None:
    kept, _ = datasets.put("t", made("x"))
    datasets.mark("t", kept.id, "chg_1")
    assert (datasets.get("t", kept.id).used_for_training, datasets.get("t", kept.id).used_by) == (True, "chg_1")
    with pytest.raises(NotFound):
        datasets.mark("t", "ds_none", "chg_1")


def test_damaged_examples_are_told_and_never_given(datasets, engine) -> None:
    kept, _ = datasets.put("t", made("x"))
    with writing(engine) as connection:
        connection.execute(sa.update(augmented_examples).values(data=b"{}"))
    with pytest.raises(StoreError, match="damaged"):
        datasets.examples("t", kept.id)


def test_sets_go_with_their_collection(store, datasets, engine) -> None:
    datasets.put("t", made("x", users=("zoe",), searched_us=1))
    other, _ = datasets.put("t", made("z", collection="other"))
    store.knowledge_documents.drop("t", "c")
    assert [one.id for one in datasets.list("t")] == [other.id]
    assert (count(engine, augmented_examples), count(engine, augmented_people)) == (1, 0)
    with pytest.raises(NotFound):
        datasets.put("t", made("x"))


def test_a_person_takes_the_sets_along_that_have_their_words_and_no_other(store, datasets, engine, clock) -> None:
    hers, _ = datasets.put("t", made("zoe asks this", users=("zoe", "ann"), searched_us=1, read_us=clock.now))
    others, _ = datasets.put("t", made("ann asks that", users=("ann",), searched_us=1, read_us=clock.now))
    clock.now += 1
    assert store.housekeeping.erase("t", "zoe").counts()["datasets"] == 1
    assert [one.id for one in datasets.list("t")] == [others.id]
    assert "zoe" not in everything(engine)
    assert store.housekeeping.erase("elsewhere", "ann").datasets == 0
    with pytest.raises(NotFound):
        datasets.get("t", hers.id)


def test_a_set_of_words_read_before_an_erasure_is_not_kept_after_it(store, datasets, clock) -> None:
    wish = made("zoe asks this", users=("zoe",), searched_us=1, read_us=clock.now)
    store.housekeeping.erase("t", "zoe")
    with pytest.raises(Conflict, match="erased meanwhile"):
        datasets.put("t", wish)
    clock.now += 1
    fresh = made("zoe asks this", users=("zoe",), searched_us=1, read_us=clock.now)
    assert datasets.put("t", fresh)[1]


def test_the_same_content_of_another_person_is_of_both(store, datasets, clock) -> None:
    datasets.put("t", made("x", users=("ann",), searched_us=5, read_us=clock.now))
    datasets.put("t", made("x", users=("zoe",), searched_us=5, read_us=clock.now))
    assert store.housekeeping.erase("t", "zoe").datasets == 1
    assert datasets.list("t") == ()


def test_a_set_goes_when_the_searches_go_that_it_was_made_of(store, datasets) -> None:
    datasets.put("t", made("old", searched_us=100))
    datasets.put("t", made("young", searched_us=300))
    datasets.put("t", made("young", searched_us=150))  # the same again, of older ones too
    documents, _ = datasets.put("t", made("documents"))
    store.housekeeping.drop_search_contents(101, 10)
    assert len(datasets.list("t")) == 2
    store.housekeeping.drop_search_contents(200, 10)
    assert [one.id for one in datasets.list("t")] == [documents.id]


def test_a_restore_does_not_bring_the_sets_of_an_erased_person_back(store, datasets, engine, clock) -> None:
    datasets.put("t", made("zoe asks", users=("zoe",), searched_us=1, read_us=clock.now))
    now = known_in(engine)
    store.housekeeping.erase("t", "zoe")
    before = known_in(engine)
    with writing(engine) as connection:  # as if an older database had been put in its place
        connection.execute(sa.text("DELETE FROM erasures"))
    assert now.subjects == known_in(engine).subjects
    clock.now += 10
    datasets.put("t", made("zoe asks", users=("zoe",), searched_us=1, read_us=clock.now))
    do_again(engine, before, lambda: clock.now)
    assert datasets.list("t") == ()
