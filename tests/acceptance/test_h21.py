"""H21: each category has its days; what nobody ever used gets twice as many from when it was added."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.knowing import DAY, kept
from tests.server.house import control_house

DAYS = {
    "infrastructure": 30,
    "configuration": 14,
    "troubleshooting": 60,
    "procedures": 90,
    "history": 365,
    "user_preferences": 180,
    "research": 30,
    "temporary": 7,
    "of_my_own": 90,
}


def test_h21_a_document_is_stale_after_twice_its_categorys_days_where_nobody_used_it(
    tmp_path: Path, switched: None
) -> None:
    with control_house(tmp_path) as house:
        client = kept(house, [{"id": name, "text": f"text {name}", "category": name} for name in DAYS])
        days = 0
        for at in sorted({2 * one for one in DAYS.values()}):
            house.clock.advance((at - days) * DAY + 1)
            days = at
            found = {one["id"] for one in client.get("/knowledge/stale").json()["items"]}
            assert found == {name for name, limit in DAYS.items() if 2 * limit <= at}


def test_h21_a_document_that_was_written_anew_begins_anew(tmp_path: Path, switched: None) -> None:
    with control_house(tmp_path) as house:
        client = kept(house, [{"id": name, "text": "old", "category": "temporary"} for name in ("kept", "rewritten")])
        house.clock.advance(14 * DAY + 1)
        assert {one["id"] for one in client.get("/knowledge/stale").json()["items"]} == {"kept", "rewritten"}
        client.post("/knowledge/entry", json={"id": "rewritten", "text": "new", "category": "temporary"})
        assert [one["id"] for one in client.get("/knowledge/stale").json()["items"]] == ["kept"]
        assert client.get("/knowledge/metrics").json()["stale"] == 1
