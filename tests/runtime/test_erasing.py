"""A person who is erased leaves no byte: words that only they searched with, what was learned from those, and what tells of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from meliora.diagnosis.finding import Breach
from meliora.diagnosis.records import Window
from meliora.knowledge.config import Expansion, Reranking, SearchConfig
from meliora.knowledge.documents import Document
from meliora.knowledge.forgetting import erased_of
from meliora.knowledge.front import Opinion, Plane
from meliora.knowledge.repair.expansion import Table
from meliora.knowledge.search.searcher import Request
from meliora.knowledge.serving import Who
from meliora.loop.change import Origin
from meliora.runtime.artifacts import archive_of
from meliora.runtime.knowledge.diagnosing import SearchDiagnosis
from meliora.runtime.knowledge.erasing import BACKUPS, OTHERS, Erasing
from meliora.runtime.knowledge.evidence import StoredEvidence
from meliora.runtime.knowledge.learning import ExpansionLearning
from meliora.runtime.knowledge.plane import knowledge_of
from meliora.settings import Settings
from meliora.settings.models import Server
from meliora.store import Store
from meliora.store.engine import reading
from meliora.store.housekeeping import Erasure
from meliora.store.rewriting import rewrite
from meliora.store.tables import metadata
from meliora.telemetry.ids import subject_of
from meliora.telemetry.ingest import Ingester
from meliora.telemetry.spool import SpoolReader
from meliora.testing import FrozenClock
from tests.store.conftest import engine, postgres, template  # noqa: F401

ANN, BOB = "ann-4711-person", "bob-0815-person"
OWN, SHARED, WRITTEN = "zyxquark", "flimsel", "quillbor"
"""A word that Ann alone searches with, one that Bob searches with too, and one that stands in Ann's document alone."""
TOPICS = ("harbour", "passport", "invoice", "garden", "printer", "holiday", "parking", "salary")
HOUR_US = 3_600_000_000


@dataclass
class Place:
    """A deployment whose people search."""

    settings: Settings
    store: Store
    clock: FrozenClock
    plane: Plane
    folder: Path

    def search(self, user: str, text: str, click: str = "") -> Sequence[str]:
        who = Who(tenant="default", key="k", user=user, session=f"{user}-session")
        found = self.plane.searches.search(who, "default", Request(text, 60))
        self.clock.advance(600)
        if click:
            self.plane.opine(who, Opinion(search=found.id, said="click", document=click, user=user))
        return [one.document for one in found.answer.results]

    def ingest(self) -> None:
        ingester = Ingester(SpoolReader(self.folder / "spool"), self.store.sink, self.clock.now_us)
        while ingester.step().more:
            pass

    def erase(self, user: str = ANN) -> Erasure:
        archive = archive_of(self.settings, self.store, self.clock, {})
        done = Erasing(self.settings, self.store, self.plane, archive)("default", user)
        self.ingest()
        self.plane.follow("default", "default")
        return done

    def holds(self, word: str) -> list[str]:
        """Name the files and tables that hold a word."""
        raw = word.encode()
        files = [path.name for path in self.folder.rglob("*") if path.is_file() and raw in path.read_bytes()]
        with reading(self.store.engine) as connection:
            for table in metadata.sorted_tables:
                for row in connection.execute(sa.select(table)):
                    values = [bytes(one) if isinstance(one, memoryview) else one for one in row]
                    if word in str(values):
                        files.append(table.name)
        return files

    def learned(self, since_us: int) -> str:
        """Learn an expansion, let it serve, and give its name."""
        evidence, until = StoredEvidence(self.store, self.plane.indexes), self.clock.now_us()
        pairs = evidence.pairs("default", "default", since_us, until)
        data = ExpansionLearning(self.store, evidence)("default", "default", (), since_us, until)(pairs)
        assert data is not None
        table = self.store.knowledge_snapshots.keep("default", "expansion", data)
        self.serve(SearchConfig(expansion=Expansion(table=table)))
        return table

    def serve(self, config: SearchConfig) -> int:
        shelf = self.store.knowledge_snapshots
        before = shelf.serving("default", "default").number
        made = shelf.add("default", "default", config, "chg_1")
        assert shelf.exchange("default", "default", made.number, instead_of=before)
        self.clock.advance(1)
        return made.number

    def table(self) -> Table:
        """Give the expansion that serves."""
        config = self.store.knowledge_snapshots.serving("default", "default").config
        assert config.expansion is not None
        return Table.decode(self.store.knowledge_snapshots.artifact("default", config.expansion.table))

    def diagnosed(self, since_us: int) -> str:
        """Diagnose, in a cycle that is closed and has its artifacts; give the cycle."""
        now = self.clock.now_us()
        breach = Breach(
            tenant="default",
            metric="search_success",
            gate="search_success",
            environment="production",
            measured="dissatisfied",
            unit="share",
            value=0.3,
            low=None,
            high=None,
            baseline=0.8,
            direction="below",
            now=Window(since_us, now),
            before=Window(since_us - 24 * HOUR_US, since_us),
        )
        found = SearchDiagnosis(self.store, self.plane.indexes)(breach, id="fnd_1", at_us=now)
        assert found is not None
        self.store.findings.keep("default", found)
        origin = Origin("gate", "search_success")
        cycle = self.store.cycles.open(
            "default", environment="production", origin=origin, subject="search_success", kinds=("query_repair",)
        )
        assert cycle is not None
        self.store.changes.add(
            "default",
            kind="query_repair",
            target="search:default",
            surface="search",
            environment="production",
            origin=origin,
            cycle=cycle.id,
            finding=found.id,
        )
        self.store.cycles.note("default", cycle.id, {}, found.id)
        self.store.cycles.close("default", cycle.id, "unchanged")
        archive_of(self.settings, self.store, self.clock, {}).step()
        return cycle.id


@pytest.fixture
def place(engine: sa.Engine, tmp_path: Path) -> Iterator[Place]:  # noqa: F811
    settings, clock = Settings(server=Server(state_dir=tmp_path)), FrozenClock()
    store = Store(engine, clock_us=clock.now_us, spool=tmp_path / "spool")
    with knowledge_of(settings, store, clock) as plane:
        assert plane is not None
        furnish(plane)
        yield Place(settings, store, clock, plane, tmp_path)


def furnish(plane: Plane) -> None:
    """Keep and index documents about each topic, and one of Ann's."""
    texts = [
        Document(id=f"{topic}-{at}", text=f"The {topic} desk, page {at}: how your {topic} is handled by office {at}.")
        for topic in TOPICS
        for at in range(6)
    ]
    hers = Document(id="hers", text=f"The {WRITTEN} of the garden of Ann.", user=ANN)
    plane.put("default", "default", [*texts, hers])
    plane.follow("default", "default")


def lived(place: Place) -> int:
    """Let both search as people do to whom new words have come; give since when."""
    for topic in TOPICS:
        for at in range(4):
            place.search(BOB, f"the {topic} page {at}", f"{topic}-{at}")
    since = place.clock.now_us()
    for at in range(4):
        place.search(ANN, f"{OWN} desk page {at}", f"garden-{at}")
        place.search(ANN, f"{SHARED} office {at}", f"printer-{at}")
        place.search(BOB, f"my {SHARED} page {at}", f"printer-{at}")
    place.plane.pass_on()
    place.ingest()
    return since


def test_a_word_that_one_person_alone_searched_with_is_nowhere_when_they_are_erased(place: Place) -> None:
    since = lived(place)
    table = place.learned(since)
    cycle = place.diagnosed(since)
    number = place.store.knowledge_snapshots.serving("default", "default").number
    assert {OWN, SHARED} <= set(place.table().words)
    told = place.folder / "artifacts" / cycle / "diagnostic_report.json"
    assert OWN in told.read_text()
    words = set(place.store.findings.get("default", "fnd_1").search.named)
    assert {OWN, SHARED} <= words
    before = place.search(BOB, f"{SHARED} once more")
    assert before[0].startswith("printer")
    place.search(ANN, f"{OWN} of {ANN}")  # which lies in the spool still
    done = place.erase()
    assert (done.searches, done.documents, done.expansions, done.findings) == (8, 1, 1, 1)
    assert done.words >= 1 and done.cycles == (cycle,)
    if place.store.engine.dialect.name == "postgresql":
        rewrite(place.store.engine)
        assert OTHERS in done.held
    else:
        spooled = [one for one in done.held if one.startswith("The spool")]
        assert set(done.held) - set(spooled) == {
            BACKUPS,
            "Files of indexes: each machine builds those of the person's documents anew within seconds.",
        }
    assert {word: place.holds(word) for word in (OWN, ANN, WRITTEN)} == {OWN: [], ANN: [], WRITTEN: []}
    remembered = {one for one in place.holds(subject_of(place.store.secret, "default", ANN)) if "." not in one}
    assert remembered <= {"erasures", "memory_users"}
    # What Bob asks is answered as before, by a snapshot of the same number.
    left = place.table()
    assert (SHARED in left.words, OWN in left.words) == (True, False)
    assert place.store.knowledge_snapshots.serving("default", "default").number == number
    assert left.sha256 != table
    place.clock.advance(1)
    assert place.search(BOB, f"{SHARED} once more") == before
    assert set(place.store.findings.get("default", "fnd_1").search.named) == words - {OWN}
    archive = archive_of(place.settings, place.store, place.clock, {})
    assert archive.check("default", cycle).whole and SHARED in told.read_text()


def test_what_was_learned_before_an_erasure_and_is_kept_after_it_is_kept_without_the_person(place: Place) -> None:
    since = lived(place)
    evidence, until = StoredEvidence(place.store, place.plane.indexes), place.clock.now_us()
    pairs = evidence.pairs("default", "default", since, until)
    data = ExpansionLearning(place.store, evidence)("default", "default", (), since, until)(pairs)
    assert data is not None and OWN.encode() in data
    place.clock.advance(1)
    place.erase()
    kept = place.store.knowledge_snapshots.keep("default", "expansion", data)
    left = Table.decode(place.store.knowledge_snapshots.artifact("default", kept))
    assert (SHARED in left.words, OWN in left.words) == (True, False)
    # Who comes back is learned from like anybody else.
    place.clock.advance(1)
    again = msgspec.structs.replace(Table.decode(data), until_us=place.clock.now_us()).encode()
    assert place.store.knowledge_snapshots.keep("default", "expansion", again) != kept


def test_a_reranker_that_learned_from_an_erased_person_is_marked_and_serves_on(place: Place) -> None:
    people = [subject_of(place.store.secret, "default", who) for who in (ANN, BOB)]
    head = {"format": "x", "training": {"people": people, "until_us": 1, "erased": 0}}
    shelf = place.store.knowledge_snapshots
    model = shelf.keep("default", "reranker", msgspec.json.encode(head) + b"\ntrees")
    number = place.serve(SearchConfig(reranking=Reranking(model=model)))
    assert place.erase().rerankers == 1
    config = shelf.get("default", "default", number).config
    assert config.reranking is not None
    data = shelf.artifact("default", config.reranking.model)
    assert erased_of(data) == 1 and people[0].encode() not in data and people[1].encode() in data
    assert data.endswith(b"\ntrees")


def test_no_expansion_translates_to_a_word_of_a_deleted_document_alone(place: Place) -> None:
    table = Table(words={SHARED: {WRITTEN: 0.5, "garden": 0.5}}, people={SHARED: ("",)})
    assert place.plane.indexes.view("default", "default").frequency(WRITTEN)
    kept = place.store.knowledge_snapshots.keep("default", "expansion", table.encode())
    place.serve(SearchConfig(expansion=Expansion(table=kept)))
    assert place.erase().words == 1
    assert place.table().words == {SHARED: {"garden": 0.5}}


def test_a_database_that_is_too_large_to_be_rewritten_at_once_is_told_of(place: Place) -> None:
    done = Erasing(place.settings, place.store, place.plane, at_once=1000)("default", BOB)
    assert any("`meliora db vacuum`" in one for one in done.held)
