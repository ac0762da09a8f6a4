"""Near-duplicates: what differs in a fact is never merged, what says the same is, and the work stays bounded."""

from __future__ import annotations

import random
import time
from textwrap import wrap
from typing import Any

import pytest

from benchmarks.search.doubles import adversarial, entry, loose
from benchmarks.search.traps import crowd, patterns, traps
from meliora.knowledge.documents import Document, Kept
from meliora.knowledge.upkeep.ratio import token_sort_ratio
from meliora.knowledge.upkeep.redundancy import Redundancy, redundant
from meliora.knowledge.upkeep.tokens import read

LONG = (
    "The database service listens on port 5432 of the primary host in Frankfurt and is replicated to Dublin overnight"
)
SAME = [
    LONG.lower().replace("frankfurt", "Frankfurt").replace("dublin", "Dublin") + "!",
    f"Hello team, {LONG}.",
    f"Good morning everyone,\n{LONG}",
    "\n".join(wrap(LONG.replace(" the ", "  the "), 60)),
    LONG.replace("5432", "５４３２"),
    f"{LONG}.\n\nThanks!",
    LONG.replace("\u0020primary", "\u00a0pri\u00admary"),
]
OTHER = [
    LONG.replace("5432", "5433"),
    LONG.replace("5432", "-5432"),
    LONG.replace("is replicated", "is not replicated"),
    LONG.replace("in Frankfurt", "in Dublin").replace("to Dublin", "to Frankfurt"),
    LONG.replace("primary", "secondary"),
    LONG + ". The password is rotated weekly.",
    LONG.replace("port 5432", "port 5432 or 5433"),
    LONG.replace("overnight", "overnight?"),
    LONG.replace("Frankfurt", "Frankfort"),
    LONG.replace("5432", "5432'"),
    LONG.replace("The ", "", 1),
    LONG.replace("replicated", "replicaated"),
    LONG.replace("primary host", "Primary host"),
    LONG.replace(" in Frankfurt", ", in Frankfurt,"),
    LONG.replace("primary", '"primary"'),
    LONG.replace("of the primary", "of. The primary"),
]


def kept(*texts: str, **named: Any) -> list[Kept]:
    return [Kept(document=Document(id=str(at), text=text, **named), seq=at, hash="") for at, text in enumerate(texts)]


def only(a: str, b: str) -> Redundancy:
    return redundant(kept(a, b))


@pytest.mark.parametrize("text", SAME)
def test_the_same_in_other_dress_may_be_consolidated(text: str) -> None:
    found = only(LONG, text)
    assert [(one.kept, one.archived) for one in found.pairs] == [("0", "1")]


@pytest.mark.parametrize("text", OTHER)
def test_what_differs_in_a_fact_is_queued_for_a_person(text: str) -> None:
    found = only(LONG, text)
    assert found.pairs == ()
    assert [(one.a, one.b) for one in found.queued] == [("0", "1")]


def test_the_same_file_in_two_folders_may_be_consolidated() -> None:
    """They are called by where they stand, which says nothing; a title of their own does."""
    text = "The lighthouse keeper opens the harbour gate at six every morning of the week."
    places = ("v1/notes.txt", "v2/notes.txt")
    files = [
        Kept(document=Document(id=place, title=place, source=place, text=text), seq=at, hash="")
        for at, place in enumerate(places)
    ]
    assert len(redundant(files).pairs) == 1
    named = [
        Kept(document=Document(id=place, title=f"Release {at}", source=place, text=text), seq=at, hash="")
        for at, place in enumerate(places)
    ]
    assert redundant(named).pairs == ()


def test_two_databases_of_different_ports_are_not_merged() -> None:
    assert only("db1 port 5432", "db2 port 6432").pairs == ()


def merged(made: list[tuple[str, str, str]], others: list[str]) -> list[tuple[str, str, str]]:
    """Compare all as one collection; give the pairs of those made that were merged."""
    found = redundant(kept(*(text for _, *both in made for text in both), *others))
    ids = [(int(one.kept), int(one.archived)) for one in found.pairs]
    return [made[a // 2] for a, b in ids if a // 2 == b // 2 and a < 2 * len(made)]


def test_none_of_many_adversarial_pairs_is_merged() -> None:
    assert merged(adversarial(random.Random(4), 280), []) == []


def test_no_trap_of_any_kind_is_merged() -> None:
    assert len({kind for kind, *_ in patterns()}) > 80
    assert merged(list(patterns()), crowd(random.Random(5))) == []


def test_no_trap_is_merged_among_other_sentences_and_in_other_dress() -> None:
    rng = random.Random(6)
    assert merged(rng.sample(traps(rng), 300), []) == []


def test_what_means_the_same_is_merged_or_a_person_is_asked() -> None:
    made = loose(random.Random(7), 240)
    found = redundant(kept(*(text for _, *both in made for text in both)))
    seen = {frozenset((one.kept, one.archived)) for one in found.pairs}
    seen |= {frozenset((one.a, one.b)) for one in found.queued}
    assert [one for at, one in enumerate(made) if frozenset((str(2 * at), str(2 * at + 1))) not in seen] == []


def test_the_reason_names_what_differs() -> None:
    found = only(LONG, OTHER[0]).queued[0]
    assert (found.why, found.said) == ("numbers", "5432 / 5433")
    assert only(LONG, OTHER[5]).queued[0].why in ("sentence", "words")


def test_a_rare_word_is_never_taken_for_a_common_one_misspelled() -> None:
    others = [f"A replicated database is item {at} of a list on shelf {at * 7}" for at in range(5)]
    found = redundant(kept(LONG, LONG.replace("replicated", "replicaated"), *others))
    assert found.pairs == () and found.queued[0].why == "words"


def test_sentences_in_another_order_are_for_a_person() -> None:
    north, lock, south = "The north gate is broken.", "The lock is new.", "The south gate is shut."
    assert [one.why for one in only(f"{north} {lock} {south}", f"{north} {south} {lock}").queued] == ["order"]


@pytest.mark.parametrize(
    ("one", "other", "why", "said"),
    [
        ("We met Ana, the clerk, and Cy.", "We met Ana, the clerk and Cy.", "marks", "the clerk , and Cy / , the clerk and Cy"),
        ("They sell Turkey as the best choice.", "They sell turkey as the best choice.", "case", "Turkey as the / "),
        ("Monday\nAna\nBob Tuesday", "Monday\nAna Bob\nTuesday", "marks", "Ana . Bob"),
        ("a: x\n  b: y\n  c: z d", "a: x\n  b: y\nc: z d", "marks", "⏎"),
    ],
)  # fmt: skip
def test_it_is_shown_where_marks_and_capitals_differ(one: str, other: str, why: str, said: str) -> None:
    found = only(one, other).queued[0]
    assert found.why == why and said in found.said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("." * 200_000 + "x" + "'" * 200_000, 1),
        ("hi, " * 100_000, 0),
        ("\n" * 300_000 + "thanks", 0),
        ("x \t" * 100_000, 100_000),
        ("… - " * 100_000, 0),
        ("thanks.\n" * 100_000, 0),
    ],
)  # fmt: skip
def test_a_text_of_marks_and_greetings_is_read_whatever_its_length(text: str, words: int) -> None:
    assert len(read(text).words) == words


@pytest.mark.parametrize("field", ["user", "category", "language"])
def test_documents_of_another_person_or_category_are_not_merged(field: str) -> None:
    one, other = kept(LONG, **{field: "en"})[0], kept("", LONG, **{field: "de"})[1]
    found = redundant([one, other])
    assert found.pairs == () and found.queued[0].said == field


def test_the_one_used_most_stays_and_none_is_archived_for_one_that_is_archived() -> None:
    many = [
        Kept(document=Document(id=name, text=LONG), seq=1, hash="", accesses=used)
        for name, used in (("a", 0), ("b", 5), ("c", 2))
    ]
    found = redundant(many)
    assert {one.kept for one in found.pairs} == {"b"}
    assert {one.archived for one in found.pairs} == {"a", "c"}


def test_archived_documents_are_not_looked_at() -> None:
    one, other = kept(LONG, LONG)
    gone = Kept(document=other.document, seq=2, hash="", state="archived")
    assert redundant([one, gone]).pairs == ()


@pytest.mark.parametrize("texts", [(), ("",), ("", ""), ("a", "a"), ("…", "—"), ("\ud800 x", "\ud800 x")])
def test_texts_of_almost_nothing_are_no_trouble(texts: tuple[str, ...]) -> None:
    redundant(kept(*texts))


def test_many_entries_that_share_boilerplate_are_compared_with_a_few_each() -> None:
    rng = random.Random(1)
    common = entry(rng, 7)
    found = redundant(kept(*(f"{common} {entry(rng, 1)} number {at}" for at in range(600))))
    assert found.compared < 600 * 40
    assert found.pairs == ()


def test_a_word_of_a_hundred_thousand_letters_takes_no_time() -> None:
    start = time.process_time()
    only("a" * 100_000 + " b", "a" * 100_000 + " c")
    assert time.process_time() - start < 3


def test_the_ratio_is_that_of_the_longest_common_subsequence() -> None:
    rng = random.Random(2)
    for _ in range(100):
        a, b = ("".join(rng.choices("abc", k=rng.randrange(0, 12))) for _ in range(2))
        rows = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
        for i, x in enumerate(a):
            for j, y in enumerate(b):
                rows[i + 1][j + 1] = rows[i][j] + 1 if x == y else max(rows[i][j + 1], rows[i + 1][j])
        expected = 2 * rows[-1][-1] / (len(a) + len(b)) if a or b else 1.0
        assert token_sort_ratio([a], [b]) == pytest.approx(expected)
