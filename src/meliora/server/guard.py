"""The outermost layer: bodies are bounded and well-formed before anything reads them, and `/internal` has one way in.

Refuses what no database can hold (NUL) and what JSON cannot say (NaN, lone surrogates, numbers without bound).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meliora.errors import BodyTooLarge, InvalidRequest, MelioraError, NotFound
from meliora.server.failures import failure

_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_SAFE_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
]


class Guard:
    """Wrap an app. `depth` bounds how far JSON may nest, `larger` names paths to which more may be posted."""

    def __init__(self, app: ASGIApp, *, body_bytes: int, depth: int, larger: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._body_bytes = body_bytes
        self._larger = dict(larger or {})
        self._depth = depth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in _SAFE_HEADERS if h[0] not in present)]
            await send(message)

        try:
            _check_way_in(scope)
            if scope["method"] in _WITH_BODY:
                receive = again(await self._read(scope, receive), receive)
        except Gone:
            return
        except MelioraError as error:
            await failure(error)(scope, receive, send_safely)
            return
        await self._app(scope, receive, send_safely)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        return await read_body(scope, receive, self._most(scope), self._depth)

    def _most(self, scope: Scope) -> int:
        return self._larger.get(scope["path"], self._body_bytes) if scope["method"] == "POST" else self._body_bytes


async def read_body(scope: Scope, receive: Receive, most: int, depth: int) -> bytes:
    """Give the whole body. Raises `BodyTooLarge`, `InvalidRequest`, or `Gone` with its sender."""
    headers = dict(scope["headers"])
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > most:
        raise _too_large(most)
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
        more = message.get("more_body", False)
    body = b"".join(parts)
    if body and b"json" in headers.get(b"content-type", b"application/json").lower():
        check_json(body, depth)
    return body


class Gone(Exception):
    """The client left."""


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {most} bytes.")


def check_json(body: bytes, depth: int) -> None:
    """Raise `InvalidRequest` for what is not JSON, nests deeper than `depth`, or holds a NUL."""
    try:
        value = msgspec.json.decode(body)
    except RecursionError as error:
        raise _too_deep(depth) from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.") from error
    if b"\\u0000" in body and any("\0" in text for text in _texts(value)):
        raise InvalidRequest("The body holds a NUL character.", hint="Leave it out; no database keeps it.")
    if body.count(b"[") + body.count(b"{") > depth and _depth(value) > depth:
        raise _too_deep(depth)


def _too_deep(depth: int) -> InvalidRequest:
    return InvalidRequest(f"The body nests deeper than {depth} levels.")


def _depth(value: Any) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        one, level = waiting.pop()
        if isinstance(one, dict | list):
            deepest = max(deepest, level)
            waiting.extend((inner, level + 1) for inner in (one.values() if isinstance(one, dict) else one))
    return deepest


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            waiting.extend(one)
            waiting.extend(one.values())


def _check_way_in(scope: Scope) -> None:
    path: str = scope["path"]
    if path == "/internal" or path.startswith("/internal/"):
        # A gateway's own request has no forwarded-for; the requests that it passes on always have one. A socket has no port.
        names = {name for name, _ in scope["headers"]}
        server = scope.get("server")
        if b"x-forwarded-for" in names or (server is not None and server[1] is not None):
            raise NotFound("There is nothing here.")
    if "\0" in path or b"%00" in scope["query_string"] or b"\0" in scope["query_string"]:
        raise InvalidRequest("The address holds a NUL character.")


def again(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read, then whatever comes after it."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
