"""LIME says of a reranker's score much the same as TreeSHAP, names the words it rests on, and the extra where it is not installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import msgspec
import numpy as np
import pytest

from meliora.errors import InvalidRequest, MissingExtra
from meliora.knowledge.config import Reranking, SearchConfig, Snapshot
from meliora.knowledge.ranking.features import NAMES
from meliora.knowledge.ranking.model import BACKGROUND, Boosting, Reranker, read
from meliora.knowledge.ranking.ranker import ModelRanker
from meliora.knowledge.ranking.train import train
from meliora.knowledge.search.explaining import ExplainedSearch, explain
from meliora.knowledge.search.parts import Parts, Ranked
from meliora.knowledge.search.searcher import Request

installed = pytest.mark.skipif(find_spec("lime") is None, reason="needs the extra: pip install 'meliora[lime]'")
SNAPSHOT = Snapshot(number=1, config=SearchConfig(reranking=Reranking(model="0" * 64)))


@pytest.fixture(scope="module")
def model(collection):
    return train(collection[1], Boosting(rounds=60, bags=2, least=20), seed=3)


@pytest.fixture(scope="module")
def explained(collection, model):
    def of(text="aab ael z1 z2", document=None, ranker=None, method="lime") -> ExplainedSearch:
        parts = Parts(ranker=ranker or ModelRanker(model))
        return explain(Request(text, explain=True), collection[0], SNAPSHOT, parts, document, method)

    return of


def most(weights: dict[str, float], count: int) -> set[str]:
    return set(sorted(weights, key=lambda name: -abs(weights[name]))[:count])


def without_background(model: Reranker) -> Reranker:
    """Give the model as an earlier version wrote it."""
    line, _, body = model.write().partition(b"\n")
    head = msgspec.json.decode(line)
    del head["background"]
    return read(msgspec.json.encode(head) + b"\n" + body)


def test_a_file_keeps_rows_that_its_model_was_trained_on(collection, model):
    rows = {tuple(row) for one in collection[1] for row in one.table.round(4).tolist()}
    assert model.background.shape == (BACKGROUND, len(NAMES))
    assert all(tuple(row) in rows for row in model.background.tolist())
    assert (read(model.write()).background == model.background).all()


def test_rows_of_other_features_are_refused(model):
    line, _, body = model.write().partition(b"\n")
    head = msgspec.json.decode(line) | {"background": [[1.0]]}
    with pytest.raises(InvalidRequest, match=str(len(NAMES))):
        read(msgspec.json.encode(head) + b"\n" + body)


def test_a_file_of_earlier_times_is_read_and_scores_as_it_did(collection, model):
    old, table = without_background(model), collection[1][0].table
    assert len(old.background) == 0 and (old.score(table) == model.score(table)).all()


def test_without_the_package_the_extra_is_named_and_treeshap_still_answers(explained, monkeypatch):
    monkeypatch.setitem(sys.modules, "lime", None)
    with pytest.raises(MissingExtra, match=r"pip install 'meliora\[lime\]'"):
        explained()
    assert all(one.explanation.contributions for one in explained(method="shap").answer.results)


def test_where_no_trained_reranker_serves_it_is_said_what_to_ask_instead(collection, explained):
    def fused(pool, /, *, explain=False):
        return Ranked([one.score for one in pool.candidates])

    for parts in (Parts(), Parts(ranker=fused)):
        with pytest.raises(InvalidRequest, match="`shap`"):
            explain(Request("aab", explain=True), collection[0], SNAPSHOT, parts, method="lime")


def test_where_the_reranker_could_not_be_loaded_the_answer_says_so(collection):
    parts = Parts(missing={"reranking": "it is damaged"})
    found = explain(Request("aab", explain=True), collection[0], SNAPSHOT, parts, method="lime")
    assert found.answer.skipped == {"reranking": "it is damaged"}
    assert all(one.explanation.nearby is None for one in found.answer.results)


def test_by_treeshap_nothing_is_estimated(explained):
    found = explained(method="shap", document="d000")
    assert found.document.words is None
    assert all(one.explanation.nearby is None for one in found.answer.results)


@installed
@pytest.mark.parametrize("old", [False, True])
def test_its_weightiest_features_are_those_of_treeshap(explained, model, old):
    """Of the five weightiest, four in the mean; a feature of either sign."""
    ranker = ModelRanker(without_background(model) if old else model)
    agree, sign = [], []
    for text in ("aab ael z1 z2", "cor cun z4 z9", "fix fost z2 z7"):
        for one in explained(text, ranker=ranker).answer.results:
            nearby = one.explanation.nearby
            assert nearby.against == ("candidates" if old else "training") and 0.2 < nearby.fit <= 1
            shap = {name: worth for name, worth in one.explanation.contributions.items() if name != "bias"}
            lime = {one.feature: one.weight for one in nearby.conditions}
            agree.append(len(most(shap, 5) & most(lime, 5)) / 5)
            first = next(iter(most(shap, 1)))
            sign.append(first in lime and np.sign(lime[first]) == np.sign(shap[first]))
            assert all(one.feature in one.holds for one in nearby.conditions)
    assert np.mean(agree) >= 0.75 and np.mean(sign) >= 0.9


@installed
def test_the_same_search_is_explained_the_same(explained):
    first = explained().answer.results[0].document
    one, two = explained(document=first), explained(document=first)
    assert one.document.words is not None
    assert (one.answer.results, one.document) == (two.answer.results, two.document)


@installed
def test_the_words_it_rests_on_are_those_that_match(collection, explained):
    """In the query, the words that the document has come before those it has not; in the document, the query's words."""
    query = ["aab", "ael", "z1", "z2"]
    first = explained(" ".join(query)).answer.results[0]
    has = set(first.text.split())
    words = explained(" ".join(query), first.document).document.words
    assert words.query_fit > 0.3 and words.document_fit > 0.3
    assert set(words.query) == set(query) and len(words.document) == 10
    hit = [words.query[word] for word in query if word in has]
    missed = [words.query[word] for word in query if word not in has]
    assert hit and min(hit) > 0
    assert max(missed, default=0.0) < max(hit)
    assert max(words.document, key=words.document.__getitem__) in query


@installed
def test_a_document_beyond_what_was_reranked_has_no_words(collection, model):
    shallow = Snapshot(number=1, config=SearchConfig(reranking=Reranking(model="0" * 64, depth=2)))
    parts = Parts(ranker=ModelRanker(model))
    every = explain(Request("aab z1", limit=100, explain=True), collection[0], shallow, parts)
    last = every.answer.results[-1].document
    found = explain(Request("aab z1", limit=3, explain=True), collection[0], shallow, parts, last, "lime")
    assert found.document.position is not None and found.document.words is None
    assert [one.explanation.nearby is not None for one in found.answer.results] == [True, True, False]
