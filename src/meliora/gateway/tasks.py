"""The task of a call that named its model: told from its record, where that holds the whole request, to keep it out of the call's way.

Refuses to guess from a request that was masked or cut: of such a call the gateway tells the task itself, while it has the text.
"""

from __future__ import annotations

import msgspec

from meliora.errors import MelioraError
from meliora.gateway.call import Call, Text
from meliora.gateway.dialects.inspect import inspect_request
from meliora.gateway.dialects.lenient import decode
from meliora.routing.classify import classify
from meliora.settings.models import Routing
from meliora.telemetry.records import CallFinished


def task_now(call: Call, kept: Text, routing: Routing) -> str | None:
    """Give the task for a call's record; None where nothing was decided, or where the record's request will tell it."""
    decision, view = call.decision, call.view
    if decision is None or view is None:
        return None
    if decision.task:
        return decision.task
    if kept.text is not None and not kept.masked and not kept.cut:
        return None
    return classify(view.prompt_text, settings=routing).task


def task_later(record: CallFinished, routing: Routing) -> str | None:
    """Give the task of a recorded call, read from its request where the gateway left it out."""
    if record.task is not None or record.confidence is None or record.request_text is None:
        return record.task  # without a confidence nothing was decided
    try:
        view = inspect_request(record.dialect, decode(record.request_text.encode()))
    except (msgspec.DecodeError, ValueError, RecursionError, MelioraError):
        return None  # the gateway left out no such task: the record was written by something else
    return classify(view.prompt_text, settings=routing).task
