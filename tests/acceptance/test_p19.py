"""P19: what search console, dataset studio and document view show, as an API: searches explained, data sets made and read, documents."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.knowing import kept
from tests.server.house import control_house

URL = "/api/v1/knowledge"
TEXT = "# Storm warnings on the pier\n\nA red lantern on the pier means storm. Boats leave the pier early."


def test_p19_the_studio_makes_lists_reads_and_deletes_data_sets(tmp_path: Path, switched: None) -> None:
    with control_house(tmp_path) as house:
        client = kept(house, [{"id": "storms", "text": TEXT}])
        found = client.post(f"{URL}/search", json={"query": "red lantern", "explain": True}).json()
        assert found["results"][0]["explanation"]["matched"]
        assert client.get(f"{URL}/documents/storms").json()["document"]["text"] == TEXT
        made = client.post(f"{URL}/datasets", json={"tokens": ["lantern"]}).json()["dataset"]
        assert [one["id"] for one in client.get(f"{URL}/datasets").json()["items"]] == [made["id"]]
        page = client.get(f"{URL}/datasets/{made['id']}/examples?limit=1").json()
        assert page["total"] == made["examples"] and page["items"][0]["document"] == "storms"
        assert client.get(f"{URL}/datasets/{made['id']}/file?format=csv").text.startswith("query,document,")
        assert client.delete(f"{URL}/datasets/{made['id']}").status_code == 200
        assert client.get(f"{URL}/datasets").json()["items"] == []
