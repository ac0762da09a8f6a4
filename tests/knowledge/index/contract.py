"""What every index has to hold to. A suite for an engine derives from `IndexContract` and gives a fixture `index`: an empty one."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from meliora.errors import InvalidRequest, NotFound
from meliora.knowledge.config import LEGS, Leg
from meliora.knowledge.documents import Changed, Document, Kept, Passage
from meliora.knowledge.filters import read_filter
from meliora.knowledge.index.base import Asked, Index, Stored, View
from meliora.knowledge.text.analysis import analyse, grams

TEXTS = {
    "fox": "A quick brown fox jumps over the fence near the river.",
    "dog": "Lazy dogs sleep near the fence all day.",
    "cow": "Purple cows graze at the river while dogs watch.",
}


def chunk(document: Document) -> Sequence[Passage]:
    """Cut a document at blank lines."""
    found, at = [], 0
    for number, text in enumerate(document.text.split("\n\n")):
        found.append(
            Passage(document=document.id, number=number, title=document.title, text=text, start=at, end=at + len(text))
        )
        at += len(text) + 2
    return found


def put(seq: int, id: str, text: str, **given) -> Changed:
    """Make the change that a document comes to be, or changes."""
    fields = {name: given.pop(name) for name in ("title", "source", "category", "language", "user") if name in given}
    document = Document(id=id, text=text, metadata=given.pop("metadata", {}), **fields)
    return Changed(seq=seq, id=id, kept=Kept(document=document, seq=seq, hash=f"hash of {id} at {seq}", **given))


def gone(seq: int, id: str) -> Changed:
    """Make the change that a document is to be searched no longer."""
    return Changed(seq=seq, id=id, kept=None)


def animals(**metadata) -> list[Changed]:
    """Give three documents; each has the metadata given for it."""
    return [put(at, id, text, metadata=metadata.get(id, {})) for at, (id, text) in enumerate(TEXTS.items(), start=1)]


def many(count: int, first: int = 1) -> list[Changed]:
    """Give documents of some subjects, enough for vectors."""
    subjects = ("engine oil piston", "bread flour oven", "star planet orbit", "court judge law")
    return [
        put(at, f"d{at}", f"{subjects[at % 4]} {subjects[at % 4].split()[at % 3]} number{at}", metadata={"at": at})
        for at in range(first, first + count)
    ]


def asked(text: str) -> Asked:
    """Give a query as a search asks it."""
    found = analyse(text)
    return Asked(terms=dict.fromkeys(found.terms, 1.0), grams=dict.fromkeys(grams(found.written), 1.0), text=text)


def found(view: View, text: str, leg: Leg = "words", where=None, limit: int = 10) -> list[str]:
    """Give the documents that a leg finds, best first."""
    hits = view.retrieve(leg, asked(text), limit, read_filter(where))
    return [one.passage.rpartition("#")[0] for one in hits]


def kept(view: View, passage: str) -> Stored:
    """Give what is kept of a passage that has to be there."""
    one = view.stored([passage])[0]
    assert one is not None
    return one


def all_of(view: View) -> tuple[object, ...]:
    """Give what a view tells of its content, to compare it with another."""
    names = sorted(
        one.passage for one in view.retrieve("words", Asked(terms=dict.fromkeys(view.vocabulary(), 1.0)), 999)
    )
    return (
        view.watermark,
        view.documents,
        view.passages,
        view.average_length,
        dict(view.vocabulary()),
        dict(view.written()),
        sorted(view.hashes()),
        list(view.stored(names)),
    )


def letters(number: int) -> str:
    """Give a word of letters alone for a number: nothing of it is like another."""
    return "q" + "".join("bcdfghjklm"[int(digit)] for digit in str(number)) + "q"


class IndexContract:
    """The suite."""

    def test_an_empty_index_finds_nothing_and_is_no_error(self, index: Index) -> None:
        view = index.view()
        assert (view.watermark, view.passages, view.documents, view.average_length) == (0, 0, 0, 0.0)
        assert [found(view, "fox", leg) for leg in LEGS] == [[], [], []]
        assert list(view.stored(["fox#0"])) == [None]
        assert view.vector({"fox": 1.0}) is None
        assert list(view.similarity({"fox": 1.0}, ["fox#0"])) == [0.0]
        assert (dict(view.vocabulary()), dict(view.written()), list(view.hashes())) == ({}, {}, [])

    def test_what_was_applied_is_found_best_first(self, index: Index) -> None:
        assert index.apply(animals()) == 3
        view = index.view()
        assert found(view, "dogs near the fence")[0] == "dog"
        assert found(view, "slepy dogz", "grams")[0] == "dog"
        assert (view.watermark, view.documents, view.passages) == (3, 3, 3)

    def test_equal_passages_come_by_id(self, index: Index) -> None:
        index.apply([put(at, id, "the same words") for at, id in enumerate("zebra", start=1)])
        assert found(index.view(), "same words") == sorted("zebra")

    def test_a_query_of_unknown_words_finds_nothing(self, index: Index) -> None:
        index.apply(animals())
        assert [found(index.view(), "xyzzy qwfp", leg) for leg in LEGS] == [[], [], []]

    def test_weights_decide(self, index: Index) -> None:
        index.apply([put(1, "one", "apples"), put(2, "two", "pears")])
        for heavy, first in (("appl", "one"), ("pear", "two")):
            hits = index.view().retrieve("words", Asked(terms={"appl": 1.0, "pear": 1.0, heavy: 3.0}), 10)
            assert hits[0].passage == f"{first}#0"

    def test_a_view_stays_as_it_is(self, index: Index) -> None:
        index.apply(animals())
        before = index.view()
        told = all_of(before)
        index.apply([put(4, "fox", "something else"), gone(5, "dog")])
        assert all_of(before) == told
        assert found(before, "quick fox") == ["fox"]

    def test_a_changed_document_replaces_all_of_its_passages(self, index: Index) -> None:
        index.apply([put(1, "a", "first part\n\nsecond part\n\nthird part"), put(2, "b", "another part")])
        assert index.view().passages == 4
        index.apply([put(3, "a", "nothing of before")])
        view = index.view()
        assert (view.documents, view.passages) == (2, 2)
        assert found(view, "part") == ["b"]
        assert [one is None for one in view.stored(["a#0", "a#1", "b#0"])] == [False, True, False]
        assert kept(view, "a#0").text == "nothing of before"

    def test_a_deleted_document_is_gone_from_everything(self, index: Index) -> None:
        index.apply(animals())
        assert index.apply([gone(9, "fox"), gone(10, "never there")]) == 10
        view = index.view()
        assert found(view, "quick fox") == []
        assert "fox" not in {**view.vocabulary(), **view.written()}
        assert "fox" not in dict(view.hashes())
        assert (view.documents, view.watermark, view.frequency("fox"), view.frequency("dog")) == (2, 10, 0, 2)

    def test_changes_of_one_step_count_in_their_order(self, index: Index) -> None:
        index.apply([put(1, "a", "early"), put(2, "a", "late"), put(3, "b", "short life"), gone(4, "b")])
        view = index.view()
        assert (view.documents, dict(view.vocabulary())) == (1, {"late": 1})
        assert (found(view, "early"), found(view, "late")) == ([], ["a"])

    def test_the_same_changes_again_come_to_the_same(self, index: Index) -> None:
        index.apply(animals())
        told = all_of(index.view())
        assert index.apply(animals()) == 3
        assert index.apply([]) == 3
        assert all_of(index.view()) == told

    def test_however_it_was_cut_into_steps_it_comes_to_the_same(self, index: Index) -> None:
        changes = [*animals(), put(4, "fox", "changed"), gone(5, "dog"), put(6, "dog", "back again")]
        for one in changes:
            index.apply([one])
        index.build(changes, "other")
        stepwise = all_of(index.view())
        index.switch("other")
        assert all_of(index.view()) == stepwise

    def test_what_is_stored_is_what_was_given(self, index: Index) -> None:
        metadata = {"tags": ("one", "two"), "price": 2.5, "count": 3, "open": True, "note": "zwölf 🦊"}
        change = put(
            1,
            "a",
            "Brown foxes\n\nRunning dogs",
            title="Über Füchse",
            source="f.md",
            metadata=metadata,
            updated_us=7,
            marks=("markup",),
        )
        index.apply([change])
        one = kept(index.view(), "a#1")
        assert (one.document, one.number, one.title, one.text) == ("a", 1, "Über Füchse", "Running dogs")
        assert (one.start, one.end, one.source, one.updated_us, one.marks) == (13, 25, "f.md", 7, ("markup",))
        assert dict(one.metadata) == metadata
        assert (one.terms, one.title_terms) == (analyse("Running dogs").terms, analyse("Über Füchse").terms)

    def test_words_and_terms_are_counted_by_passage(self, index: Index) -> None:
        index.apply([put(1, "a", "dogs dogs dog\n\ndogs", title="dog")])
        view = index.view()
        assert dict(view.written()) == {"dogs": 2, "dog": 2}
        assert dict(view.vocabulary()) == {"dog": 2}
        assert (view.frequency("dog"), view.frequency("dogs")) == (2, 0)
        assert view.average_length == 3.0

    def test_a_document_without_words_is_held_nevertheless(self, index: Index) -> None:
        index.apply([put(1, "a", "   "), put(2, "b", "?!")])
        assert dict(index.view().hashes()) == {"a": "hash of a at 1", "b": "hash of b at 2"}
        assert index.view().documents == 2

    @pytest.mark.parametrize("leg", LEGS)
    def test_a_filter_finds_one_among_many(self, index: Index, leg) -> None:
        index.apply([*many(200), put(201, "rare", "engine oil piston", metadata={"at": 1000, "kind": "rare"})])
        view = index.view()
        for where in (
            {"kind": "rare"},
            {"at": {"gte": 1000}},
            {"at": 1000.0},
            {"id": "rare"},
            {"kind": ["no", "rare"], "at": {"gt": 3}},
        ):
            assert found(view, "engine oil", leg, where, limit=1) == ["rare"]
        assert found(view, "engine oil", leg, {"kind": "other"}) == []
        assert found(view, "engine oil", leg, {"at": {"lt": 0}}) == []

    @pytest.mark.parametrize("leg", LEGS)
    def test_a_range_gives_exactly_what_is_in_it(self, index: Index, leg) -> None:
        index.apply(many(120))
        ids = found(index.view(), "engine oil piston", leg, {"at": {"gte": 10, "lt": 60}}, limit=100)
        assert sorted(int(one[1:]) for one in ids if int(one[1:]) % 4 == 0) == list(range(12, 60, 4))
        assert all(10 <= int(one[1:]) < 60 for one in ids)

    def test_yes_is_no_one_and_a_number_is_no_text(self, index: Index) -> None:
        index.apply(animals(fox={"n": True}, dog={"n": 1}, cow={"n": "1"}))
        view = index.view()
        wanted = {"fox": True, "dog": 1.0, "cow": "1"}
        for document, value in wanted.items():
            assert found(view, "fox dog cow", where={"n": value}) == [document]
        assert found(view, "fox dog cow", where={"n": {"lte": 1}}) == ["dog"]

    def test_a_filter_knows_own_fields_and_several_values(self, index: Index) -> None:
        index.apply(
            [
                put(1, "a", "words", source="x", metadata={"tags": ("red", "blue")}),
                put(2, "b", "words", source="y", category="history", updated_us=5),
            ]
        )
        view = index.view()
        for where, expected in (
            ({"tags": "blue"}, ["a"]),
            ({"source": ["x", "y"]}, ["a", "b"]),
            ({"category": "history"}, ["b"]),
            ({"updated_us": {"gt": 4}}, ["b"]),
            ({"source": "x", "category": "history"}, []),
        ):
            assert found(view, "words", where=where) == expected

    def test_a_filter_on_a_field_that_no_document_has_names_those_there_are(self, index: Index) -> None:
        index.apply(animals(fox={"colour": "red"}))
        for leg in LEGS:
            with pytest.raises(InvalidRequest, match="No document") as caught:
                found(index.view(), "fox", leg, {"color": "red"})
            assert caught.value.field == "filter.color"
            assert "colour" in caught.value.hint
        index.apply([gone(8, "fox")])
        with pytest.raises(InvalidRequest):
            found(index.view(), "dog", where={"colour": "red"})

    def test_vectors_find_what_shares_a_subject(self, index: Index) -> None:
        index.apply(many(120))
        view = index.view()
        assert {int(one[1:]) % 4 for one in found(view, "piston", "dense", limit=20)} == {0}
        vector = view.vector({"piston": 1.0})
        assert vector is not None
        assert sum(one * one for one in vector) == pytest.approx(1.0, abs=1e-4)
        near, far, none = view.similarity({"piston": 1.0}, ["d4#0", "d5#0", "nowhere#0"])
        assert near > 0.5 > abs(far)
        assert none == 0.0

    def test_passages_of_unknown_words_after_the_fit_are_no_error(self, index: Index) -> None:
        index.apply(many(120))
        index.apply([put(500, "new", "zyx wvu tsr"), put(501, "mixed", "piston zyx")])
        view = index.view()
        assert set(found(view, "zyx")) == {"mixed", "new"}
        assert "mixed" in found(view, "engine", "dense", limit=100)
        assert "new" not in found(view, "engine", "dense", limit=100)

    @pytest.mark.parametrize(
        "text",
        [
            "nul \0 byte",
            "tab\tand\x0bvertical\x85line",
            "x" * 10_000,
            "\ud800 lone",
            "# \x1f \u2028 🦊",
            "a" * 70_000 + " b",
        ],
        ids=["nul", "spaces", "long", "surrogate", "signs", "longer"],
    )
    def test_no_text_breaks_it(self, index: Index, text: str) -> None:
        index.apply([put(1, "odd", f"{text} findable"), put(2, "other", "words")])
        view = index.view()
        assert found(view, "findable") == ["odd"]
        assert kept(view, "odd#0").document == "odd"
        for leg in LEGS:
            found(view, text, leg)

    def test_a_number_of_any_size_is_held(self, index: Index) -> None:
        """A filter with the number itself finds it, and one with a bound."""
        numbers = {"large": 10**400, "small": -(10**400), "long": 2**70, "plain": 3}
        index.apply([put(at, id, "equal", metadata={"n": n}) for at, (id, n) in enumerate(numbers.items(), start=1)])
        assert set(found(index.view(), "equal", where={"n": {"gt": 2**65}})) == {"large", "long"}
        assert found(index.view(), "equal", where={"n": {"lt": 0}}) == ["small"]

    def test_a_word_of_ten_thousand_letters_is_found(self, index: Index) -> None:
        index.apply([put(1, "long", "y" * 10_000), put(2, "other", "z" * 10_000)])
        assert found(index.view(), "y" * 10_000) == ["long"]

    def test_odd_terms_and_weights_of_a_query_are_no_error(self, index: Index) -> None:
        index.apply(animals())
        view = index.view()
        terms = {
            "fox": 1.0,
            "": 1.0,
            "a b\nc": 1.0,
            "\0": 2.0,
            "\ud800": 1.0,
            "dog": float("nan"),
            "cow": -1.0,
            "river": 0.0,
        }
        for leg in LEGS:
            view.retrieve(leg, Asked(terms=terms, grams=terms), 10)
        assert [one.passage for one in view.retrieve("words", Asked(terms=terms), 10)] == ["fox#0"]

    def test_a_query_of_ten_thousand_words_is_answered_by_its_rarest(self, index: Index) -> None:
        index.apply([*many(100), put(101, "rare", "needle needle needle")])
        letters = str.maketrans("0123456789", "bcdfghjklm")
        words = " ".join(f"unknown{at} engine oil flour".translate(letters) for at in range(10_000))
        hits = index.view().retrieve("words", asked(f"{words} needle"), 5)
        assert hits[0].passage == "rare#0"

    def test_ids_with_signs_are_no_trouble(self, index: Index) -> None:
        ids = ["a#1", "a", "a#1#0", "../../etc", "with space", "ü" * 100, "x" * 512]
        index.apply([put(at, id, "equal text") for at, id in enumerate(ids, start=1)])
        view = index.view()
        assert sorted(found(view, "text")) == sorted(ids)
        assert [kept(view, f"{id}#0").document for id in ids] == ids

    def test_a_built_generation_serves_once_it_is_switched(self, index: Index) -> None:
        index.apply(animals())
        before = index.view()
        index.build([put(7, "new", "brand new")], "next")
        assert index.view().generation == before.generation
        assert found(index.view(), "brand new") == []
        index.switch("next")
        view = index.view()
        assert (view.generation, view.watermark, found(view, "brand new"), found(view, "fox")) == (
            "next",
            7,
            ["new"],
            [],
        )
        assert found(before, "quick fox") == ["fox"]

    def test_a_whole_generation_is_not_built_twice(self, index: Index) -> None:
        index.build([put(1, "a", "first")], "g")
        index.build([put(2, "b", "second")], "g")
        index.switch("g")
        assert dict(index.view().hashes()) == {"a": "hash of a at 1"}

    def test_a_generation_that_was_left_can_serve_again(self, index: Index) -> None:
        index.build(animals(), "1")
        index.switch("1")
        index.build([put(9, "x", "other")], "2")
        index.switch("2")
        index.switch("1")
        assert found(index.view(), "fox") == ["fox"]
        index.apply([put(10, "y", "fox too")])
        assert set(found(index.view(), "fox")) == {"fox", "y"}

    def test_a_built_generation_takes_changes_and_serves_them_once_it_is_switched(self, index: Index) -> None:
        index.apply(animals())
        index.build(animals()[:2], "next")
        assert index.apply([*animals()[1:], gone(5, "fox")], "next") == 5
        assert (index.view().generation, index.view().watermark) == ("1", 3)
        assert (index.built("next").watermark, index.built("next").documents) == (5, 2)
        index.switch("next")
        assert (found(index.view(), "fox"), found(index.view(), "purple cows")) == ([], ["cow"])
        assert index.apply([put(6, "owl", "an owl")], "next") == index.view().watermark == 6
        with pytest.raises(NotFound):
            index.apply(animals(), "nowhere")

    def test_a_generation_is_built_up_to_a_change_that_is_told_no_more(self, index: Index) -> None:
        index.build(animals(), "g", 9)
        index.switch("g")
        assert (index.view().watermark, index.view().documents) == (9, 3)
        assert index.apply([put(10, "owl", "an owl")]) == 10

    def test_only_a_whole_generation_can_serve(self, index: Index) -> None:
        with pytest.raises(NotFound):
            index.switch("nowhere")

        def broken():
            yield put(1, "a", "text")
            raise RuntimeError("the store went away")

        with pytest.raises(RuntimeError):
            index.build(broken(), "half")
        with pytest.raises(NotFound):
            index.switch("half")
        index.build(animals(), "half")
        index.switch("half")
        assert index.view().documents == 3

    @pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 200, "nul\0"])
    def test_a_generation_has_a_plain_name(self, index: Index, name: str) -> None:
        with pytest.raises(InvalidRequest):
            index.build([], name)
        with pytest.raises(InvalidRequest):
            index.switch(name)

    def test_an_empty_collection_can_be_built(self, index: Index) -> None:
        index.build([], "g")
        index.switch("g")
        assert (index.view().generation, index.view().documents, found(index.view(), "x")) == ("g", 0, [])
        assert index.apply(animals()) == 3
        assert found(index.view(), "fox") == ["fox"]

    def test_threads_may_share_a_view(self, index: Index) -> None:
        index.apply(many(120))
        view, wrong = index.view(), []

        def search() -> None:
            for _ in range(20):
                if found(view, "engine oil", "dense", {"at": {"lt": 9}}) != alone or view.frequency("oil") != 30:
                    wrong.append(1)

        alone = found(index.view(), "engine oil", "dense", {"at": {"lt": 9}})
        threads = [threading.Thread(target=search) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert not wrong
