"""The page that shows the API. Everything on it is served from here; the browser is told to load nothing else."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Request, Response

from meliora.server.shapes import Answer

router = APIRouter(include_in_schema=False)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/docs")
def page() -> Response:
    """Give the page."""
    return _page("docs.html", "text/html; charset=utf-8")


@router.get("/docs/page.js")
def script() -> Response:
    """Give its script."""
    return _page("docs.js", "text/javascript; charset=utf-8")


@router.get("/docs/page.css")
def style() -> Response:
    """Give its style."""
    return _page("docs.css", "text/css; charset=utf-8")


@router.get("/openapi.json")
def document(request: Request) -> Answer:
    """Give the OpenAPI document that the page shows."""
    return Answer(request.app.openapi())


def _page(name: str, media_type: str) -> Response:
    body = files("meliora.server").joinpath("pages", name).read_bytes()
    return Response(body, media_type=media_type, headers={"content-security-policy": _POLICY})
