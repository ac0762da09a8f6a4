"""What follows a failed gate is data that is checked when it is written; people's changes stand over the settings and the documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from meliora.errors import InvalidRequest, NotFound
from meliora.loop.gates.gate import Gate, check_all
from meliora.loop.gates.gate import defaults as gate_defaults
from meliora.loop.triggers import KINDS, Rollback, Trigger, Triggers, check, defaults, undone
from meliora.store import Store
from meliora.testing.store import temporary_store

GATES = check_all(gate_defaults(), "production")
PLAIN = Trigger(name="t", gate="errors", kinds=("routing_rule",))


@pytest.fixture
def store() -> Iterator[Store]:
    with temporary_store() as store:
        yield store


def gate(name: str) -> Gate:
    return next(one for one in GATES if one.name == name)


@pytest.mark.parametrize(
    ("over", "sentence"),
    [
        ({"kinds": ()}, "names no kind of change"),
        ({"kinds": ("routing_ruel",)}, "Did you mean routing_rule"),
        ({"kinds": ("routing_rule", "routing_rule")}, "twice"),
        ({"gate": "erors"}, "Did you mean errors"),
        ({"name": ""}, "needs a name"),
        ({"name": "a/b"}, "needs a name"),
        ({"response_seconds": 0.0}, "response_seconds"),
        ({"response_seconds": float("nan")}, "response_seconds"),
        ({"threshold": float("inf")}, "threshold"),
        ({"rollback": Rollback(worse_than=1.0, worse_by=0.1)}, "two conditions"),
        ({"rollback": Rollback(worse_by=-0.1)}, "worse_by"),
        ({"rollback": Rollback(worse_than=float("nan"))}, "worse_than"),
    ],
)
def test_a_trigger_that_cannot_work_is_refused(over: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        check(msgspec.structs.replace(PLAIN, **over), GATES, KINDS)


def test_the_documented_contract_is_shipped_and_holds_together() -> None:
    held = {one.name: check(one, GATES, KINDS) for one in defaults()}
    assert {one.gate: one.response_seconds for one in held.values()} == {
        "ndcg_drop": 3600,
        "recall_drop": 7200,
        "search_success": 3600,
        "latency_p95": 300,
        "ingest": 600,
        "budget": 1800,
        "vector_store": 180,
        "errors": 3600,
        "satisfaction": 86_400,
    }
    undo = {one.gate: one.rollback for one in held.values()}
    assert undo["latency_p95"].worse_than == 1000 and undo["ingest"].worse_than == 120
    assert undo["budget"].worse_than == 1.2 and undo["satisfaction"].worse_than == 3.5
    assert undo["recall_drop"].worse_by == 0.02 and undo["vector_store"].worse_than == 10


def test_a_change_of_a_person_stands_over_the_settings_and_these_over_the_documents(store: Store) -> None:
    declared = msgspec.structs.replace(PLAIN, name="errors", kinds=("prompt",))
    service = Triggers(store.triggers, GATES, [declared])
    assert service.get("acme", "errors").kinds == ("prompt",)
    service.put("acme", msgspec.structs.replace(declared, kinds=("code_patch",)), "key_1")
    assert service.get("acme", "errors").kinds == ("code_patch",)
    assert service.get("other", "errors").kinds == ("prompt",)
    service.delete("acme", "errors")
    assert service.get("acme", "errors").kinds == ("prompt",)
    with pytest.raises(NotFound, match="enabled = false"):
        service.delete("acme", "errors")
    with pytest.raises(NotFound, match="Did you mean errors"):
        service.get("acme", "erros")


def test_what_is_wrong_is_refused_before_it_is_kept(store: Store) -> None:
    service = Triggers(store.triggers, GATES)
    with pytest.raises(InvalidRequest):
        service.put("acme", msgspec.structs.replace(PLAIN, kinds=()), "cli")
    assert store.triggers.list("acme") == ()
    with pytest.raises(InvalidRequest, match="Did you mean"):
        Triggers(store.triggers, GATES, [msgspec.structs.replace(PLAIN, gate="laency")])


def test_a_kind_that_is_installed_is_known_and_a_gate_that_does_not_hold_takes_its_trigger_along(store: Store) -> None:
    service = Triggers(store.triggers, [gate("errors")], installed=["my_kind"])
    assert [one.name for one in service.list("acme")] == ["errors"]
    assert service.put("acme", msgspec.structs.replace(PLAIN, kinds=("my_kind",)), "cli")


def test_a_failed_gate_sets_off_its_own_the_most_urgent_first(store: Store) -> None:
    service = Triggers(store.triggers, GATES)
    service.put("acme", msgspec.structs.replace(PLAIN, name="fast", response_seconds=60.0, threshold=0.05), "cli")
    service.put("acme", msgspec.structs.replace(PLAIN, name="off", enabled=False), "cli")
    assert [one.name for one in service.of("acme", gate("errors"), 0.06)] == ["fast", "errors"]
    assert [one.name for one in service.of("acme", gate("errors"), 0.02)] == ["errors"]
    assert [one.name for one in service.of("acme", gate("errors"), None)] == ["errors"]
    assert service.of("acme", gate("gpu"), 0.9) == ()


def test_a_rollback_condition_that_cannot_be_told_is_never_a_no() -> None:
    slow = next(one for one in defaults() if one.gate == "latency_p95")
    assert undone(slow, gate("latency_p95"), 1001.0, None) is True
    assert undone(slow, gate("latency_p95"), 999.0, None) is False
    assert undone(slow, gate("latency_p95"), None, None) is None
    assert undone(slow, gate("latency_p95"), float("nan"), None) is None
    recall = next(one for one in defaults() if one.gate == "recall_drop")
    assert undone(recall, gate("recall_drop"), 0.87, 0.9) is True
    assert undone(recall, gate("recall_drop"), 0.89, 0.9) is False
    assert undone(recall, gate("recall_drop"), 0.89, None) is None
    assert undone(PLAIN, gate("errors"), 0.9, 0.1) is False
