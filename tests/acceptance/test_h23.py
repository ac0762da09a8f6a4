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


def test_h23_a_pair_is_decided_as_soon_as_it_is_shown(tmp_path: Path, switched: None) -> None:
    """The worker notes pairs once a day; who sees one before it need not wait."""
    with control_house(tmp_path) as house:
        texts = {"port-1": f"{TEXT}. The port is 8080.", "port-2": f"{TEXT}. The port is 9090.", "else": "The harbour."}
        client = kept(house, [{"id": id, "text": text} for id, text in texts.items()])
        found = client.get("/knowledge/redundant").json()["for_a_person"]
        assert [{one["a"], one["b"]} for one in found] == [{"port-1", "port-2"}]
        url = "/api/v1/knowledge/pairs"
        assert client.post(url, json={"a": "port-1", "b": "else"}).status_code == 404
        assert client.post(url, json={"a": "port-1", "b": "gone"}).status_code == 404
        assert client.post(url, json={"a": "port-1", "b": "port-1"}).status_code == 404
        decided = client.post(url, json={"a": "port-2", "b": "port-1", "keep": "port-2"})
        assert (decided.status_code, decided.json()["state"]) == (200, "merged")
        assert client.get("/api/v1/knowledge/documents/port-1").json()["state"] == "archived"
