"""A policy that a person promotes is a change: tried first where it proved better, in service at once by force, rolled back as a change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.house import House, error_of
from tests.server.test_routing import add
from tests.server.test_tools_by_the_loop import looped

URL = "/api/v1/routing"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    yield from looped(tmp_path, "production")


def test_one_that_proved_better_is_tried_before_it_serves(house: House) -> None:
    admin = house.client(house.key())
    number = add(house, 0.01)
    answer = admin.post(f"{URL}/snapshots/{number}/promote").json()
    assert (answer["number"], answer["state"], answer["change_state"]) == (number, "candidate", "trying")
    assert admin.get(f"{URL}/status").json()["serving"] is None


def test_one_that_has_not_is_refused_and_there_is_no_change(house: House) -> None:
    admin = house.client(house.key())
    refused = admin.post(f"{URL}/snapshots/{add(house, -0.01)}/promote")
    assert refused.status_code == 409 and "as the replay says" in error_of(refused)["message"]
    assert admin.get("/api/v1/changes").json()["items"] == []


def test_a_forced_one_serves_at_once_and_its_rollback_is_the_changes(house: House) -> None:
    admin = house.client(house.key())
    answer = admin.post(f"{URL}/snapshots/{add(house, -0.01)}/promote", json={"force": True}).json()
    assert (answer["state"], answer["change_state"]) == ("serving", "watching")
    assert admin.get(f"{URL}/status").json()["serving"]["number"] == 1
    assert admin.post(f"{URL}/rollback").json() == {"serving": None}
    change = admin.get(f"/api/v1/changes/{answer['change']}").json()["change"]
    assert change["state"] == "rolled_back"


def test_what_no_change_put_in_service_is_taken_back_as_before(house: House) -> None:
    admin = house.client(house.key())
    house.store.routing_snapshots.promote("default", add(house, None))
    assert admin.post(f"{URL}/rollback").json() == {"serving": None}
    assert admin.get("/api/v1/changes").json()["items"] == []
