"""The documentation of the API: the page, the OpenAPI document, docs/api.md."""

from __future__ import annotations

import re
from pathlib import Path

from meliora import __version__
from meliora.server.app import bare_app
from meliora.server.document import as_markdown
from tests.server.house import House

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_loads_nothing_from_elsewhere(house: House) -> None:
    client = house.client()
    page = client.get("/docs")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    found = [page.text, client.get("/docs/page.js").text, client.get("/docs/page.css").text]
    for text in found:
        assert not re.search(r"(https?:)?//[a-z0-9]", text.replace("// ", "")), "an address of another server"
    assert "innerHTML" not in found[1]
    for name in re.findall(r'(?:src|href)="([^"#]+)"', page.text):
        assert client.get("/" + name).status_code == 200, name


def test_the_scripts_and_styles_come_with_types_that_browsers_take(house: House) -> None:
    client = house.client()
    assert client.get("/docs/page.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/docs/page.css").headers["content-type"].startswith("text/css")


def test_every_route_has_a_subject_and_a_sentence(house: House) -> None:
    document = house.client().get("/openapi.json").json()
    subjects = {tag["name"] for tag in document["tags"]}
    used = set()
    for path, operations in document["paths"].items():
        assert not path.startswith("/internal")
        for operation in operations.values():
            used.update(operation["tags"])
            assert operation["description"].endswith("."), path
            assert set(operation["tags"]) <= subjects, path
            assert any(status.startswith("2") for status in operation["responses"]), path
    assert used == subjects


def test_every_shape_that_is_referred_to_is_there(house: House) -> None:
    document = house.app.openapi()
    schemas = document["components"]["schemas"]
    for name in re.findall(r"#/components/schemas/([^'\"]+)", str(document)):
        assert name in schemas, name


def test_the_reference_is_current() -> None:
    kept = (DOCS / "api.md").read_text(encoding="utf-8")
    assert kept == as_markdown(bare_app(__version__).openapi()), "run: python -m meliora.server.document docs/api.md"


def test_the_reference_has_the_fields_of_what_a_body_lists() -> None:
    reference = as_markdown(bare_app(__version__).openapi())
    for field in ("turns[].speaker", "documents[].metadata", "judgments[].grade"):
        assert f"| `{field}` |" in reference, field
