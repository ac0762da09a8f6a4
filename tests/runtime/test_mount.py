"""Routers in an application's own app: two deployments beside each other, and beside the app's own routes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from starlette.testclient import TestClient

import meliora
from meliora.runtime.shared import open_store
from meliora.settings.models import Server, Settings
from meliora.store.keys import KeyWish

URL = "/api/v1/knowledge"


def of(directory: Path) -> Settings:
    return Settings(server=Server(state_dir=directory))


def key(settings: Settings) -> dict[str, str]:
    with open_store(settings) as store:
        wish = KeyWish(name="k", scopes=("call", "feedback", "read", "admin"))
        return {"authorization": f"Bearer {store.keys.create('default', wish).secret}"}


@pytest.fixture
def two(tmp_path: Path) -> tuple[FastAPI, Settings, Settings]:
    """An app with a route of its own and two deployments."""
    app = FastAPI()
    one, other = of(tmp_path / "one"), of(tmp_path / "other")
    app.include_router(meliora.create_knowledge_router(one), prefix="/one")
    app.include_router(meliora.create_knowledge_router(other), prefix="/other")

    @app.get("/mine/{number}")
    def mine(number: int) -> int:
        return number

    return app, one, other


def found(client: TestClient, prefix: str, headers: dict[str, str]) -> list[str]:
    answer = client.post(f"{prefix}{URL}/search", json={"query": "harbour"}, headers=headers)
    return [result["document"] for result in answer.json()["results"]]


def test_two_deployments_in_one_app_know_nothing_of_each_other(two: tuple[FastAPI, Settings, Settings]) -> None:
    app, one, other = two
    with TestClient(app) as client:
        keys = {"/one": key(one), "/other": key(other)}
        for prefix, headers in keys.items():
            documents = [{"id": f"of{prefix}", "text": "The harbour opens at six."}]
            said = {"documents": documents, "wait": True}
            answer = client.post(f"{prefix}{URL}/documents", json=said, headers=headers)
            assert answer.json()["indexed"], answer.text
        for prefix, headers in keys.items():
            assert found(client, prefix, headers) == [f"of{prefix}"]
        stranger = client.post(f"/one{URL}/search", json={"query": "harbour"}, headers=keys["/other"])
        assert stranger.status_code == 401
        assert set(stranger.json()) == {"error"}


def test_errors_are_ours_under_the_prefix_and_the_apps_own_elsewhere(two: tuple[FastAPI, Settings, Settings]) -> None:
    app, one, _ = two
    with TestClient(app) as client:
        headers = key(one)
        wrong = client.post(f"/one{URL}/search", json={"query": 1}, headers=headers)
        assert (wrong.status_code, wrong.json()["error"]["field"]) == (400, "query")
        missing = client.get(f"/one{URL}/collections/none", headers=headers)
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
        huge = client.post(f"/one{URL}/search", content=b"x" * 3_000_000, headers=headers)
        assert huge.status_code == 413
        nul = client.post(f"/one{URL}/search", content=b'{"query": "\\u0000"}', headers=headers)
        assert nul.status_code == 400
        assert client.get("/mine/x").json()["detail"][0]["loc"] == ["path", "number"]
        assert client.get("/nothing").json() == {"detail": "Not Found"}
        assert client.get("/mine/7").json() == 7


class NotSignedIn(Exception):
    """Raised by an application's own check."""


def test_what_the_apps_own_dependencies_raise_is_answered_by_the_app(tmp_path: Path) -> None:
    """Their status, words and headers, by the handlers that the app has for them; what nobody handles is a defect as elsewhere."""

    def check(request: Request) -> None:
        asked = request.headers.get("x-who")
        if asked is None:
            raise HTTPException(403, {"why": "sign in"}, headers={"x-sign-in": "here"})
        if asked == "nobody":
            raise NotSignedIn
        if asked == "broken":
            raise ZeroDivisionError

    app = FastAPI()
    app.include_router(meliora.create_knowledge_router(of(tmp_path)), prefix="/m", dependencies=[Depends(check)])

    @app.exception_handler(NotSignedIn)
    def answer(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"mine": request.url.path}, 418)

    with TestClient(app) as client:
        url = f"/m{URL}/collections"
        refused = client.get(url)
        assert (refused.status_code, refused.json(), refused.headers["x-sign-in"]) == (
            403,
            {"detail": {"why": "sign in"}},
            "here",
        )
        assert (client.get(url, headers={"x-who": "nobody"}).status_code) == 418
        assert client.get(url, headers={"x-who": "broken"}).json()["error"]["code"] == "defect"
        assert client.get(url, headers={"x-who": "ann"}).json()["error"]["code"] == "invalid_key"


def test_the_apps_own_document_has_the_routes_and_no_dangling_shape(two: tuple[FastAPI, Settings, Settings]) -> None:
    app, _, _ = two
    with TestClient(app) as client:
        document = client.get("/openapi.json").json()
    assert f"/one{URL}/search" in document["paths"] and "/one/knowledge/optimize" in document["paths"]
    shapes = document["components"]["schemas"]
    text = str(document["paths"])
    names = {part.split("'")[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(shapes)


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (meliora.create_diagnosis_router, "/api/v1/analytics/usage"),
        (meliora.create_optimization_router, "/api/v1/optimizer/status"),
        (meliora.create_capabilities_router, "/inference/models"),
    ],
)
def test_each_other_router_serves_its_part(make, path: str, tmp_path: Path) -> None:
    settings = of(tmp_path)
    app = FastAPI()
    app.include_router(make(settings), prefix="/m")
    with TestClient(app) as client:
        assert client.get(f"/m{path}").status_code == 401
        assert client.get(f"/m{path}", headers=key(settings)).status_code == 200


def test_an_app_that_never_starts_leaves_nothing_running(tmp_path: Path) -> None:
    began = time.monotonic()
    meliora.create_knowledge_router(of(tmp_path))
    assert time.monotonic() - began < 30
    with pytest.raises(AttributeError, match="has no attribute"):
        meliora.nothing  # noqa: B018
