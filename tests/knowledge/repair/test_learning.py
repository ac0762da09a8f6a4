"""A new word is translated into those of the documents that people used for it."""

from __future__ import annotations

import msgspec
import pytest

from meliora.errors import InvalidRequest
from meliora.knowledge.repair.background import Background
from meliora.knowledge.repair.contexts import Contexts
from meliora.knowledge.repair.expansion import Table
from meliora.knowledge.repair.learning import Asking, Example, Learning, learn

OTHERS = ("alpha", "beta", "gamma", "delta")
DOCUMENTS = [
    *[("certificate", other, "page", "text") for other in OTHERS for _ in range(3)],
    *[(other, "page", "text", f"w{number}") for number in range(20) for other in OTHERS],
]
EXAMPLES = [Example(asked=("zorblax", other), found=("certificate", other, "page", "text")) for other in OTHERS]
BACKGROUND = Background(DOCUMENTS)


def test_a_new_word_takes_what_known_words_leave_over() -> None:
    table = learn(EXAMPLES, {"zorblax"}, BACKGROUND)
    assert table is not None
    words = table.of("zorblax")
    assert max(words, key=lambda word: words[word]) == "certificate"
    assert not set(OTHERS) & {word for word, weight in words.items() if weight > 0.2}


def test_only_weak_words_are_translated() -> None:
    table = learn(EXAMPLES, {"zorblax"}, BACKGROUND)
    assert table is not None
    assert set(table.words) == {"zorblax"}
    assert learn(EXAMPLES, (), BACKGROUND) is None


def test_a_word_of_too_few_different_queries_is_not_learned() -> None:
    assert learn(EXAMPLES[:1] * 50, {"zorblax"}, BACKGROUND) is None


def test_a_query_put_into_other_words_tells_more_than_a_document() -> None:
    again = [Example(asked=("zorblax", other), found=("w7",), again=True) for other in OTHERS]
    table = learn([*EXAMPLES, *again], {"zorblax"}, BACKGROUND)
    assert table is not None
    assert max(table.of("zorblax").items(), key=lambda one: one[1])[0] == "w7"


def test_a_word_no_longer_asked_for_is_likelier_meant() -> None:
    examples = [Example(asked=("zorblax", other), found=("w3", "w4")) for other in OTHERS]
    table = learn(examples, {"zorblax"}, BACKGROUND, asking=Asking(before={"w4": 9, "page": 9}, now={"page": 9}))
    assert table is not None
    assert table.of("zorblax")["w4"] > table.of("zorblax")["w3"]


def test_a_word_that_stood_where_the_new_one_stands_is_meant_though_no_document_that_was_used_has_it() -> None:
    before = [("w9", "alpha", "text"), ("w9", "beta", "text"), ("w8", "gamma", "delta")]
    examples = [Example(asked=("zorblax", other, "text"), found=("w3", "w4")) for other in ("alpha", "beta")]
    counts = Asking(before={"w9": 9, "text": 9}, now={"text": 9})
    asking = msgspec.structs.replace(counts, contexts=Contexts(before, BACKGROUND.knows))
    table = learn(examples, {"zorblax"}, BACKGROUND, asking=asking)
    assert table is not None
    assert max(table.of("zorblax").items(), key=lambda one: one[1])[0] == "w9"
    without = learn(examples, {"zorblax"}, BACKGROUND, asking=counts)
    assert without is not None
    assert without.of("zorblax").get("w9", 0.0) < 0.3 * table.of("zorblax")["w9"]


def test_new_words_compete_for_what_they_mean() -> None:
    """Both were asked of documents with `w1` and `w2`; that one of them must mean `w1` leaves `w2` to the other."""
    sure = [Example(asked=("sure", other), found=("w1", "w1", "w1", "w1", "w2")) for other in OTHERS]
    open_ = [Example(asked=("open", other), found=("w1", "w2")) for other in OTHERS]
    alone, both = learn(open_, {"open"}, BACKGROUND), learn([*sure, *open_], {"sure", "open"}, BACKGROUND)
    assert alone is not None and both is not None
    assert alone.of("open")["w1"] == alone.of("open")["w2"]
    assert both.of("open")["w2"] > 3 * both.of("open")["w1"]
    assert both.of("sure")["w1"] > 3 * both.of("sure")["w2"]


def test_of_very_many_new_words_those_of_most_queries_are_learned() -> None:
    rare = [Example(asked=("rare", *one.asked[1:]), found=one.found) for one in EXAMPLES[:2]]
    table = learn([*rare, *EXAMPLES], {"zorblax", "rare"}, BACKGROUND, rules=Learning(terms=1))
    assert table is not None
    assert set(table.words) == {"zorblax"}


def test_two_new_words_may_mean_the_same_old_one() -> None:
    two = [Example(asked=(new, *one.asked[1:]), found=one.found) for new in ("zorblax", "brimkat") for one in EXAMPLES]
    table = learn(two, {"zorblax", "brimkat"}, BACKGROUND)
    assert table is not None
    for new in ("zorblax", "brimkat"):
        assert table.of(new)["certificate"] > 0.5


@pytest.mark.parametrize("weight", [0.0, -3.0, float("nan"), float("inf")])
def test_an_example_without_a_real_weight_teaches_nothing(weight: float) -> None:
    bad = [Example(asked=one.asked, found=("w1",), weight=weight) for one in EXAMPLES]
    assert learn(bad, {"zorblax"}, BACKGROUND) is None
    assert learn([*EXAMPLES, *bad], {"zorblax"}, BACKGROUND) == learn(EXAMPLES, {"zorblax"}, BACKGROUND)


def test_one_query_asked_a_thousand_times_does_not_outvote_the_others() -> None:
    spam = [Example(asked=("zorblax", "omega"), found=("w9",))] * 1000
    table = learn([*EXAMPLES, *spam], {"zorblax"}, BACKGROUND)
    assert table is not None
    assert max(table.of("zorblax").items(), key=lambda one: one[1])[0] == "certificate"


def test_the_same_examples_give_the_same_bytes_and_they_read_back() -> None:
    one, two = learn(EXAMPLES, ["zorblax"], BACKGROUND), learn(EXAMPLES[::-1], ["zorblax"], BACKGROUND)
    assert one is not None and two is not None
    assert one.encode() == two.encode()
    assert Table.decode(one.encode()) == one
    assert one.sha256 == two.sha256


def test_words_and_weights_are_bounded() -> None:
    table = learn(EXAMPLES, {"zorblax"}, BACKGROUND, rules=Learning(words=2, total=1.0))
    assert table is not None
    assert len(table.of("zorblax")) <= 2
    assert sum(table.of("zorblax").values()) <= 1.001


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        Table(words={}, format="meliora expansion 9").encode(),
        Table(words={}, analysis="0").encode(),
        Table(words={"a": {"b": 1.5}}).encode(),
        Table(words={"a": {"b": -0.5}}).encode(),
        Table(words={"a": {f"w{number}": 0.5 for number in range(21)}}).encode(),
        Table(words={}).encode()[:-1] + b',"more":1}',
    ],
)
def test_what_is_no_table_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        Table.decode(body)


def test_another_format_is_refused_by_its_name() -> None:
    with pytest.raises(InvalidRequest, match="meliora expansion 9"):
        Table.decode(Table(words={}, format="meliora expansion 9").encode())
