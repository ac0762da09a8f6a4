"""M1: who is erased is in no index, spool, artifact or data set any more, nor in memory; and what is still held is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from starlette.testclient import TestClient

from meliora.runtime.artifacts import archive_of
from meliora.runtime.knowledge.erasing import BACKUPS, Erasing
from meliora.server import build_app
from tests.runtime.test_erasing import ANN, BOB, OWN, SHARED, WRITTEN, Place, furnish, lived
from tests.server.house import House, control_house

SAID = "plombirka"
"""A word that Ann alone says: in a conversation, and to a model."""
HERS = (ANN, SAID, OWN, WRITTEN)
URL = "/api/v1/knowledge/datasets"


def test_m01_what_a_person_said_searched_and_wrote_is_nowhere_once_they_are_erased(
    tmp_path: Path, switched: None
) -> None:
    """What others said stays; what waits in the spool is stripped as it is taken in."""
    with control_house(tmp_path) as house:
        place, client = _furnished(house, tmp_path)
        since = lived(place)
        place.learned(since)
        cycle = place.diagnosed(since)
        for user in (ANN, BOB):
            _talk(client, user)
        made = client.post(URL, json={"tokens": [], "count": 500, "searches": True}).json()["dataset"]
        house.call(user=ANN, content="full", request_text=f"What is a {SAID}?")
        place.ingest()
        place.search(ANN, f"{OWN} once more")
        place.plane.pass_on()
        assert [word for word in HERS if not place.holds(word)] == [], "there is something to erase"
        house.clock.advance(1)
        erased = client.delete(f"/api/v1/users/{ANN}")
        assert erased.status_code == 200, erased.text
        counts = erased.json()["counts"]
        expected = {"conversations": 1, "turns": 60, "documents": 1, "datasets": 1, "calls": 1, "cycles": 1}
        assert {name: counts[name] for name in expected} == expected
        assert BACKUPS in erased.json()["held"]
        place.ingest()
        place.plane.follow("default", "default")
        assert {word: found for word in HERS if (found := place.holds(word))} == {}
        assert made["id"] not in {one["id"] for one in client.get(URL).json()["items"]}
        assert archive_of(place.settings, place.store, place.clock, {}).check("default", cycle).whole
        assert (_recalled(client, ANN), _recalled(client, BOB)) == (0, 10)
        assert place.search(BOB, f"{SHARED} once more")[0].startswith("printer")


def _furnished(house: House, folder: Path) -> tuple[Place, TestClient]:
    """Give a place with documents, and a client of it that erases as a control process does, artifacts of cycles included."""
    context = house.context
    assert context.knowledge is not None
    furnish(context.knowledge)
    archive = archive_of(context.settings, house.store, house.clock, {})
    erase = Erasing(context.settings, house.store, context.knowledge, archive)
    headers = {"x-forwarded-for": "127.0.0.1", "authorization": f"Bearer {house.key()}"}
    client = TestClient(build_app(replace(context, erase=erase)), headers=headers)
    return Place(context.settings, house.store, house.clock, context.knowledge, folder), client


def _talk(client: TestClient, user: str) -> None:
    """Let somebody talk, and have it recalled and summed up, so that there is what is derived of it."""
    word = SAID if user == ANN else "samovar"
    turns = [{"speaker": "A", "text": f"The {word} {n} stands on shelf {n}.", "user": user} for n in range(60)]
    assert client.post(f"/api/v1/memory/of-{word}/turns", json={"turns": turns}).status_code == 200
    assert _recalled(client, user) == 10
    assert client.get(f"/api/v1/memory/of-{word}/window?tokens=300").json()["summary"]["text"]


def _recalled(client: TestClient, user: str) -> int:
    answer = client.post("/api/v1/memory/recall", json={"query": "What stands on a shelf?", "user": user})
    assert answer.status_code == 200, answer.text
    return len(answer.json()["turns"])
