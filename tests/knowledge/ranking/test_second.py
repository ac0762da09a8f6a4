"""A second look moves the first results, and nothing where it cannot be had."""

from __future__ import annotations

from collections.abc import Sequence

from meliora.knowledge.config import SearchConfig, Snapshot
from meliora.knowledge.index.base import Stored
from meliora.knowledge.index.local import LocalView
from meliora.knowledge.ranking.cross_encoder import SecondLook
from meliora.knowledge.ranking.second import Seconded
from meliora.knowledge.search.parts import Parts
from meliora.knowledge.search.searcher import Request, search
from meliora.knowledge.text.analysis import analyse

FIRST = Snapshot(number=0, config=SearchConfig())


def view(count: int = 12) -> LocalView:
    texts = [f"water number {at}" for at in range(count)]
    return LocalView(
        [
            Stored(
                document=f"d{at:02}", number=0, title="", text=text, start=0, end=len(text), terms=analyse(text).terms
            )
            for at, text in enumerate(texts)
        ]
    )


class Lengths:
    """Likes what stands last."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def score(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        self.asked.append(query)
        return [float(at) for at in range(len(texts))]


class Broken:
    def score(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        raise OSError("no such model")


def test_the_first_results_are_put_in_the_order_of_the_second_look_and_the_rest_stays() -> None:
    encoder = Lengths()
    plain = [one.document for one in search(Request("water", 12), view(), FIRST, Parts()).results]
    parts = Parts(ranker=Seconded(None, SecondLook(encoder)))
    found = [one.document for one in search(Request("water", 12), view(), FIRST, parts).results]
    assert found == [*plain[:10][::-1], *plain[10:]]
    assert encoder.asked == ["water"]


def test_a_second_look_that_fails_leaves_the_order_and_is_told() -> None:
    plain = [one.document for one in search(Request("water", 12), view(), FIRST, Parts()).results]
    answer = search(Request("water", 12), view(), FIRST, Parts(ranker=Seconded(None, SecondLook(Broken()))))
    assert [one.document for one in answer.results] == plain
    assert "no such model" in answer.skipped["second_look"]
