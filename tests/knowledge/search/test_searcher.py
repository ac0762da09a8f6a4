"""A search: its stages, what it tells, and what it stands without."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from meliora.errors import InvalidRequest
from meliora.knowledge.answers import Rewrite
from meliora.knowledge.config import Fusion, Leg, Reranking, SearchConfig, Snapshot
from meliora.knowledge.filters import Filter, read_filter
from meliora.knowledge.index.base import Asked, Hit, Stored
from meliora.knowledge.index.local import LocalView
from meliora.knowledge.search.explaining import explain
from meliora.knowledge.search.parts import Origin, Parts, Pool, Ranked, Rewritten
from meliora.knowledge.search.searcher import Request, search
from meliora.knowledge.text.analysis import Analysed, analyse

TEXTS = {
    "pipes": "Water pipes burst when they freeze in winter.",
    "taps": "A dripping tap wastes water; change the washer.",
    "boiler": "The boiler heats the water for radiators and taps.",
    "wiring": "Electric wiring must be earthed and fused.",
}


def letters(number: int) -> str:
    return "".join("bcdfghjklm"[int(digit)] for digit in str(number))


FIRST = Snapshot(number=0, config=SearchConfig())


def view(texts: dict[str, str] = TEXTS, **metadata: str) -> LocalView:
    return LocalView([stored(name, text, **metadata) for name, text in texts.items()])


def stored(name: str, text: str, number: int = 0, **metadata: str) -> Stored:
    terms = analyse(text).terms
    return Stored(
        document=name, number=number, title="", text=text, start=0, end=len(text), terms=terms, metadata=metadata
    )


def documents(request: Request, over: LocalView, snapshot: Snapshot = FIRST, parts: Parts | None = None) -> list[str]:
    return [one.document for one in search(request, over, snapshot, parts or Parts()).results]


def test_what_has_the_querys_words_comes_first() -> None:
    assert documents(Request("burst pipes"), view())[0] == "pipes"


def test_a_part_of_a_word_is_found_by_its_letters() -> None:
    assert documents(Request("wirings earthing"), view())[0] == "wiring"


def test_an_empty_query_has_no_results_and_is_no_error() -> None:
    for text in ("", "   ", "?!", "\0"):
        assert search(Request(text), view(), FIRST, Parts()).results == ()


def test_a_query_of_common_words_alone_says_why_nothing_is_found() -> None:
    assert search(Request("to be or not to be"), view(), FIRST, Parts()).notes == {"only_common_words": True}
    for text in ("", "?!", "water", "zeppelin"):
        assert search(Request(text), view(), FIRST, Parts()).notes == {}


def test_a_very_long_query_is_cut_to_its_rarest_words_and_says_so() -> None:
    text = " ".join(f"q{letters(n)}" for n in range(10_000)) + " washer"
    answer = search(Request(text), view(), FIRST, Parts())
    assert answer.results[0].document == "taps"
    assert answer.notes["words_left_out"] == 10_001 - 64


def test_a_document_is_given_once_by_its_best_passage() -> None:
    over = LocalView(
        [stored("a", "about cats", 0), stored("a", "water pipes burst", 1), stored("b", "burst of water", 0)]
    )
    answer = search(Request("water pipes burst"), over, FIRST, Parts())
    assert [(one.document, one.passage) for one in answer.results] == [("a", 1), ("b", 0)]
    assert [one.position for one in answer.results] == [1, 2]


def test_long_documents_do_not_keep_others_from_being_found() -> None:
    """Hundreds of passages of one document that have the word leave room for the two others that have it."""
    long = [stored("long", f"the pump, part {letters(n)}", n) for n in range(900)]
    over = LocalView([*long, *(stored(name, f"{name} with many other words but also a pump") for name in ("b", "c"))])
    few = documents(Request("pump", limit=3), over)
    assert sorted(few) == ["b", "c", "long"]
    assert documents(Request("pump", limit=100), over) == few
    assert documents(Request("pump", where=read_filter({"id": "long"})), over) == ["long"]


def test_equal_scores_come_in_the_order_of_their_names() -> None:
    over = view(dict.fromkeys("cab", "the same words"))
    assert documents(Request("same words"), over) == ["a", "b", "c"]


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_a_limit_that_is_none_is_refused(limit: int) -> None:
    with pytest.raises(InvalidRequest, match="1 to 100"):
        Request("water", limit=limit)


def test_a_filter_on_a_field_that_no_document_has_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="colour"):
        search(Request("water", where=read_filter({"colour": "red"})), view(room="bath"), FIRST, Parts())


@pytest.mark.parametrize("value", [{}, [], None, [[1]]])
def test_a_filter_that_says_nothing_is_refused_by_its_field(value: object) -> None:
    with pytest.raises(InvalidRequest, match="'room'"):
        read_filter({"room": value})


def test_the_words_of_a_long_document_are_told_wherever_they_stand() -> None:
    texts = ["some words", *(f"filler {letters(n)}" for n in range(250)), "a needle at the end"]
    over = LocalView([stored("long", text, n) for n, text in enumerate(texts)])
    place = explain(Request("needle haystack"), over, FIRST, Parts(), "long").document
    assert place is not None
    assert [one.term for one in place.matched] == ["needl"]
    assert place.lacking == ("haystack",)


def test_a_filter_leaves_only_what_passes() -> None:
    over = LocalView([stored("a", "water", room="bath"), stored("b", "water", room="kitchen")])
    assert documents(Request("water", where=read_filter({"room": ["kitchen"]})), over) == ["b"]


def test_a_leg_that_fails_is_left_out_and_told() -> None:
    class Broken(LocalView):
        def retrieve(self, leg: Leg, asked: Asked, limit: int, where: Filter | None = None) -> Sequence[Hit]:
            if leg == "dense":
                raise OSError("the vectors are gone")
            return super().retrieve(leg, asked, limit, where)

    over = Broken([stored(name, text) for name, text in TEXTS.items()])
    answer = search(Request("burst pipes"), over, FIRST, Parts())
    assert answer.results[0].document == "pipes"
    assert "the vectors are gone" in answer.skipped["dense"]


def test_words_are_what_a_search_cannot_do_without() -> None:
    class Broken(LocalView):
        def retrieve(self, leg: Leg, asked: Asked, limit: int, where: Filter | None = None) -> Sequence[Hit]:
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        search(Request("burst"), Broken([stored("a", "burst")]), FIRST, Parts())


def test_a_leg_of_no_weight_is_not_asked() -> None:
    config = SearchConfig(fusion=Fusion(grams=0.0, dense=0.0))
    answer = search(Request("burst pipes", explain=True), view(), Snapshot(number=3, config=config), Parts())
    assert answer.snapshot == 3
    assert set(answer.stages_us) == {"analyse", "words", "fusion", "results"}
    assert answer.results[0].explanation is not None
    assert [place.leg for place in answer.results[0].explanation.places] == ["words"]


def test_an_explanation_sums_to_the_score_and_names_the_words_that_matched() -> None:
    answer = search(Request("Frozen pipes", explain=True), view(), FIRST, Parts())
    why = answer.results[0].explanation
    assert why is not None
    assert sum(place.contribution for place in why.places) == pytest.approx(answer.results[0].score)
    assert [one.written for one in why.matched] == ["pipes"]
    assert [one.origin for one in why.matched] == ["query"]


def test_words_that_no_passage_has_are_told() -> None:
    answer = search(Request("zylophone pipes"), view(), FIRST, Parts())
    assert answer.unknown == analyse("zylophone").terms


def repairing(query: Analysed) -> Rewritten:
    return Rewritten(
        terms={"pipe": 1.0},
        words=("pipes",),
        origins={"pipe": Origin("spelling", "piqes")},
        rewrites=(Rewrite("spelling", "piqes", {"pipe": 1.0}),),
    )


def test_a_repair_is_asked_in_place_of_the_query_and_told() -> None:
    answer = search(Request("piqes", explain=True), view(), FIRST, Parts(repairers=(("spelling", repairing),)))
    assert answer.results[0].document == "pipes"
    assert answer.rewrites[0].written == "piqes"
    why = answer.results[0].explanation
    assert why is not None
    assert (why.matched[0].origin, why.matched[0].written) == ("spelling", "piqes")


def test_a_repair_that_breaks_leaves_the_query_as_it_is() -> None:
    def broken(query: Analysed) -> Rewritten:
        raise ValueError("no table")

    answer = search(Request("pipes"), view(), FIRST, Parts(repairers=(("expansion", broken),)))
    assert answer.results[0].document == "pipes"
    assert answer.skipped["expansion"] == "ValueError: no table"


RERANKED = Snapshot(number=1, config=SearchConfig(reranking=Reranking(model="m")))


def test_a_ranker_puts_the_first_candidates_in_order() -> None:
    def backwards(pool: Pool, *, explain: bool = False) -> Ranked:
        return Ranked(scores=[float(at) for at in range(len(pool.candidates))])

    plain = documents(Request("water taps"), view())
    assert documents(Request("water taps"), view(), RERANKED, Parts(ranker=backwards)) == plain[::-1]


def test_a_ranker_that_breaks_leaves_the_order_of_the_fusion() -> None:
    def broken(pool: Pool, *, explain: bool = False) -> Ranked:
        raise ValueError("another schema")

    answer = search(Request("water taps"), view(), RERANKED, Parts(ranker=broken))
    assert [one.document for one in answer.results] == documents(Request("water taps"), view())
    assert "another schema" in answer.skipped["reranking"]


def test_a_part_that_could_not_be_loaded_is_told_with_each_answer() -> None:
    answer = search(Request("water"), view(), RERANKED, Parts(missing={"reranking": "the model file is gone"}))
    assert answer.skipped == {"reranking": "the model file is gone"}
    assert answer.results
