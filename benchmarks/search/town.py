"""A deployment in a temporary directory on a moved clock: real store, index, searches and loop; only people and time are made."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from benchmarks.search.served import TENANT
from benchmarks.search.sets import Judged
from benchmarks.search.shifts import Query
from benchmarks.search.users import Asking, satisfied, wishes
from meliora.knowledge.documents import Document
from meliora.knowledge.front import Opinion, Plane
from meliora.knowledge.search.searcher import Request
from meliora.knowledge.service import Searched
from meliora.knowledge.serving import Who
from meliora.knowledge.shelf import Judgment
from meliora.loop.change import Change
from meliora.loop.front import Loop
from meliora.loop.states import State
from meliora.runtime.knowledge.plane import plane_of
from meliora.runtime.knowledge.quality import Quality
from meliora.runtime.knowledge.recording import SearchRecorder
from meliora.runtime.loop import loop_of
from meliora.settings import Settings
from meliora.settings.loop import Durations, Margins, Trial, Watch
from meliora.settings.loop import Loop as LoopSettings
from meliora.settings.models import Server
from meliora.store.engine import connect, database_url
from meliora.store.keys import KeyWish
from meliora.store.migrate import upgrade
from meliora.store.store import Store
from meliora.telemetry.ingest import Batch
from meliora.testing import FrozenClock

NAME = "c"
STEP_SECONDS = 3600.0
DELIVERED = frozenset((State.WATCHING, State.KEPT))


def settings_of(folder: Path) -> Settings:
    """Production, arms of half the traffic and a day's trial at least: a small deployment of a few thousand searches a day."""
    trial = Trial(ab_split_ratio=0.5, stages=[0.1], minimum_seconds=Durations(production=43_200.0))
    loop = LoopSettings(
        environment="production",
        trial=trial,
        watch=Watch(minimum_calls=30),
        retrain="",
        margins={"query_repair": Margins(error_rate=0.02)},
    )
    return Settings(server=Server(state_dir=folder), loop=loop)


def founded(judged: Judged, folder: Path, frozen: Sequence[str], url: str = "") -> None:
    """Put documents and judgments of the queries `frozen` into a new deployment's folder, or database, and index them."""
    clock = FrozenClock()
    engine = connect(database_url(url, folder))
    upgrade(engine)
    with Store(engine, clock_us=clock.now_us) as store:
        store.keys.create(TENANT, KeyWish(name="admin", scopes=("admin",)))
        plane = plane_of(settings_of(folder), store, clock)
        plane.library.put(
            TENANT, NAME, (Document(id=id, title=title, text=text) for id, (title, text) in judged.documents.items())
        )
        rows = [
            Judgment(query, judged.queries[query], document, float(grade))
            for query in frozen
            for document, grade in judged.grades[query].items()
        ]
        store.judgments.put(TENANT, NAME, "frozen", rows, "benchmark")
        generation = store.knowledge_documents.generation(TENANT, NAME)
        plane.indexes.build(TENANT, NAME, generation)
        plane.indexes.of(TENANT, NAME).switch(generation)
        plane.close()


@dataclass
class Town:
    """A deployment with its people."""

    settings: Settings
    store: Store
    clock: FrozenClock
    plane: Plane
    loop: Loop
    quality: Quality
    recorder: SearchRecorder
    queries: Sequence[Query]
    rng: random.Random
    a_day: int
    people: int
    waiting: list[Searched] = field(default_factory=list)
    clicked: list[Opinion] = field(default_factory=list)
    _taken: int = 0

    def live(self, asking: Asking, seconds: float, done: Callable[[], bool] = lambda: False) -> bool:
        """Let people search while the worker works; stop where `done` after a step, and say whether that was so."""
        until = self.clock.now_us() + round(seconds * 1e6)
        while self.clock.now_us() < until:
            began, span = self.clock.now_us(), round(STEP_SECONDS * 1e6)
            made = wishes(self.queries, asking, self.rng, began, span, a_day=self.a_day, people=self.people)
            for wish in made:
                self.clock.advance(max(0.0, (wish.at_us - self.clock.now_us()) / 1e6))
                satisfied(wish, self._ask, self._click, self.clock.advance, self.rng)
            self.clock.advance(max(0.0, (began + span - self.clock.now_us()) / 1e6))
            self._take()
            self.work()
            if done():
                return True
        return False

    def work(self) -> None:
        """Do what the worker does now."""
        self.quality.step()
        self.loop.pulse.tick()
        for _ in range(50):
            if not self.loop.engine.step():
                break

    def changes(self) -> list[Change]:
        """Give all changes, the oldest first."""
        return sorted(self.store.changes.list(TENANT).items, key=lambda one: one.created_us)

    def _ask(self, person: str, session: str, text: str) -> tuple[str, Sequence[str]]:
        who = Who(tenant=TENANT, key="key_1", user=person, session=session)
        found = self.plane.searches.search(who, NAME, Request(text, 10))
        return found.id, [one.document for one in found.answer.results]

    def _click(self, search: str, person: str, document: str, place: int) -> None:
        self.clicked.append(Opinion(search=search, said="click", document=document, position=place, user=person))

    def _take(self) -> None:
        records = [self.recorder.record(one) for one in self.waiting]
        start, self._taken = self._taken, self._taken + 1
        self.store.sink.take(Batch(f"made-{start}", 0, 1, [], [], [], records))
        for one in self.clicked:
            self.store.searches.give(TENANT, one)
        self.waiting.clear()
        self.clicked.clear()

    @property
    def documents(self) -> Sequence[str]:
        """Give the ids of the documents."""
        return [one.id for one in self.plane.indexes.all(TENANT, NAME)]

    def answering(self) -> Callable[[str], Sequence[str]]:
        """Give what answers a query by what serves now."""
        config = self.store.knowledge_snapshots.serving(TENANT, NAME).config
        self.plane.indexes.follow(TENANT, NAME)
        return self.plane.evidence.answering(TENANT, NAME, config)


@contextmanager
def opened(
    folder: Path, queries: Sequence[Query], rng: random.Random, *, a_day: int, people: int, url: str = ""
) -> Iterator[Town]:
    """Open a founded deployment's folder."""
    settings, clock = settings_of(folder), FrozenClock()
    randbytes = random.Random(rng.getrandbits(64)).randbytes
    with Store(connect(database_url(url, folder)), clock_us=clock.now_us, randbytes=randbytes) as store:
        waiting: list[Searched] = []
        plane = plane_of(settings, store, clock, lambda one: waiting.append(_timed(one, rng)))
        loop = loop_of(settings, store, clock, "worker", lambda _: None, randbytes)
        quality = Quality(store, plane.indexes, loop.board, clock)
        recorder = SearchRecorder(settings, store.secret, "made")
        town = Town(
            settings=settings,
            store=store,
            clock=clock,
            plane=plane,
            loop=loop,
            quality=quality,
            recorder=recorder,
            queries=queries,
            rng=rng,
            a_day=a_day,
            people=people,
            waiting=waiting,
        )
        try:
            yield town
        finally:
            plane.close()
            recorder.close()


def _timed(one: Searched, rng: random.Random) -> Searched:
    """Let a search have taken its time: the clock stands still while it runs."""
    return msgspec.structs.replace(one, ended_us=one.at_us + rng.randrange(5_000, 30_000))
