"""A trained model stands in a search as its ranker, and says why."""

import pytest

from meliora.knowledge.config import Reranking, SearchConfig, Snapshot
from meliora.knowledge.index.local import LocalView
from meliora.knowledge.quality.evidence import JudgedQuery
from meliora.knowledge.ranking.examples import examples, pool
from meliora.knowledge.ranking.features import NAMES
from meliora.knowledge.ranking.model import Boosting
from meliora.knowledge.ranking.ranker import ModelRanker
from meliora.knowledge.ranking.train import train
from meliora.knowledge.search.parts import Parts, Rewritten
from meliora.knowledge.search.searcher import Request, search
from tests.knowledge.ranking.conftest import pool_of, stored


@pytest.fixture(scope="module")
def ranker(collection):
    return ModelRanker(train(collection[1], Boosting(rounds=20, bags=2, least=20), seed=3))


def test_a_search_is_ordered_by_the_model_and_each_result_says_what_counted(collection, ranker):
    view, _ = collection
    snapshot = Snapshot(number=1, config=SearchConfig(reranking=Reranking(model="0" * 64)))
    answer = search(Request("aab z1 z2", explain=True), view, snapshot, Parts(ranker=ranker))
    assert answer.skipped == {} and len(answer.results) == 10
    assert [one.score for one in answer.results] == sorted((one.score for one in answer.results), reverse=True)
    for one in answer.results:
        assert one.explanation is not None
        assert set(one.explanation.features) == set(NAMES)
        assert sum(one.explanation.contributions.values()) == pytest.approx(one.score)


def test_no_candidates_have_no_scores(collection, ranker):
    assert list(ranker(pool_of(collection[0], {}, ())).scores) == []
    assert list(ranker(pool_of(collection[0], {}, ()), explain=True).contributions) == []


def test_the_same_candidates_get_the_same_scores_with_and_without_a_reason(collection, ranker):
    asked = pool_of(collection[0], {"aab": 1.0, "z1": 1.0})
    assert list(ranker(asked).scores) == list(ranker(asked, explain=True).scores)


def test_examples_are_made_of_what_a_search_would_rerank():
    view = LocalView([stored("a", "red fox"), stored("b", "red"), stored("c", "blue")])
    queries = [
        JudgedQuery(id="1", text="red", grades={"b": 1.0}, origin="judged", weight=2.0),
        JudgedQuery(id="2", text="nothing of it", grades={"a": 1.0}, origin="used"),
    ]
    (found,) = examples(queries, view, SearchConfig(), family=lambda query: query.text)
    assert (found.query, found.family, found.weight) == ("1", "red", 2.0)
    assert set(found.documents) == {"a", "b"} and found.table.shape == (2, len(NAMES))


def test_an_example_is_repaired_as_a_search_is():
    view = LocalView([stored("a", "red fox"), stored("c", "blue")])

    def repair(query):
        return Rewritten(terms={"red": 1.0}, words=("red",))

    found = pool("rde", view, SearchConfig(), Parts(repairers=[("spelling", repair)]))
    assert [one.document for one in found.stored] == ["a"]
    assert not pool("rde", view, SearchConfig()).candidates
