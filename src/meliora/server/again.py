"""Routes that answer once more where the connection to the database broke under them: what reads, and what may be said twice.

Everything else answers 503 then, with the reason and when to try again: who asked knows what may be done twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from fastapi import Request, Response
from fastapi.routing import APIRoute

from meliora.errors import ConnectionLost

log = structlog.get_logger(__name__)

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_MARK = "may_be_said_twice"


def repeatable(endpoint: Endpoint) -> Endpoint:
    """Say of a route that is no GET that asking it twice comes to what asking it once does."""
    setattr(endpoint, _MARK, True)
    return endpoint


class Again(APIRoute):
    """A route that is asked a second time, its caller's key included, on another connection."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        """Give the handler; costs nothing where no connection breaks."""
        handle = super().get_route_handler()
        if not ((self.methods or set()) <= {"GET", "HEAD"} or getattr(self.endpoint, _MARK, False)):
            return handle

        async def handler(request: Request) -> Response:
            try:
                return await handle(request)
            except ConnectionLost as error:
                log.warning("a connection to the database broke, and a request is answered on another", why=str(error))
            return await handle(request)  # the body was read, and is remembered by the request

        return handler
