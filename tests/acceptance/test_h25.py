"""H25: pruning archives, under a file's documented name, and each entry can be restored."""

from __future__ import annotations

import re
from pathlib import Path

from tests.acceptance.knowing import DAY, kept
from tests.server.house import control_house


def test_h25_what_was_archived_is_found_no_more_until_it_is_restored_entry_by_entry(
    tmp_path: Path, switched: None
) -> None:
    with control_house(tmp_path) as house:
        client = kept(house, [{"id": f"d{n}", "text": f"harbour {n}", "category": "temporary"} for n in range(3)])
        house.clock.advance(30 * DAY)
        plan = client.post("/api/v1/knowledge/prune", json={"apply": True}).json()
        assert (plan["archived"], plan["left"]) == (3, [])

        def found() -> set[str]:
            assert house.context.knowledge is not None
            house.context.knowledge.follow("default", "default")
            answer = client.post("/api/v1/knowledge/search", json={"query": "harbour"})
            return {one["document"] for one in answer.json()["results"]}

        assert found() == set()
        file = client.get("/api/v1/knowledge/archive/file")
        assert re.search(r'filename="archive_\d{8}\.json"', file.headers["content-disposition"])
        assert [one["kept"]["document"]["id"] for one in file.json()["entries"]] == ["d0", "d1", "d2"]
        restore = {"plan": plan["plan"], "ids": ["d1"]}
        assert client.post("/api/v1/knowledge/restore", json=restore).json() == {"restored": 1}
        assert found() == {"d1"}
        assert client.post("/api/v1/knowledge/restore", json={"plan": plan["plan"]}).json() == {"restored": 2}
        assert found() == {"d0", "d1", "d2"}
