"""H22: how sure it is that a document is stale, and that only the sure ones are planned to go."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.knowing import DAY, kept, used
from tests.server.house import control_house


def test_h22_confidence_grows_with_the_days_beyond_and_is_nine_tenths_where_nobody_used_it(
    tmp_path: Path, switched: None
) -> None:
    with control_house(tmp_path) as house:
        documents = [{"id": name, "text": name, "category": "procedures"} for name in ("used", "never")]
        client = kept(house, documents)
        used(house, client, "used", "used")
        house.clock.advance(90 * 1.4 * DAY)
        stale = {one["id"]: one["confidence"] for one in client.get("/knowledge/stale").json()["items"]}
        assert stale == {"used": pytest.approx(0.5 + 0.5 * 0.4)}
        planned = client.post("/knowledge/prune", json={}).json()["pruning"]["entries"]
        assert planned == [], "0.7 is not sure enough"
        house.clock.advance(90 * DAY)
        stale = {one["id"]: one["confidence"] for one in client.get("/knowledge/stale").json()["items"]}
        assert stale == {"used": 1.0, "never": 0.9}
        planned = client.post("/knowledge/prune", json={}).json()["pruning"]["entries"]
        assert [one["id"] for one in planned] == ["never", "used"]
