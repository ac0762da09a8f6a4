"""Documents over HTTP: large bodies, erasure through to the files of an index, other engines' results, promotion."""

from __future__ import annotations

from pathlib import Path

from tests.server.house import House, error_of

URL = "/api/v1/knowledge"


def test_documents_may_be_larger_than_other_bodies_and_not_without_bound(house: House) -> None:
    client = house.client(house.key())
    said = {"documents": [{"id": "large", "text": "word " * 600_000}]}
    assert client.post(f"{URL}/documents", json=said).json()["taken"]["added"] == 1
    assert client.post(f"{URL}/search", json={"query": "word " * 600_000}).status_code == 413
    body = b" " * (25 * 1024 * 1024 + 1)
    assert error_of(client.post(f"{URL}/documents", content=body))["code"] == "body_too_large"


def test_erasing_a_person_leaves_nothing_of_them_in_any_file_of_an_index(house: House) -> None:
    client, plane = house.client(house.key()), house.context.knowledge
    assert plane is not None
    documents = [{"id": "hers", "text": "Quillberry lives here", "user": "ann"}, {"id": "mine", "text": "A harbour"}]
    client.post(f"{URL}/documents", json={"documents": documents})
    plane.follow("default", "default")
    folder = house.context.settings.server.state_dir / "knowledge"

    def holds(word: bytes) -> bool:
        return any(word in file.read_bytes().lower() for file in Path(folder).rglob("*") if file.is_file())

    assert holds(b"quillberry")
    assert client.delete("/api/v1/users/ann").json()["counts"]["documents"] == 1
    found = client.post(f"{URL}/search", json={"query": "quillberry"}).json()
    assert found["results"] == []
    plane.follow("default", "default")
    assert not holds(b"quillberry")
    answer = client.post(f"{URL}/search", json={"query": "harbour"}).json()
    assert [one["document"] for one in answer["results"]] == ["mine"]


def test_a_dropped_collection_is_found_no_more_and_its_index_is_gone(house: House) -> None:
    client, plane = house.client(house.key()), house.context.knowledge
    assert plane is not None
    client.post(f"{URL}/documents", json={"collection": "c", "documents": [{"id": "a", "text": "A harbour"}]})
    plane.follow("default", "c")
    assert client.delete(f"{URL}/collections/c").status_code == 200
    assert client.post(f"{URL}/search", json={"collection": "c", "query": "harbour"}).status_code == 404
    assert not any((house.context.settings.server.state_dir / "knowledge").iterdir())


def test_a_snapshot_of_a_person_serves_once_it_is_promoted_where_the_loop_is_off(house: House) -> None:
    client = house.client(house.key())
    client.post(f"{URL}/documents", json={"documents": [{"id": "a", "text": "A harbour"}]})
    for wrong in ({"fusion": {"words": -1}}, {"fusion": {"depth": 0}}, {"nothing": 1}, {"fusion": {"k": 0}}):
        assert client.post(f"{URL}/snapshots", json={"config": wrong}).status_code == 400, wrong
    number = client.post(f"{URL}/snapshots", json={"config": {"fusion": {"words": 2}}}).json()["number"]
    assert client.get(f"{URL}/snapshots").json()["serving"] == 0
    assert client.post(f"{URL}/snapshots/{number}/promote", json={}).json()["serving"] == number
    assert client.get(f"{URL}/snapshots").json()["serving"] == number
