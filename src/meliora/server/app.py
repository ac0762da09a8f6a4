"""The control app, put together: routers, errors, the guard around it. Decides nothing itself."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from meliora.routing.preferences.interactions import moment
from meliora.routing.preferences.tracker import Preferences
from meliora.server.auth import Keyring
from meliora.server.context import Control, ControlContext
from meliora.server.failures import handle_failures
from meliora.server.feed import StateFeed
from meliora.server.guard import Guard
from meliora.server.routers import (
    alerts,
    analytics,
    calls,
    changes,
    costs,
    crosscheck,
    decisions,
    docs,
    feedback,
    figures,
    findings,
    forecast,
    health,
    internal,
    keys,
    knowledge,
    knowledge_datasets,
    knowledge_quality,
    knowledge_search,
    knowledge_upkeep,
    learning,
    lineup,
    memory,
    metrics,
    operations,
    optimizer,
    preferences,
    quotas,
    route,
    routing,
    rules,
    tools,
    users,
)
from meliora.server.shapes import describe

_ROUTERS = (
    calls,
    feedback,
    learning,
    preferences,
    route,
    decisions,
    lineup,
    figures,
    costs,
    crosscheck,
    routing,
    rules,
    keys,
    quotas,
    analytics,
    forecast,
    metrics,
    tools,
    optimizer,
    changes,
    findings,
    alerts,
    operations,
    users,
    knowledge,
    knowledge_search,
    knowledge_quality,
    knowledge_datasets,
    knowledge_upkeep,
    memory,
    health,
    docs,
    internal,
)

_TAGS = (
    ("calls", "What was called, and everything that is known of it."),
    ("feedback", "What people say about answers."),
    ("preferences", "What each user likes, by task: learned from feedback, with how sure it is."),
    ("routing", "Which model, and why, without making the call."),
    ("rules", "Patterns that decide before the classifier does."),
    ("keys", "Virtual keys: scopes, limits, budgets."),
    ("quotas", "How far budgets are used."),
    ("analytics", "Cost, tokens, errors, rankings, percentiles."),
    ("metrics", "Named measurements, and how models do."),
    ("tools", "The improvement tools by name, for agents."),
    ("optimizer", "The loop: gates, cycles, start and stop, the kill switch, rollback."),
    ("changes", "What the loop changed or would: states, evidence, approvals."),
    ("findings", "What was diagnosed: which calls or searches, since when, why, and what to try."),
    ("alerts", "What people are told, and what an Alertmanager tells."),
    ("operations", "Processes, breakers, caches, the activity log."),
    ("users", "Erasure of a person."),
    ("knowledge", "Documents and their searches: found, explained, judged, and kept in order."),
    ("memory", "Conversations that are remembered: appended, recalled, cut to a budget, erased."),
    ("health", "How the deployment is."),
)


WITH_DOCUMENTS = ("/api/v1/knowledge/documents",)
"""Paths to which larger bodies may be posted."""

_ABOUT = (
    "Everything but the model calls. A key goes into `authorization: Bearer KEY` or `x-api-key: KEY`; the tenant comes from the "
    "key. Times are microseconds since the epoch (UTC) where a name ends in `_us`, money is micro-dollars where it ends in "
    "`_micros`; null means not known, and is never zero."
)


class _App(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """Give the OpenAPI document; made once."""
        if self.openapi_schema is None:
            self.openapi_schema = describe(self, [{"name": name, "description": text} for name, text in _TAGS])
        return self.openapi_schema


def build_app(context: ControlContext) -> FastAPI:
    """Give the app of the control process. Serve it on a Unix socket: `/internal` asks for no key."""
    app = bare_app(context.version)
    app.state.control = control_from(context)
    app.add_middleware(
        Guard,
        body_bytes=context.body_bytes,
        depth=context.settings.gateway.limits.json_depth,
        larger={path: max(context.body_bytes, context.documents_bytes) for path in WITH_DOCUMENTS},
    )
    return app


def control_from(context: ControlContext) -> Control:
    """Give what the routes work with."""
    store = context.store
    return Control(
        context=context,
        keyring=Keyring(store.keys.open, context.clock),
        feed=StateFeed(
            lambda now_us: store.states.load((), now_us),
            context.clock,
            context.settings_rules,
            context.look_seconds,
            store.states.kill_epoch,
        ),
        preferences=Preferences(
            store.preferences, context.settings.learning.rate, lambda: moment(context.clock.now_us())
        ),
    )


def bare_app(version: str) -> FastAPI:
    """Give the routes without anything behind them: enough to describe the API."""
    app = _App(title="Meliora", version=version, description=_ABOUT, docs_url=None, redoc_url=None, openapi_url=None)
    handle_failures(app)
    for module in _ROUTERS:
        app.include_router(module.router)
        if module is knowledge_upkeep:
            app.include_router(module.bare)
    return app
