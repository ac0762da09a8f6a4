"""Made queries where they are used: about the words that searches are weak at, and to train a reranker where that is wished."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.search.made import synthetic
from benchmarks.search.sets import Judged
from meliora.changes.reranker.kind import Lesson, Reranker
from meliora.knowledge.augment.quality import ForbiddenQueries
from meliora.knowledge.config import Fusion, SearchConfig
from meliora.knowledge.documents import Document
from meliora.knowledge.front import Opinion
from meliora.knowledge.quality.evidence import JudgedQuery, half
from meliora.knowledge.shelf import ToKeep
from meliora.loop.artifacts.facts import MakesData
from meliora.loop.change import Change, Origin
from meliora.runtime.changes import kinds
from meliora.runtime.knowledge.kinds import Knowing, knowing_of
from meliora.runtime.knowledge.plane import asker
from meliora.settings import Settings
from meliora.settings.models import Server
from meliora.telemetry.records import FORMAT, SearchDone
from meliora.testing.gateway import SECRET, RunningGateway
from tests.changes.conftest import deployments, here  # noqa: F401
from tests.changes.house import Deployment
from tests.server.conftest import house  # noqa: F401
from tests.server.house import House
from tests.server.test_datasets import documents, furnished, queries

DAY_US = 86_400_000_000
LUCKY = 4
"""Seed at which chance makes the mean 0.03 higher."""


def searched(house: House, query: str, at_us: int, number: int) -> SearchDone:  # noqa: F811
    terms = tuple(query.split())
    return SearchDone(
        id=house.store.search_ids.new(),
        tenant="default",
        key_id="key",
        gateway="c",
        collection="default",
        started_us=at_us,
        ended_us=at_us + 1000,
        outcome="ok",
        user=f"u{number}",
        session=f"s{number}",
        snapshot=0,
        generation="1",
        query_hash=f"h{query}",
        content="redacted",
        query=query,
        terms=terms,
        written=terms,
        unknown=(),
        shown=("hours", "permits"),
        stages_us={},
        v=FORMAT,
    )


def test_a_set_aims_by_itself_at_the_words_that_searches_are_weak_at(house: House) -> None:  # noqa: F811
    client, now = furnished(house, documents()), house.clock.now_us()
    good = [searched(house, "harbour", now - (13 - at % 12) * DAY_US, at) for at in range(120)]
    bad = [searched(house, "lantern", now - 2 * DAY_US + at, 1000 + at) for at in range(60)]
    house.record(*good, *bad)  # pyright: ignore[reportArgumentType]
    house.ingest()
    for one in good:
        house.store.searches.give("default", Opinion(search=one.id, said="click", document="hours", position=1))
    made = client.post("/api/v1/knowledge/datasets", json={"count": 20}).json()
    assert made["dataset"]["target_tokens"] == ["lantern"]
    assert {one["document"] for one in queries(client, made["dataset"]["id"])} == {"storms"}


def test_the_model_is_asked_through_the_gateway_under_the_key_that_pays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUGMENT_KEY", SECRET)
    with RunningGateway(Settings(server=Server(state_dir=tmp_path))) as gateway:
        chosen = {"augment": {"model": "simulated-small", "key": "env:AUGMENT_KEY"}}
        server = {"state_dir": str(tmp_path), "host": "127.0.0.1", "port": gateway.port}
        ask = asker(Settings.model_validate({"knowledge": chosen, "server": server}))
        assert ask is not None and ask("Say it in other words.")
        (call,) = gateway.finished(1)
        assert (call.key_id, call.feature, call.model_asked) == ("key_test", "knowledge", "simulated-small")


def test_a_model_without_a_key_to_pay_is_refused_and_none_is_asked_where_none_is_configured() -> None:
    with pytest.raises(ValueError, match="takes a key"):
        Settings.model_validate({"knowledge": {"augment": {"model": "small"}}})
    assert asker(Settings()) is None


def collection(store: Any) -> Judged:
    """Keep a judged collection of made words."""
    judged = synthetic(3)
    kept = [
        ToKeep(document=Document(id=id, title=title, text=f"{text}."), hash=f"h {id}")
        for id, (title, text) in judged.documents.items()
    ]
    store.knowledge_documents.put("default", "c", kept)
    return judged


def knowing(here: Deployment, folder: Path, **augment: Any) -> Knowing:  # noqa: F811
    chosen = {"enabled": True, "directory": str(folder / "indexes"), "augment": augment}
    found = knowing_of(Settings.model_validate({"knowledge": chosen}), here.store, here.clock)
    assert found is not None
    while found.indexes.follow("default", "c"):
        pass
    return found


def reranker(here: Deployment, found: Knowing) -> Reranker:  # noqa: F811
    kind = kinds(Settings(), here.store, here.clock, found)["reranker"]
    assert isinstance(kind, Reranker)
    return kind


@pytest.mark.parametrize("wished", [False, True])
def test_a_reranker_learns_from_made_queries_only_where_that_is_wished(
    here: Deployment,  # noqa: F811
    tmp_path: Path,
    wished: bool,
) -> None:
    judged = collection(here.store)
    found = knowing(here, tmp_path, **({"rerankers": True} if wished else {}))
    kind = reranker(here, found)
    every = [
        JudgedQuery(id=id, text=text, grades=judged.grades[id], origin="judged") for id, text in judged.queries.items()
    ]
    fitted = tuple(one for one in every if half(one.text, "chg_1") == "fitted")
    held = tuple(one.text for one in every if half(one.text, "chg_1") == "held")
    tokens = tuple(dict.fromkeys(one.text.split()[0] for one in fitted))[:5]
    lesson = Lesson(
        collection="c",
        config=SearchConfig(fusion=Fusion(words=0.05, grams=1.0, dense=0.0)),  # an order that can be bettered
        fitted=fitted,
        held=held,
        tokens=tokens,
        seed=1,
        change="chg_1",
        trigger="search_success",
    )
    trained = kind._train("default", lesson)
    assert trained is not None
    sets = here.store.datasets.list("default")
    if not wished:
        assert sets == () and "dataset" not in trained.notes
        return
    (kept,) = sets
    assert (kept.used_for_training, kept.used_by, kept.target_tokens) == (True, "chg_1", tokens)
    assert trained.notes["dataset"] == kept.id and trained.notes["made_queries"] == kept.examples > 0
    forbidden = ForbiddenQueries(held)
    assert not any(forbidden.has(one.query) for one in here.store.datasets.examples("default", kept.id))
    change = changed(here, kept.id)
    assert isinstance(kind, MakesData)
    data = kind.augmented(change)
    assert data is not None and data.manifest["dataset_id"] == kept.id
    assert data.manifest["source"]["trigger"] == "search_success"
    assert data.rows.count(b"\r\n") == kept.examples + 1
    here.store.datasets.delete("default", kept.id)
    assert kind.augmented(change) is None


@pytest.mark.parametrize("replaces", [False, True])
def test_a_reranker_that_gains_no_more_than_chance_is_trained_only_where_one_has_to_be_replaced(
    here: Deployment,  # noqa: F811
    tmp_path: Path,
    replaces: bool,
) -> None:
    """What answers is drawn among what is found: nothing can be learned, and by luck the mean is higher all the same."""
    judged, found, rng = collection(here.store), knowing(here, tmp_path), random.Random(LUCKY)
    answer = found.evidence.answering("default", "c", SearchConfig())
    asked = tuple(
        JudgedQuery(id=id, text=text, grades={rng.choice(answer(text)[:5]): 1.0}, origin="judged")
        for id, text in sorted(judged.queries.items())[:60]
    )
    lesson = Lesson(
        collection="c", config=SearchConfig(), fitted=asked, held=(), tokens=(), seed=1, change="c", replaces=replaces
    )
    trained = reranker(here, found)._train("default", lesson)
    assert (trained is not None) is replaces
    if trained is not None:
        assert trained.notes["ndcg10_after"] > trained.notes["ndcg10_before"]


def changed(here: Deployment, dataset: str) -> Change:  # noqa: F811
    payload = {"collection": "c", "snapshot": 1, "instead_of": 0, "notes": {"dataset": dataset}}
    change = here.store.changes.add(
        "default",
        kind="reranker",
        target="search:c",
        surface="search",
        environment="staging",
        origin=Origin("person", "dana"),
        payload=payload,
    )
    return msgspec.structs.replace(change, payload=payload)
