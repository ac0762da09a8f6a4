"""Who is erased takes along what rests on them alone; what others stand behind stays as it was, byte by byte."""

from __future__ import annotations

import msgspec
import pytest

from meliora.knowledge.forgetting import (
    MOST,
    SOMEBODY,
    erased_of,
    known_only,
    parted,
    read_until,
    support,
    without,
)
from meliora.knowledge.repair.expansion import Table

ANN, BOB = "a" * 32, "b" * 32


def table(**people: tuple[str, ...]) -> Table:
    return Table(words={word: {"page": 0.5} for word in people}, people=people, until_us=7)


def test_a_word_goes_with_the_last_who_stood_behind_it() -> None:
    before = table(hers=(ANN,), both=(ANN, BOB), his=(BOB,), nameless=(SOMEBODY, ANN))
    left = without("expansion", before.encode(), {ANN})
    assert left is not None and left.words == ("hers",)
    after = table(both=(BOB,), his=(BOB,), nameless=(SOMEBODY,))
    assert left.data == after.encode()
    assert without("expansion", left.data, {ANN}) is None
    last = without("expansion", left.data, {BOB})
    assert last is not None and Table.decode(last.data).words.keys() == {"nameless"}


def test_words_behind_which_nobody_was_ever_known_go_with_nobody() -> None:
    assert parted({"old": (), "hers": (ANN,)}, {ANN}) == ({"old": ()}, ["hers"])
    left = without("expansion", table(old=(), hers=(ANN,)).encode(), {ANN})
    assert left is not None and Table.decode(left.data).words.keys() == {"old"}


def test_behind_a_word_of_many_somebody_always_remains() -> None:
    people = [f"{at:032x}" for at in range(MOST + 5)]
    kept = support(people)
    assert len(kept) == MOST + 1 and SOMEBODY in kept
    assert parted({"word": kept}, set(people)) == ({"word": (SOMEBODY,)}, [])
    assert support(people[:MOST]) == tuple(people[:MOST])
    assert support([BOB, ANN, BOB]) == (ANN, BOB)


def test_a_table_of_another_version_is_cleaned_too() -> None:
    said = {"format": "meliora expansion 9", "words": {"hers": {"x": 1}}, "people": {"hers": [ANN]}, "more": 1}
    left = without("expansion", msgspec.json.encode(said), {ANN})
    assert left is not None
    assert msgspec.json.decode(left.data) == said | {"words": {}, "people": {}}


@pytest.mark.parametrize("kind", ["expansion", "reranker", "pruning"])
def test_what_does_not_know_the_person_stays_as_it_is(kind: str) -> None:
    for data in (table(his=(BOB,)).encode(), b"no JSON at all", b"\xff\xfe\n{"):
        assert without(kind, data, {ANN}) is None
    assert without("pruning", ANN.encode(), {ANN}) is None


def test_a_model_is_marked_once_for_each_and_its_trees_are_not_touched() -> None:
    head = {"format": "f", "training": {"queries": 3, "people": [ANN, BOB], "until_us": 9, "erased": 0}}
    data = msgspec.json.encode(head) + b"\n" + b"tree\nof numbers"
    assert (erased_of(data), read_until("reranker", data)) == (0, 9)
    once = without("reranker", data, {ANN})
    assert once is not None and erased_of(once.data) == 1 and once.data.endswith(b"\ntree\nof numbers")
    twice = without("reranker", once.data, {ANN, BOB})
    assert twice is not None and erased_of(twice.data) == 2 and ANN.encode() not in twice.data
    assert erased_of(b"older\nmodel") == 0


def test_translations_that_no_document_has_any_more_go() -> None:
    both = Table(words={"a": {"known": 0.5, "lost": 0.5}, "b": {"lost": 1.0}}, people={"a": (BOB,), "b": (BOB,)})
    left = known_only("expansion", both.encode(), lambda word: word == "known")
    assert left is not None and left.words == ("lost",)
    assert Table.decode(left.data).words == {"a": {"known": 0.5}, "b": {}}
    assert known_only("expansion", both.encode(), lambda word: True) is None
    assert known_only("reranker", b"{}", lambda word: False) is None


def test_a_newer_table_keeps_who_stood_behind_what_it_takes_from_an_older_one() -> None:
    newer, older = table(new=(BOB,)), table(new=(ANN,), old=(ANN,))
    assert newer.over(older).people == {"new": (BOB,), "old": (ANN,)}
