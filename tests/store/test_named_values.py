"""Named values of the deployment, tenants, and rules as heuristics: what control process and worker ask of the store."""

from __future__ import annotations

from meliora.store import Store
from meliora.store.keys import KeyWish
from meliora.store.routing.heuristics import RuleHeuristics
from meliora.store.routing.rules import RuleWish
from meliora.telemetry.improvement import Heuristic


def test_values_are_given_by_the_beginning_of_their_names(store: Store) -> None:
    for name, value in (("a:1", "x"), ("a:2", "y"), ("ab", "z"), ("a_1", "w")):
        store.deployment.put(name, value)
    assert store.deployment.values("a:") == {"a:1": "x", "a:2": "y"}
    assert store.deployment.values("a_") == {"a_1": "w"}


def test_a_number_grows_by_one(store: Store) -> None:
    assert [store.deployment.grow("epoch") for _ in range(3)] == [1, 2, 3]
    assert store.deployment.value("epoch") == "3"


def test_tenants_are_those_with_keys_revoked_ones_too(store: Store) -> None:
    for tenant in ("b", "a", "b"):
        key = store.keys.create(tenant, KeyWish()).key
    store.keys.revoke("b", key.id)
    assert store.keys.tenants() == ("a", "b")


def test_a_heuristic_is_a_rule_and_keeps_what_else_is_known_of_it(store: Store) -> None:
    heuristics = RuleHeuristics(store.rules)
    wish = RuleWish(pattern="x", preferred_layer="fast", applies_to="all", metadata={"note": "n", "successRate": 5})
    rule = store.rules.upsert("t", wish)
    kept = heuristics.keep("t", Heuristic(pattern="x", preferred_layer="deep", priority=3, usage_count=7))
    assert (kept.id, kept.preferred_layer, kept.usage_count, kept.success_rate) == (rule.id, "deep", 7, None)
    after = store.rules.get("t", rule.id)
    assert (after.applies_to, after.priority, after.metadata) == ("all", 3, {"note": "n", "usageCount": 7})
    assert heuristics.list("t", active_only=True) == (kept,)
    assert heuristics.list("other", active_only=False) == ()
