"""Look-ups go through their index, whatever the planner would rather do."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from meliora.diagnosis.records import Limits, Window
from meliora.errors import NotFound
from meliora.store.calls.calls import CallFilter
from meliora.store.calls.feedbacks import FeedbackGiven

WINDOWS = (Window(0, 10), Window(10, 20))
LIMITS = Limits(slow_us=None, cost_cap_micros=None)


def plans(engine: sa.Engine, act) -> str:
    """Do it, and give the plans of its statements."""
    statements: list[tuple[str, Any]] = []

    def note(connection, cursor, statement, parameters, context, many) -> None:
        statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    act()
    event.remove(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        explained = [
            row.detail
            for statement, parameters in statements
            if statement.startswith("SELECT") and "FROM calls" in statement
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    return "\n".join(explained)


@pytest.mark.parametrize(
    ("index", "look"),
    [
        ("ix_calls_tenant_user", lambda store: store.calls.list("default", CallFilter(user="ann"))),
        ("ix_calls_tenant_user", lambda store: store.preferences.interactions("default", "ann")),
        ("ix_calls_tenant_started", lambda store: store.preferences.interactions("default", None)),
        ("ix_calls_tenant_session", lambda store: store.calls.list("default", CallFilter(session="s"))),
        ("ix_calls_tenant_started", lambda store: store.calls.list("default")),
        ("ix_calls_tenant_seq", lambda store: store.calls.tail("default", 1)),
        ("ix_calls_tenant_cost", lambda store: store.analytics.top_expensive("default")),
        ("ix_calls_tenant_errors", lambda store: store.analytics.error_rate("default")),
        ("ix_calls_unfinished", lambda store: store.analytics.error_rate("default")),
        ("ix_calls_tenant_started", lambda store: store.slices.cube("default", "errors", *WINDOWS, LIMITS)),
        ("ix_calls_tenant_message", lambda store: give(store, message_id="m")),
        ("ix_calls_tenant_response", lambda store: give(store, response_id="r")),
    ],
)
def test_a_look_up_uses_its_index(store, feed, engine, index: str, look) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by the size of the table, which is empty here")
    feed.call()
    assert index in plans(engine, lambda: look(store))


def give(store, **named: str) -> None:
    with pytest.raises(NotFound):
        store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_up", **named))
