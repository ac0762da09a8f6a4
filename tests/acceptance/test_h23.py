"""H23: what is said twice is consolidated, and never where a number or a name differs."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.knowing import kept, used
from tests.server.house import control_house

TEXT = "To reset the password open the settings page, choose security, and press the button at the bottom of it"


def test_h23_the_copy_is_archived_and_what_differs_in_a_number_waits_for_a_person(
    tmp_path: Path, switched: None
) -> None:
    with control_house(tmp_path) as house:
        documents = [
            {"id": "one", "text": f"{TEXT}."},
            {"id": "copy", "text": f"{TEXT}."},
            {"id": "port-1", "text": f"{TEXT}. The port is 8080."},
            {"id": "port-2", "text": f"{TEXT}. The port is 9090."},
        ]
        client = kept(house, documents)
        used(house, client, "reset the password", "one")
        found = client.get("/knowledge/redundant").json()
        assert [(one["kept"], one["archived"]) for one in found["pairs"]] == [("one", "copy")]
        assert {"port-1", "port-2"} in [{one["a"], one["b"]} for one in found["for_a_person"]]
        planned = client.post("/knowledge/consolidate", json={}).json()["pruning"]["entries"]
        assert [(one["id"], one["kept_instead"]) for one in planned] == [("copy", "one")]
