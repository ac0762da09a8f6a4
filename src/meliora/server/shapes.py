"""Answers: msgspec structs out, and how OpenAPI describes them. Refuses floats that JSON has no words for."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse

_REF = "#/components/schemas/{name}"
_EXTRA = "x-components"
_WHY = {
    400: "The request is not well-formed, or a value is out of range; `field` names it.",
    401: "The key is missing, unknown, expired or revoked.",
    403: "The key lacks the scope.",
    404: "No such thing, or it belongs to another tenant.",
    409: "It contradicts something that is there already.",
    413: "The body is too large.",
    429: "The key's rate or budget is used up.",
    502: "The model that was asked did not answer.",
    501: "This deployment keeps no documents, or lacks the extra that it takes.",
    504: "It took longer than it may.",
    503: "The store cannot be used now.",
}


class ErrorBody(msgspec.Struct, frozen=True):
    """What went wrong: a stable code, a sentence, what to do, the field at fault."""

    code: str
    message: str
    hint: str | None = None
    field: str | None = None


class Failure(msgspec.Struct, frozen=True):
    """The body of every answer that is not a success."""

    error: ErrorBody


class Answer(JSONResponse):
    """An answer made of a msgspec struct, or of plain data."""

    def render(self, content: Any) -> bytes:
        """Encode as JSON."""
        return msgspec.json.encode(content)


def says(shape: Any, *more: int, status: int = 200) -> dict[str, Any]:
    """Describe a route: the shape of its success, and which failures it has besides the usual ones.

    Gives keyword arguments for a router's decorator. 400, 401, 403, 413 and 503 go without saying.
    """
    failures = {code: _described(_WHY[code], Failure) for code in (400, 401, 403, 413, 503, *more)}
    (_, failure), components = msgspec.json.schema_components((shape, Failure), ref_template=_REF)
    del failure
    return {
        "status_code": status,
        "response_model": None,
        "response_class": Answer,
        "responses": {status: _described("Done.", shape), **failures},
        "openapi_extra": {_EXTRA: components},
    }


def knows(shape: Any, *more: int, status: int = 200) -> dict[str, Any]:
    """Describe a route of the knowledge plane, which a deployment may be without."""
    return says(shape, 501, *more, status=status)


def _described(what: str, shape: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components((shape,), ref_template=_REF)
    return {"description": what, "content": {"application/json": {"schema": schema}}}


def describe(app: FastAPI, tags: list[dict[str, str]]) -> dict[str, Any]:
    """Give the OpenAPI document, with the shapes of all answers under its components."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=tags
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    shapes: dict[str, Any] = {}
    for operations in document["paths"].values():
        for operation in operations.values():
            for name, schema in operation.pop(_EXTRA, {}).items():
                if shapes.setdefault(name, schema) != schema:
                    raise ValueError(f"two shapes of the API are called {name}: rename one")
            operation["responses"].pop("422", None)
    schemas.update(shapes)
    return document
