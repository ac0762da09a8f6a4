"""Calls summed up for comparison, rules and snapshots exchanged under a fence: the same on both databases."""

from __future__ import annotations

import pytest

from meliora.errors import Conflict
from meliora.store.calls.feedbacks import FeedbackGiven
from meliora.store.routing.rules import RuleWish
from meliora.telemetry.records import Attempt, Usage

FAR = 2**62


def fine(connection: object) -> None:
    """Refuse nothing."""


def refuse(connection: object) -> None:
    raise Conflict("an old attempt")


def test_calls_are_summed_by_model_task_and_length(store, feed) -> None:
    one = feed.call(model="m", task="chat", usage=Usage(input=10, output=1), cost_micros=1_000_000)
    feed.call(model="m", task="chat", usage=Usage(input=10, output=1), cost_micros=3_000_000)
    feed.call(model="m", task="code", usage=Usage(input=5000, output=1), cost_micros=None)
    feed.call(model="m", task="chat", outcome="error", status=502, error_code="upstream_error", cost_micros=None)
    feed.call(model="m", task="chat", outcome="error", status=400, error_code="invalid_request", cost_micros=None)
    store.feedbacks.give("default", FeedbackGiven(feedback_type="thumbs_up", call_id=one.id))
    cells = {(cell.task, cell.bucket): cell for cell in store.comparisons.cells("default", 0, FAR)}
    chat = cells["chat", 0]
    assert (chat.cost.n, chat.cost.total, chat.cost.squares) == (2, 4.0, 10.0)
    assert (chat.reward.n, chat.reward.total) == (1, 1.0)
    assert sum(cell.errors.n for (task, _), cell in cells.items() if task == "chat") == 3
    assert sum(cell.errors.total for cell in cells.values()) == 1.0
    assert cells["code", 4].cost.n == 0
    assert store.comparisons.cells("other", 0, FAR) == ()
    assert {cell.task for cell in store.comparisons.cells("default", 0, FAR, "code")} == {"code"}


def test_tries_are_summed_by_endpoint(store, feed) -> None:
    feed.call(
        attempts=(
            Attempt("a/m", "m", 0, 1000, 503, "upstream_error"),
            Attempt("b/m", "m", 1000, 5000, 200),
            Attempt("b/other", "other", 1000, 5000, 200),
            Attempt("c/m", "m", 0, 10, 400, "invalid_request"),
        )
    )
    found = store.comparisons.tries("default", "m", 0, FAR)
    assert set(found) == {"a/m", "b/m"}
    assert (found["a/m"].errors.total, found["b/m"].errors.total, found["b/m"].latency.total) == (1.0, 0.0, 4.0)


def test_a_rule_is_exchanged_for_exactly_the_one_that_is_named(store) -> None:
    new = {
        "id": "rule_1",
        "pattern": "x",
        "preferred_layer": "deep",
        "preferred_model": None,
        "priority": 0,
        "active": True,
        "applies_to": "auto",
        "metadata": {"reasoning": "why"},
    }
    assert store.rules.exchange("default", "x", new, instead_of=None, fenced=fine)
    assert store.rules.plain("default", "x") == new
    assert not store.rules.exchange("default", "x", new, instead_of=None, fenced=fine)
    with pytest.raises(Conflict):
        store.rules.exchange("default", "x", None, instead_of=new, fenced=refuse)
    store.rules.upsert("default", RuleWish(pattern="x", preferred_layer="fast"))
    assert not store.rules.exchange("default", "x", None, instead_of=new, fenced=fine)
    present = store.rules.plain("default", "x")
    assert store.rules.exchange("default", "x", None, instead_of=present, fenced=fine)
    assert store.rules.plain("default", "x") is None


def test_a_snapshot_is_exchanged_for_what_learning_made_of_the_one_that_is_named(store) -> None:
    shelf = store.routing_snapshots
    for _ in range(3):
        shelf.add("default", lambda number: b"%d" % number, kind="fit", made_by="test")

    def exchange(number: int | None, instead_of: int | None, *, is_return: bool = False) -> bool:
        said = {"by": "chg"}
        return shelf.exchange("default", number, instead_of=instead_of, evidence=said, is_return=is_return, fenced=fine)

    assert exchange(1, None) and not exchange(2, None)
    shelf.publish("default", 1, lambda number: b"%d" % number, learned_seq=0, evidence={}, keep=3)
    assert exchange(2, 1)
    assert (shelf.serving("default").number, shelf.get("default", 2).replaced) == (2, 4)
    assert exchange(4, 2, is_return=True)
    assert (shelf.serving("default").number, shelf.serving("default").replaced) == (4, None)
    with pytest.raises(Conflict):
        shelf.exchange("default", 3, instead_of=4, evidence={}, is_return=False, fenced=refuse)
    assert exchange(None, 4) and shelf.serving("default") is None


def test_recorded_requests_are_given_with_whose_they_were(store, feed) -> None:
    whole = feed.call(user="ann", content="redacted", request_text="{}")
    cut = feed.call(content="redacted", request_text="{", truncated=True)
    found = store.outcomes.asked("default", [whole.id, cut.id, "call_none"])
    assert {call: (one.request_text, one.person) for call, one in found.items()} == {whole.id: ("{}", "ann")}
    assert store.outcomes.asked("other", [whole.id]) == {}
