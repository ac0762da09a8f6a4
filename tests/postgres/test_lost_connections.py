"""The server ends a connection while a request is at it: what reads, and what may be said twice, is answered all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from starlette.testclient import TestClient

from meliora.knowledge.config import Fusion, SearchConfig
from meliora.runtime.knowledge.tasks import Following, Upkeeping, Using
from meliora.settings.models import Settings
from tests.postgres.conftest import Schema
from tests.server.house import House, control_house, error_of

URL = "/api/v1/knowledge"
TEXTS = {"hours": "The harbour opens at six.", "fees": "Berths in the harbour cost ten a night.", "fish": "Fresh fish."}
BACKENDS = ("embedded", "postgres")


@dataclass(eq=False)
class Ending:
    """Ends the connections whose turn it is, as the server does when it restarts: just after each was found to be good."""

    admin: sa.Engine
    turns: frozenset[int] = frozenset()
    taken: int = 0
    ended: list[int] = field(default_factory=list)

    def __call__(self, driver: Any, record: object, proxy: object) -> None:
        self.taken += 1
        if self.taken in self.turns:
            with self.admin.connect() as connection:
                done = connection.execute(
                    sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": driver.info.backend_pid}
                )
                assert done.scalar_one(), "the connection did not end in time"
            self.ended.append(self.taken)

    def begin(self, *turns: int) -> None:
        """End these connections, counted from now."""
        self.turns, self.taken = frozenset(turns), 0
        self.ended.clear()


@contextmanager
def ending(house: House, schema: Schema) -> Iterator[Ending]:
    """Give what ends connections of the house's store."""
    made = Ending(schema.admin)
    event.listen(house.store.engine, "checkout", made)
    yield made
    made.begin()


@pytest.fixture
def searched(request: pytest.FixtureRequest, tmp_path: Path, schema: Schema) -> Iterator[House]:
    """A house with documents that can be searched."""
    backend = getattr(request, "param", "postgres")
    settings = Settings.model_validate({"knowledge": {"backend": backend}, "loop": {"enabled": False}})
    with control_house(tmp_path, settings, database=schema.url) as house:
        plane = house.context.knowledge
        assert plane is not None
        said = {"documents": [{"id": id, "text": text} for id, text in TEXTS.items()]}
        assert house.client(house.key()).post(f"{URL}/documents", json=said).status_code == 200
        plane.follow("default", "default")
        kept = plane.snapshots.add("default", "default", SearchConfig(fusion=Fusion(words=2)), "test")
        plane.configure("default", "default", kept.number, 0)
        yield house


def as_new(house: House) -> TestClient:
    """Let nothing be known from before, as in a process that just started."""
    house.clock.advance(3600)
    plane = house.context.knowledge
    assert plane is not None
    plane._seen.clear()
    plane.indexes._opened.clear()
    plane.searches.serving._known.clear()
    plane.searches.serving._parts.clear()
    return house.client(house.key())


def at_every_connection(
    house: House, end: Ending, ask: Callable[[TestClient], Any], check: Callable[[Any], None]
) -> int:
    """Ask once for each connection that asking takes, and end that one; give how many there are."""
    turn = 0
    while True:
        turn += 1
        client = as_new(house)
        end.begin(turn)
        answer = ask(client)
        if not end.ended:
            check(answer)
            return turn - 1
        end.begin()
        assert answer.status_code == 200, (turn, answer.text)
        check(answer)


@pytest.mark.parametrize("searched", BACKENDS, indirect=True)
def test_a_search_is_answered_whole_whichever_of_its_connections_the_server_ends(
    searched: House, schema: Schema
) -> None:
    def check(answer: Any) -> None:
        found = answer.json()
        assert {one["document"] for one in found["results"]} == {"hours", "fees"}
        assert found["skipped"] == {}
        assert found["snapshot"] == 1

    recorded: list[Any] = []
    plane = searched.context.knowledge
    assert plane is not None
    plane.searches._record = recorded.append
    with ending(searched, schema) as end:
        taken = at_every_connection(
            searched, end, lambda client: client.post(f"{URL}/search", json={"query": "harbour opens"}), check
        )
    assert taken >= 4
    assert [one.error for one in recorded] == [None] * (taken + 1), "each search is recorded once, as it ended"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/documents", None),
        ("GET", "/collections", None),
        ("GET", "/health", None),
        ("GET", "/quality", None),
        ("GET", "/snapshots", None),
        ("POST", "/explain", {"query": "harbour", "document": "fees"}),
        ("POST", "/documents", {"documents": [{"id": "hours", "text": TEXTS["hours"]}]}),
    ],
)
def test_what_reads_and_what_is_kept_once_is_answered(
    searched: House, schema: Schema, method: str, path: str, body: Any
) -> None:
    with ending(searched, schema) as end:
        taken = at_every_connection(
            searched, end, lambda client: client.request(method, URL + path, json=body), lambda answer: answer.json()
        )
    assert taken >= 2


def test_an_opinion_is_kept_once(searched: House, schema: Schema) -> None:
    id = searched.store.search_ids.new()
    said = {"search_id": id, "type": "click", "document": "hours"}
    with ending(searched, schema) as end:
        at_every_connection(
            searched, end, lambda client: client.post(f"{URL}/feedback", json=said), lambda answer: answer.json()
        )
    with schema.admin.connect() as connection:
        count = connection.exec_driver_sql(f"SELECT count(*) FROM {schema.name}.search_feedback").scalar_one()
    assert count == 1


def test_what_is_lost_twice_is_told_with_when_to_try_again(searched: House, schema: Schema) -> None:
    with ending(searched, schema) as end:
        client = as_new(searched)
        end.begin(*range(1, 100))
        answer = client.get(f"{URL}/documents")
        end.begin()
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert error_of(answer)["code"] == "store_unavailable"
    assert "lost" in error_of(answer)["message"]
    assert client.get(f"{URL}/documents").status_code == 200


def test_what_may_not_be_done_twice_is_not(searched: House, schema: Schema) -> None:
    """A key is not made a second time where nobody knows whether the first one was."""
    client = as_new(searched)
    assert client.get("/api/v1/keys").status_code == 200
    before = len(searched.store.keys.list("default"))
    with ending(searched, schema) as end:
        statuses = []
        for turn in range(1, 20):
            end.begin(turn)
            statuses.append(client.post("/api/v1/keys", json={"name": "k"}).status_code)
            if not end.ended:
                break
            end.begin()
    assert 503 in statuses
    assert len(searched.store.keys.list("default")) - before <= len(statuses)


def test_what_the_worker_does_goes_on_at_its_next_turn(searched: House, schema: Schema) -> None:
    """Whichever connection ends, nothing but an error of ours comes out, which the worker tries again on."""
    from meliora.errors import StoreUnavailable

    settings, store, clock = searched.context.settings, searched.store, searched.clock
    steps = (Following(settings, store, clock), Using(store, clock), Upkeeping(settings, store, clock, "w"))
    with ending(searched, schema) as end:
        for step in steps:
            for turn in range(1, 50):
                clock.advance(100_000)
                end.begin(turn)
                try:
                    step.step()
                except StoreUnavailable as error:
                    assert error.retry_after
                if not end.ended:
                    break
                end.begin()
                step.step()
            else:
                pytest.fail("it takes ever more connections")
