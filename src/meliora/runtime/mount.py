"""Routers for an application's own FastAPI app: the same routes over the same store, with keys checked and errors as ours.

Nothing of it is global, and no other route of the app is touched: a router brings its own store, and closes it with the app.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import ExitStack, asynccontextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from meliora.clock import Clock, SystemClock
from meliora.errors import MelioraError
from meliora.server.again import Again
from meliora.server.context import MOUNTED, Control
from meliora.server.failures import answered
from meliora.server.guard import Gone, again, read_body

if TYPE_CHECKING:
    from pathlib import Path

    from meliora.settings import Settings


def create_knowledge_router(settings: str | Path | Settings = "meliora.toml") -> APIRouter:
    """Give documents, searches, upkeep and memory. Raises `SettingsError`, `StoreError`."""
    from meliora.server.routers import (
        knowledge,
        knowledge_datasets,
        knowledge_quality,
        knowledge_search,
        knowledge_upkeep,
        memory,
    )

    modules = (knowledge, knowledge_search, knowledge_quality, knowledge_datasets, knowledge_upkeep, memory)
    return _mounted(settings, [*_routers(modules), knowledge_upkeep.bare], follows=True)


def create_diagnosis_router(settings: str | Path | Settings = "meliora.toml") -> APIRouter:
    """Give health, analytics, metrics and what was diagnosed. Raises `SettingsError`, `StoreError`."""
    from meliora.server.routers import analytics, findings, health, metrics

    return _mounted(settings, _routers((health, analytics, metrics, findings)))


def create_optimization_router(settings: str | Path | Settings = "meliora.toml") -> APIRouter:
    """Give the loop and its changes. Raises `SettingsError`, `StoreError`."""
    from meliora.server.routers import changes, optimizer

    return _mounted(settings, _routers((optimizer, changes)))


def create_capabilities_router(settings: str | Path | Settings = "meliora.toml") -> APIRouter:
    """Give the models on offer and the improvement tools. Raises `SettingsError`, `StoreError`."""
    from meliora.server.routers import lineup, tools

    return _mounted(settings, _routers((lineup, tools)))


def _routers(modules: Iterable[ModuleType]) -> list[APIRouter]:
    return [one.router for one in modules]


def _mounted(where: str | Path | Settings, routers: list[APIRouter], follows: bool = False) -> APIRouter:
    held = _Held(where, SystemClock(), follows)

    class Route(_Route):
        control = held.control

    router = APIRouter(route_class=Route, lifespan=held.lifespan)
    for one in routers:
        for route in one.routes:
            if isinstance(route, APIRoute):
                _put(router, route)
    return router


def _put(router: APIRouter, route: APIRoute) -> None:
    """Put a route in. The shapes of answers stay out of the other app's document: it has shapes of its own."""
    told = {code: {"description": said.get("description", "")} for code, said in route.responses.items()}
    router.add_api_route(
        route.path,
        route.endpoint,
        methods=sorted(route.methods or ()),
        status_code=route.status_code,
        response_model=None,
        response_class=route.response_class,
        responses=told,
        tags=route.tags,
        name=route.name,
        include_in_schema=route.include_in_schema,
    )


class _Route(Again):
    """A route that brings what it works with, bounds its body, and answers its own errors."""

    control: Control

    def get_route_handler(self) -> Callable[[Request], Any]:
        handle, control = super().get_route_handler(), self.control

        async def handler(request: Request) -> Response:
            request.scope[MOUNTED] = control
            try:
                return await handle(await _bounded(request, control))
            except Gone:
                return Response(status_code=499)
            except Exception as error:  # the other app knows none of our errors
                if _is_theirs(request, error):
                    raise
                return await answered(request, error)

        return handler


def _is_theirs(request: Request, error: Exception) -> bool:
    """Tell whether an error is the other app's to answer: what its own dependencies raise, and has a handler there."""
    if isinstance(error, MelioraError | RequestValidationError):
        return False
    handled = request.app.exception_handlers
    return isinstance(error, HTTPException) or any(
        kind in handled for kind in type(error).__mro__ if kind is not Exception
    )


async def _bounded(request: Request, control: Control) -> Request:
    context = control.context
    large = request.method == "POST" and request.url.path.endswith("/api/v1/knowledge/documents")
    most = max(context.body_bytes, context.documents_bytes) if large else context.body_bytes
    depth = context.settings.gateway.limits.json_depth
    body = await read_body(request.scope, request.receive, most, depth)
    return Request(request.scope, again(body, request.receive))


class _Held:
    """What the routes of one deployment work with."""

    def __init__(self, where: str | Path | Settings, clock: Clock, follows: bool) -> None:
        from meliora.runtime.control import Offers, context_of
        from meliora.runtime.knowledge.plane import knowledge_of
        from meliora.runtime.shared import effective, open_store, private_dir
        from meliora.server.app import control_from
        from meliora.settings import Settings
        from meliora.settings.load import load
        from meliora.store.engine import connect, database_url
        from meliora.store.migrate import upgrade

        settings = effective(where if isinstance(where, Settings) else load(str(where)))
        engine = connect(database_url(settings.store.url, private_dir(settings.server.state_dir)))
        upgrade(engine)
        engine.dispose()
        self._open = ExitStack()
        store = self._open.enter_context(open_store(settings))
        plane = self._open.enter_context(knowledge_of(settings, store, clock))
        self.control = control_from(context_of(settings, store, clock, Offers(settings, clock, store), knowledge=plane))
        self._follows = follows and plane is not None
        self._stop = threading.Event()

    @asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[None]:
        """While the app runs, keep this machine's indexes after their documents, and obey the kill switch; close all when it ends."""
        from meliora.runtime.acknowledging import obeying
        from meliora.runtime.shared import process_name

        context = self.control.context
        own = (context.settings, context.store, context.clock, process_name("control"), context.knowledge)
        thread = threading.Thread(target=self._follow, name="indexes", daemon=True) if self._follows else None
        if thread is not None:
            thread.start()
        try:
            with obeying(*own, signals=False):
                yield
        finally:
            self._stop.set()
            if thread is not None:
                thread.join()
            self.close()

    def close(self) -> None:
        """Close the store and what stands on it."""
        self._open.close()

    def _follow(self) -> None:
        from meliora.errors import MelioraError
        from meliora.runtime.knowledge.tasks import FOLLOW_SECONDS, Following

        context = self.control.context
        following = Following(context.settings, context.store, context.clock)
        while not self._stop.is_set():
            try:
                more = following.step()
            except (MelioraError, OSError):
                more = False  # logged where it happened; the next turn tries again
            if not more:
                self._stop.wait(FOLLOW_SECONDS)
