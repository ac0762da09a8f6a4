"""Every error as one shape: code, message, hint, field. Refuses to show what a defect looks like inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from meliora.errors import InvalidRequest, MelioraError
from meliora.server.shapes import Answer, ErrorBody, Failure

log = structlog.get_logger(__name__)

_PLACES = ("body", "query", "path", "header", "cookie")
_KINDS = {"str": "a text", "int": "a number", "float": "a number", "bool": "true or false"}
_CODES = {404: "not_found", 405: "method_not_allowed"}


def failure(error: MelioraError, status: int | None = None) -> Answer:
    """Give the answer for an error of ours."""
    body = Failure(ErrorBody(error.code, error.message, error.hint or None, error.field))
    headers = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, round(error.retry_after)))
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return Answer(body, status_code=status or error.status, headers=headers)


def handle_failures(app: FastAPI) -> None:
    """Answer every exception in the one shape."""
    app.add_exception_handler(MelioraError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _defect)


async def answered(request: Request, error: Exception) -> Answer:
    """Give the answer for any exception, for a route that stands in another's app."""
    if isinstance(error, MelioraError):
        return failure(error)
    if isinstance(error, RequestValidationError):
        return await _invalid(request, error)
    return await (_http if isinstance(error, HTTPException) else _defect)(request, error)


async def _ours(_request: Request, error: Exception) -> Answer:
    assert isinstance(error, MelioraError)
    return failure(error)


async def _invalid(request: Request, error: Exception) -> Answer:
    assert isinstance(error, RequestValidationError)
    errors = list(error.errors()) or [{"loc": (), "msg": "The request is not valid."}]
    if errors[0].get("type") == "model_attributes_type" and not _is_json(request):
        hint = "Send `content-type: application/json`."
        return failure(InvalidRequest("The body is read as JSON only where its content type says so.", hint=hint))
    place, message = _either(errors) or ([str(part) for part in errors[0]["loc"]], errors[0]["msg"])
    if place == ["body"]:
        return failure(InvalidRequest(f"The body: {message}"))
    if place and place[0] in _PLACES:
        del place[0]
    field = ".".join(place)[:200] or None
    message = message.removeprefix("Value error, ")
    return failure(InvalidRequest(f"{field}: {message}" if field else message, field=field))


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _either(errors: Sequence[Any]) -> tuple[list[str], str] | None:
    """Give the place and what may stand there, where it may be one of several kinds of which each tells that it is not."""
    *place, last = errors[0]["loc"] or ("",)
    if last not in _KINDS:
        return None
    same = [one["loc"] for one in errors if list(one["loc"][: len(place)]) == place and len(one["loc"]) > len(place)]
    kinds = dict.fromkeys(_KINDS[loc[len(place)]] for loc in same if loc[len(place)] in _KINDS)
    if len(kinds) < 2:
        return None
    listed = any(str(loc[len(place)]).startswith("list[") for loc in same)
    words = [*kinds, *(["a list of these"] if listed else [])]
    return [str(part) for part in place], f"Input should be {', '.join(words[:-1])} or {words[-1]}"


async def _http(_request: Request, error: Exception) -> Answer:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "invalid_request")
    message = {404: "There is nothing here.", 405: "This path has no such method."}.get(
        error.status_code, str(error.detail)
    )
    return Answer(
        Failure(ErrorBody(code, message, "GET /docs lists what there is.")),
        status_code=error.status_code,
        headers=dict(error.headers or {}),
    )


async def _defect(request: Request, error: Exception) -> Answer:
    log.error("a request failed by a defect of ours", path=request.url.path, error=repr(error))
    body = Failure(ErrorBody("defect", "Meliora failed to answer; this is a defect.", "See the control process's log."))
    return Answer(body, status_code=500)
