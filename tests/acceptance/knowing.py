"""A house with documents in it."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient

from meliora.runtime.knowledge.tasks import Using
from tests.server.house import House

DAY = 86_400.0


def kept(house: House, documents: list[dict[str, Any]], collection: str = "default") -> TestClient:
    """Keep documents, index them, and give a client that may do everything."""
    client = house.client(house.key())
    answer = client.post("/api/v1/knowledge/documents", json={"collection": collection, "documents": documents})
    assert answer.status_code == 200, answer.text
    assert house.context.knowledge is not None
    house.context.knowledge.follow("default", collection)
    return client


def used(house: House, client: TestClient, query: str, document: str) -> None:
    """Let somebody search, and click a document that was found; the worker notes it."""
    found = client.post("/api/v1/knowledge/search", json={"query": query, "limit": 100}).json()
    said = {"search_id": found["id"], "type": "click", "document": document}
    answer = client.post("/api/v1/knowledge/feedback", json=said)
    assert answer.status_code == 200, answer.text
    house.ingest()
    Using(house.store, house.clock).step()
