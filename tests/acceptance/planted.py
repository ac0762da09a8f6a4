"""A planted collection: topics with words of their own, ten documents to each, and queries whose answers are therefore known."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.testclient import TestClient

from meliora.knowledge.config import SearchConfig
from meliora.knowledge.quality.evidence import JudgedQuery
from meliora.knowledge.ranking.examples import examples
from meliora.knowledge.ranking.model import Reranker
from meliora.knowledge.ranking.train import train
from tests.acceptance.knowing import kept
from tests.server.house import House

TOPICS, EACH = 24, 10
_FIRST = ("ba", "dri", "fo", "glu", "ke", "li", "mo", "nu", "pra", "si", "ste", "vo")
_LAST = ("ndar", "lmet", "rkis", "stol", "tteg")


@dataclass(frozen=True)
class Planted:
    """Documents as they are posted, the texts of queries and the documents that answer each."""

    documents: tuple[dict[str, Any], ...]
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, float]]


def planted(seed: int = 11, queries: int = 96) -> Planted:
    """Make it. A document has words of its topic, of another one and of all; a query two of its topic's words and one of all."""
    rng = random.Random(seed)
    made: dict[str, None] = {}
    while len(made) < TOPICS * 8 + 60:
        made["".join((rng.choice(_FIRST), rng.choice(_FIRST), rng.choice(_LAST)))] = None
    words = list(made)
    own = [words[topic * 8 : topic * 8 + 8] for topic in range(TOPICS)]
    common = words[TOPICS * 8 :]
    documents = []
    for topic in range(TOPICS):
        for number in range(EACH):
            other = own[rng.randrange(TOPICS)]
            text = rng.choices(own[topic], k=14) + rng.choices(other, k=4) + rng.choices(common, k=30)
            rng.shuffle(text)
            documents.append({"id": f"t{topic}-{number}", "text": " ".join(text)})
    topics = [at % TOPICS for at in range(queries)]
    return Planted(
        tuple(documents),
        {f"q{at}": " ".join([*rng.sample(own[topic], 2), rng.choice(common)]) for at, topic in enumerate(topics)},
        {f"q{at}": {f"t{topic}-{n}": 1.0 for n in range(EACH)} for at, topic in enumerate(topics)},
    )


def settled(house: House, collection: Planted, judged: Sequence[str] | None = None) -> TestClient:
    """Keep a planted collection with the judgments of its queries (None: all), and give a client that may do everything."""
    client = kept(house, list(collection.documents))
    asked = collection.queries if judged is None else judged
    said = {name: {one: getattr(collection, name)[one] for one in asked} for name in ("queries", "qrels")}
    answer = client.post("/api/v1/knowledge/judgments", json=said)
    assert answer.status_code == 200, answer.text
    return client


def reranker(house: House, collection: Planted, learned: Sequence[str], seed: int = 3) -> Reranker:
    """Train a reranker on queries of a collection that is indexed."""
    assert house.context.knowledge is not None
    view = house.context.knowledge.indexes.view("default", "default")
    judged = [
        JudgedQuery(id=one, text=collection.queries[one], grades=dict(collection.qrels[one]), origin="judged")
        for one in learned
    ]
    return train(list(examples(judged, view, SearchConfig())), seed=seed)


def served(house: House, client: TestClient, model: bytes) -> int:
    """Let the file of a reranker order the results from now on; give the number of the snapshot."""
    name = house.store.knowledge_snapshots.keep("default", "reranker", model)
    config = {"reranking": {"model": name}}
    number = client.post("/api/v1/knowledge/snapshots", json={"config": config}).json()["number"]
    promoted = client.post(f"/api/v1/knowledge/snapshots/{number}/promote", json={"force": True})
    assert promoted.status_code == 200 and promoted.json()["serving"] == number, promoted.text
    house.clock.advance(1)
    return number
