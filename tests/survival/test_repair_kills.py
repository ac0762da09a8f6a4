"""A repair of searches is learned, proved, tried, delivered and watched by workers that are killed before and after each write of it.

Who searches is answered whole all the time; nothing is done twice, nothing half, and the change comes to its end.
"""

from __future__ import annotations

import os
import random
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from benchmarks.loop.killing import forked
from benchmarks.loop.lawful import violations
from benchmarks.loop.plane import Plane as Outside
from benchmarks.search.made import synthetic
from benchmarks.search.shifts import Query
from benchmarks.search.town import NAME, TENANT, Town, founded, opened
from benchmarks.search.users import Asking
from meliora.knowledge.search.searcher import Request
from meliora.loop.audit.heads import Heads
from meliora.loop.change import Change
from meliora.loop.policy.request import Actor
from meliora.runtime.loop import loop_of
from meliora.store import Store
from meliora.store.engine import connect, database_url
from meliora.store.loop.changes import Changes
from tests.postgres.conftest import schema  # noqa: F401

WRITTEN = re.compile(r"(?:INSERT INTO|UPDATE) (knowledge_snapshots|knowledge_collections|change_edges|trials)\b")
EDGES = ("observed", "diagnosed", "proposed", "proving", "proved", "trying", "delivering", "watching", "kept")
"""Where the change gets to."""
POINTS = {f"{when} {what}" for when in ("before", "after") for what in (*EDGES[1:], "snapshot", "pointer")}
LEASE_SECONDS = 200.0
HOUR = 3600.0


@dataclass
class Deaths:
    """Kills the process at the first write that none died at before; what is written down outlives it."""

    file: Path
    died: set[str] = field(default_factory=set)
    """`before` or `after` the commit of what."""

    def read(self) -> None:
        """Learn of those who died since."""
        self.died = set(self.file.read_text().splitlines()) if self.file.exists() else set()

    def await_in(self, engine: sa.Engine) -> None:
        """Look at all that this process writes."""
        event.listen(engine, "before_cursor_execute", _noted)
        event.listen(engine, "commit", lambda connection: self._come("before", connection.info))
        event.listen(engine, "checkin", lambda driver, record: self._come("after", record.info))

    def _come(self, when: str, info: dict[str, Any]) -> None:
        for what in info.get("written", ()):
            if f"{when} {what}" not in self.died:
                with self.file.open("a") as file:
                    file.write(f"{when} {what}\n")
                os.kill(os.getpid(), signal.SIGKILL)
        if when == "after":
            info.pop("written", None)


def _noted(connection: sa.Connection, cursor: object, statement: str, given: object, context: Any, *_: object) -> None:
    found = WRITTEN.match(statement)
    if found is None:
        return
    table, values = found[1], context.compiled_parameters[0]
    if table == "knowledge_collections" and "snapshot" not in statement.partition("WHERE")[0]:
        return
    what = {"knowledge_snapshots": "snapshot", "knowledge_collections": "pointer", "trials": "arms"}.get(table)
    connection.info.setdefault("written", []).append(what or values["target"])


@dataclass
class Mortals:
    """A town whose worker is another process at each step, and dies."""

    town: Town
    folder: Path
    url: str
    deaths: Deaths

    def work(self) -> None:
        """Let one worker after another do what is to be done now, until one comes to the end of it."""
        while True:
            self.town.store.engine.dispose()  # no connection goes over into another process
            _, status = os.waitpid(forked(self._worker), 0)
            self.deaths.read()
            if not os.WIFSIGNALED(status):
                assert status == 0, "a worker failed; what it says stands above"
                return
            self.look()
            self.town.clock.advance(LEASE_SECONDS)

    def look(self) -> None:
        """See that all is lawful, that nothing was made twice, and that who searches is answered by a whole configuration."""
        town = self.town
        snapshots = town.store.knowledge_snapshots
        assert violations(town.store, Outside(self.folder / "nothing"), ended=False) == []
        makers = [one.made_by for one in snapshots.list(TENANT, NAME)]
        assert len(makers) == len(set(makers))
        for artifact in snapshots.serving(TENANT, NAME).config.artifacts:
            snapshots.artifact(TENANT, artifact)
        answer = town.plane.look(TENANT, NAME, Request(town.queries[0].text, 10))
        assert answer.results and not answer.skipped

    def _worker(self) -> None:
        town, engine = self.town, connect(self.url)
        self.deaths.await_in(engine)
        with Store(engine, clock_us=town.clock.now_us, state_dir=self.folder) as store:
            loop = loop_of(town.settings, store, town.clock, f"worker {os.getpid()}", lambda _: None)
            loop.pulse.tick()
            while loop.engine.step():
                pass


def told(change: Change) -> str:
    return f"{change.kind} {change.state}: {change.reason}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the store is."""
    if request.param == "sqlite":
        return database_url("", tmp_path).render_as_string()
    return request.getfixturevalue("schema").url


@pytest.fixture
def mortals(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mortals]:
    """A town in which half of the searches are misspelled."""
    judged = synthetic(3)
    founded(judged, tmp_path, sorted(judged.queries)[::2], url)
    queries = [Query(one, judged.queries[one], judged.grades[one]) for one in sorted(judged.queries)]
    with opened(tmp_path, queries, random.Random(3), a_day=2400, people=4000, url=url) as town:
        # PostgreSQL's own clock does not stand still
        monkeypatch.setattr(Changes, "now_us", lambda self, connection=None: town.clock.now_us())
        town.store.audit.heads = Heads(tmp_path, town.store.secret)
        yield Mortals(town, tmp_path, url, Deaths(tmp_path / "deaths"))


@pytest.mark.timeout(900)
def test_a_repair_comes_to_its_end_however_its_workers_die(mortals: Mortals, monkeypatch: pytest.MonkeyPatch) -> None:
    town = mortals.town
    monkeypatch.setattr(town, "work", lambda: None)
    town.live(Asking(misspelled=0.5), 12 * HOUR)
    dana = Actor(kind="person", key="dana", role="admin", scopes=("admin",), tenant=TENANT)
    town.loop.desk.propose(TENANT, dana, "query_repair", f"search:{NAME}", {"collection": NAME})
    monkeypatch.setattr(town, "work", mortals.work)

    def over(then: Callable[[Change], bool] = lambda one: one.state == "kept") -> bool:
        return any(then(one) for one in town.changes())

    assert town.live(Asking(misspelled=0.5), 72 * HOUR, over), "; ".join(map(told, town.changes()))
    mortals.look()
    done = next(one for one in town.changes() if one.state == "kept")
    # each check of the watch is an edge back to it
    edges = [one.target for one in town.store.changes.edges(TENANT, done.id) if one.source != one.target]
    assert sorted(edges) == sorted(set(edges)), "an edge was taken twice"
    assert set(edges) == set(EDGES[1:]), edges
    assert mortals.deaths.died >= POINTS, sorted(POINTS - mortals.deaths.died)
    assert town.store.knowledge_snapshots.serving(TENANT, NAME).made_by == done.id
    assert town.store.trials.live(TENANT) == ()
    assert town.store.audit.verify().whole
