"""A drop that was planted in recorded searches, diagnosed by the loop: the same report over the API and in the cycle's artifacts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from meliora.knowledge.config import Reranking, SearchConfig
from meliora.knowledge.documents import Document
from meliora.knowledge.front import Opinion
from meliora.knowledge.quality.evidence import JudgedQuery
from meliora.knowledge.text.analysis import analyse
from meliora.loop.change import Origin
from meliora.loop.cycle import Cycle
from meliora.loop.front import Loop
from meliora.telemetry.ingest import Batch
from meliora.telemetry.records import FORMAT, SearchDone
from tests.server.house import House, error_of
from tests.server.test_tools_by_the_loop import looped

WORDS = tuple(
    a + b for a in ("amber", "birch", "cedar", "delta", "ember", "fjord") for b in ("wick", "holm", "stad", "by")
)
DOCUMENTS = 80
HOUR_US = 3_600_000_000
FIELDS = [
    *("cycle_id", "timestamp", "trigger", "current_value", "baseline", "delta"),
    *("root_cause_analysis", "xai_insights", "recommended_actions", "latency"),
]

Worse = Callable[[list[str], random.Random], tuple[list[str], dict[str, Any]] | None]
"""Takes the words of a search now; gives other ones, and what else is different of the record, where it goes wrong."""


@dataclass
class Place:
    """A deployment with documents, and searches of 24 hours and of the hour after them."""

    house: House
    loop: Loop
    rng: random.Random
    texts: dict[str, list[str]]
    asked: list[tuple[str, list[str]]] = field(default_factory=list)
    """Queries that are asked again and again, with what answers them; empty: each is another."""

    def search(self, at_us: int, worse: Worse | None, content: str) -> tuple[SearchDone, str | None]:
        """Make a search and what was used of it: seven in ten find what they looked for, and of those that go wrong one in ten."""
        document = self.rng.choice(sorted(self.texts))
        words = self.rng.sample(self.texts[document], self.rng.randint(2, 4))
        if self.asked:
            document, words = self.rng.choice(self.asked)
        more: dict[str, Any] = {}
        wrong = None if worse is None else worse(words, self.rng)
        if wrong is not None:
            words, more = wrong
        found = analyse(" ".join(words))
        said = {"query": " ".join(words), "terms": found.terms, "written": found.written} if content != "off" else {}
        values: dict[str, Any] = {
            "id": self.house.store.search_ids.new(at_us),
            "tenant": "default",
            "key_id": "key_web",
            "gateway": "g",
            "collection": "c",
            "started_us": at_us,
            "ended_us": at_us + 9000,
            "outcome": "ok",
            "content": content,
            "shown": (document, *(name for name in ("d1", "d2") if name != document)),
            "stages_us": {"words": self.rng.randint(900, 1100), "dense": self.rng.randint(1900, 2300)},
            "v": FORMAT,
        }
        record = SearchDone(**values | said | more)
        return record, document if self.rng.random() < (0.7 if wrong is None else 0.1) else None

    def live(self, worse: Worse | None, before: int = 480, now: int = 160, content: str = "redacted") -> None:
        """Let people search for 24 hours, and then for an hour in which some searches go wrong."""
        end = self.house.clock.now_us()
        moments = [(end - 25 * HOUR_US + at * 24 * HOUR_US // before, None) for at in range(before)]
        moments += [(end - HOUR_US + at * HOUR_US // now, worse) for at in range(now)]
        made = [self.search(at, how, content) for at, how in moments]
        self.house.store.sink.take(Batch("made", 0, 1, [], [], [], [record for record, _ in made]))
        for record, used in made:
            if used is not None:
                self.house.store.searches.give("default", Opinion(search=record.id, said="accept", document=used))
        self.house.clock.advance(600)

    def diagnosed(self, value: float | None = 0.41, baseline: float | None = 0.7) -> Cycle:
        """Let a gate see it, and the loop look."""
        at = self.house.clock.now_us() - 600_000_000
        breach = {
            "gate": "search_success",
            "metric": "search_success",
            "direction": "min",
            "window_seconds": 3600.0,
            "reading": None if value is None else {"at_us": at, "value": value, "n": 160},
            "baseline": None if baseline is None else {"value": baseline},
        }
        store, origin = self.house.store, Origin("gate", "search_success")
        cycle = store.cycles.open(
            "default",
            environment="production",
            origin=origin,
            subject="search_success",
            kinds=("query_repair",),
            breach=breach if value is not None else breach | {"reading": {"at_us": at}},
        )
        assert cycle is not None
        change = store.changes.add(
            "default",
            kind="query_repair",
            target="search:c",
            surface="search",
            environment="production",
            origin=origin,
            cycle=cycle.id,
        )
        for _ in range(20):
            if store.changes.get("default", change.id).finding is not None:
                return cycle
            self.loop.engine.step()
        raise AssertionError(store.changes.get("default", change.id))

    def get(self, path: str) -> Any:
        """Ask the API."""
        answer = self.house.client(self.house.key()).get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def report(self, cycle: Cycle) -> dict[str, Any]:
        """Give a cycle's diagnostic report over the API."""
        return self.get(f"/api/v1/optimizer/cycles/{cycle.id}/diagnosis")

    def finding(self) -> dict[str, Any]:
        """Give the newest finding over the API."""
        first = self.get("/api/v1/findings?metric=search_success")["items"][0]
        assert self.get(f"/api/v1/findings/{first['id']}") == first
        return first


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    for house in looped(tmp_path, "production"):
        rng = random.Random(5)
        texts = {f"d{at}": rng.sample(WORDS, 8) for at in range(DOCUMENTS)}
        plane = house.context.knowledge
        assert plane is not None
        plane.library.put("default", "c", [Document(id=id, text=" ".join(words)) for id, words in texts.items()])
        while plane.follow("default", "c"):
            pass
        loop = house.context.loop
        assert loop is not None
        yield Place(house, loop, rng, texts)


def jargon(words: list[str], rng: random.Random) -> tuple[list[str], dict[str, Any]] | None:
    """In half of the searches, of the shop, a word that no passage has."""
    if rng.random() < 0.5:
        return None
    return [rng.choice(("zorbing", "quuxing")), *words[1:]], {"feature": "shop", "key_id": "key_app"}


def test_p08_the_report_of_a_planted_drop_is_whole_over_the_api_and_in_the_artifacts(place: Place) -> None:
    place.live(jargon)
    cycle = place.diagnosed()
    told = place.report(cycle)
    assert list(told) == FIELDS
    assert (told["cycle_id"], told["trigger"]) == (cycle.id, "search_success")
    assert (told["current_value"], told["baseline"], told["delta"]) == (0.41, 0.7, pytest.approx(-0.29))
    cause, insights = told["root_cause_analysis"], told["xai_insights"]
    assert cause["type"] == "vocabulary_shift"
    new = {*analyse("zorbing quuxing").terms}
    assert set(cause["distribution_change"]["new_tokens"]) == new
    assert 0.7 < cause["distribution_change"]["coverage"] < 0.9
    assert any("feature=shop" in one or "key=key_app" in one for one in cause["affected_categories"])
    assert set(insights["low_coverage_tokens"]) == new == set(insights["importance_scores"])
    assert all(lost > 0.2 for lost in insights["importance_scores"].values())
    assert insights["suggested_action"]
    first = told["recommended_actions"][0]
    assert (first["type"], first["method"], set(first["target_tokens"])) == ("query_repair", "expansion", new)
    assert first["estimated_examples"] > 40
    latency = told["latency"]
    assert (latency["slower_stage"], set(latency["stages"])) == (None, {"words", "dense"})
    assert 2.0 < latency["stages"]["dense"]["p95_before_ms"] < 2.3 < latency["p95_now_ms"] < 3.5
    place.house.store.cycles.close("default", cycle.id, "unchanged")
    place.loop.archive.step()
    written = json.loads((place.loop.archive.root / cycle.id / "diagnostic_report.json").read_text())
    assert written == told


def test_the_finding_behind_it_has_each_part_of_a_diagnosis(place: Place) -> None:
    place.live(jargon)
    place.diagnosed()
    found = place.finding()
    search = found["search"]
    assert (found["collection"], search["looked_at"], found["measured"]) == ("c", [480, 160], "dissatisfied")
    assert search["gain_now"] < search["gain_before"] - 0.2
    weak = [one for one in search["weak"] if one["believed"]]
    assert all(one["gain"] < one["expected"] and one["growth_z"] > 2 and not one["known"] for one in weak)
    assert search["unknown"]["share_before"] == 0.0 and search["unknown"]["share_now"] > 0.3
    assert search["corpus"]["faults"] == 0.0 and search["corpus"]["faults_before"] is None
    assert search["losses"][0]["sort"] == "far" and search["losses"][0]["lost"] > 0.2
    assert found["moment"] is not None and search["slower"] is None and search["features"] == []
    assert found["sentence"].startswith("search_success of c is 0.41, it was 0.7.")


def test_the_stage_that_got_slower_is_told(place: Place) -> None:
    place.live(lambda words, rng: (words, {"stages_us": {"words": 1000, "dense": 90_000 + rng.randint(0, 900)}}))
    cycle = place.diagnosed()
    slower = place.finding()["search"]["slower"]
    latency = place.report(cycle)["latency"]
    assert latency["slower_stage"] == "dense" and latency["stages"]["dense"]["p95_now_ms"] > 80
    assert latency["stages"]["words"]["p95_now_ms"] < 2
    assert slower["stage"] == "dense" and slower["stage_now_us"] > 80_000 > slower["p95_before_us"]


def test_quiet_searches_have_a_report_without_a_cause(place: Place) -> None:
    place.live(None)
    told = place.report(place.diagnosed(value=0.69))
    assert told["root_cause_analysis"]["type"] is None and told["recommended_actions"] == []
    assert told["root_cause_analysis"]["affected_categories"] == []
    assert told["xai_insights"]["suggested_action"] is None


def test_a_look_that_no_gate_read_anything_for_says_what_the_searches_show_and_never_zero(place: Place) -> None:
    place.live(jargon)
    told = place.report(place.diagnosed(value=None, baseline=None))
    assert 0.2 < told["current_value"] < 0.55 < told["baseline"]


def test_searches_of_one_side_alone_say_what_is_not_known(place: Place) -> None:
    place.live(jargon, before=0)
    told = place.report(place.diagnosed(value=0.4, baseline=None))
    assert (told["baseline"], told["delta"], told["root_cause_analysis"]["type"]) == (None, None, None)
    search = place.finding()["search"]
    assert search["gain_before"] is None and search["unknown"]["rise_z"] is None


def test_a_metric_at_zero_is_told_as_zero(place: Place) -> None:
    place.live(jargon)
    assert place.report(place.diagnosed(value=0.0))["current_value"] == 0.0


def test_searches_whose_words_are_not_kept_tell_slices_and_latency_and_nothing_of_words(place: Place) -> None:
    def worse(words: list[str], rng: random.Random) -> tuple[list[str], dict[str, Any]] | None:
        return (
            (words, {"feature": "shop", "stages_us": {"words": 1000, "dense": 90_000}}) if rng.random() < 0.5 else None
        )

    place.live(worse, content="off")
    told = place.report(place.diagnosed())
    assert told["root_cause_analysis"]["affected_categories"] == ["feature=shop"]
    assert told["root_cause_analysis"]["distribution_change"] == {"new_tokens": None, "coverage": None}
    assert (told["xai_insights"]["low_coverage_tokens"], told["recommended_actions"]) == (None, [])
    search = place.finding()["search"]
    assert (search["unknown"]["share_now"], search["losses"]) == (None, [])
    assert search["slower"]["stage"] == "dense" and search["looked_at"] == [480, 160]


def test_a_cycle_without_a_diagnosis_has_no_report(place: Place) -> None:
    store = place.house.store
    cycle = store.cycles.open(
        "default", environment="production", origin=Origin("person", "ann"), subject="s", kinds=("query_repair",)
    )
    assert cycle is not None
    answer = place.house.client(place.house.key()).get(f"/api/v1/optimizer/cycles/{cycle.id}/diagnosis")
    assert answer.status_code == 404 and "Nothing was diagnosed" in error_of(answer)["message"]


def test_features_of_the_reranker_that_moved_are_told_with_what_they_cost(place: Place) -> None:
    """Long queries for short ones: the feature of the query's length moves, and no such is told while all is as it was."""
    from meliora.knowledge.ranking.examples import examples
    from meliora.knowledge.ranking.train import train

    plane, shelf = place.house.context.knowledge, place.house.store.knowledge_snapshots
    assert plane is not None
    view = plane.indexes.view("default", "c")
    queries = [
        JudgedQuery(id=f"q{at}", text=" ".join(words[:3]), grades={name: 1.0}, origin="judged")
        for at, (name, words) in enumerate(place.texts.items())
    ]
    config = shelf.serving("default", "c").config
    model = train(list(examples(queries, view, config)), seed=1, figures={})
    reranking = Reranking(model=shelf.keep("default", "reranker", model.write()))
    number = shelf.add("default", "c", SearchConfig(fusion=config.fusion, reranking=reranking), "test").number
    assert shelf.exchange("default", "c", number, instead_of=0)

    def longer(words: list[str], rng: random.Random) -> tuple[list[str], dict[str, Any]] | None:
        return ([*words, *rng.sample(WORDS, 6)], {}) if rng.random() < 0.95 else None

    place.live(longer, now=600)
    place.diagnosed()
    features = {one["name"]: one for one in place.finding()["search"]["features"]}
    length = features["query_length"]
    assert length["difference"] > 1 and length["stability"] > 0.2 and length["p_value"] < 1e-6
    assert all(one["lost"] is not None for one in features.values())


def sourced(place: Place) -> None:
    """Let documents come from three places, and people ask the same forty queries."""
    plane = place.house.context.knowledge
    assert plane is not None
    names = ("https://wiki.example/p/", "handbook/", "faq/")
    given = [
        Document(id=id, text=" ".join(words), source=f"{names[at % 3]}{id}")
        for at, (id, words) in enumerate(place.texts.items())
    ]
    plane.library.put("default", "c", given)
    while plane.follow("default", "c"):
        pass
    place.asked = [(id, words[:3]) for id, words in list(place.texts.items())[:40]]


def test_the_source_whose_documents_no_longer_answer_is_told(place: Place) -> None:
    sourced(place)
    lost = {" ".join(words) for at, (_, words) in enumerate(place.asked) if at % 3 == 0}
    place.live(lambda words, rng: (words, {}) if " ".join(words) in lost else None, before=1200, now=600)
    told = place.report(place.diagnosed())
    assert "source=wiki.example" in told["root_cause_analysis"]["affected_categories"]
    sources = place.finding()["search"]["sources"]
    assert [one["attributes"] for one in sources] == [{"source": "wiki.example"}]


def test_deleted_documents_that_used_to_answer_are_told_as_deleted_and_counted(place: Place) -> None:
    sourced(place)
    plane = place.house.context.knowledge
    assert plane is not None
    gone = [id for id, _ in place.asked[::4]]
    lost = {" ".join(words) for _, words in place.asked[::4]}
    place.house.clock.advance(2 * 3600)
    place.house.store.knowledge_documents.delete("default", "c", gone)
    plane.library.put("default", "c", [Document(id=f"new{at}", text="amberwick birchholm") for at in range(7)])
    while plane.follow("default", "c"):
        pass
    place.house.clock.advance(60)
    place.live(lambda words, rng: (words, {}) if " ".join(words) in lost else None, before=1200, now=600)
    place.diagnosed()
    search = place.finding()["search"]
    named = [each for one in search["sources"] for each in (one["attributes"], *one.get("same_calls_as", ()))]
    assert {"state": "deleted"} in named
    documents = DOCUMENTS - len(gone) + 7
    assert search["corpus"]["deleted"] == pytest.approx(len(gone) / documents)
    assert search["corpus"]["added"] == pytest.approx(7 / documents)


def test_the_worst_queries_are_named_with_counts_where_words_are_kept(place: Place) -> None:
    sourced(place)
    worst = {" ".join(words) for _, words in place.asked[:2]}
    place.live(lambda words, rng: (words, {}) if " ".join(words) in worst else None, before=1200, now=800)
    place.diagnosed()
    finding = place.finding()
    search = finding["search"]
    named = {one["query"] for one in search["queries"]}
    assert named and named <= worst and named <= set(search["people"])
    for one in search["queries"]:
        assert one["gain_now"] < 0.4 < one["gain_before"] and one["searches_now"] >= 3 and one["lost"] > 0
        assert all(place.house.store.searches.get("default", id).query == one["query"] for id in one["searches"])
    assert not any(query in finding["sentence"] for query in worst)


def test_in_quiet_searches_neither_a_source_nor_a_query_is_named_and_the_corpus_did_not_change(place: Place) -> None:
    sourced(place)
    place.house.clock.advance(3 * 3600)
    place.live(None, before=1200, now=600)
    told = place.report(place.diagnosed(value=0.69))
    search = place.finding()["search"]
    assert (search["sources"], search["queries"]) == ([], [])
    assert (search["corpus"]["added"], search["corpus"]["deleted"]) == (0.0, 0.0)
    assert told["latency"]["slower_stage"] is None


def test_of_queries_that_nobody_asked_twice_no_source_is_known(place: Place) -> None:
    place.live(None)
    place.diagnosed(value=0.69)
    search = place.finding()["search"]
    assert search["queries"] == [] and not search["sources"]
