"""Keys, rules, state, heartbeats, activity, the deployment's secret."""

from __future__ import annotations

import threading

import pytest

from meliora.errors import Conflict, InvalidRequest, NotFound
from meliora.gateway.state import RuleState
from meliora.store import Store
from meliora.store.gateways import Heartbeat
from meliora.store.keys import KeyWish
from meliora.store.routing.rules import RuleWish

MINUTE_US = 60_000_000


def rule(pattern: str, **over) -> RuleWish:
    return RuleWish(**{"pattern": pattern, "preferred_layer": "fast"} | over)


def beat(gateway: str) -> Heartbeat:
    return Heartbeat(id=gateway, version="0.1.0", format=1, host="h", pid=1, started_us=1, breakers={"a": "open"})


def test_a_key_opens_with_its_secret_alone_and_shows_only_how_that_begins(store, clock) -> None:
    issued = store.keys.create("acme", KeyWish(name="ci", scopes=("read",), models=("gpt-5*",), budget_day_micros=5))
    opened = store.keys.open(issued.secret, clock.now)
    assert (opened.id, opened.tenant, opened.scopes, opened.models) == (issued.key.id, "acme", ("read",), ("gpt-5*",))
    assert store.keys.open(issued.secret + "x", clock.now) is None
    assert issued.secret.startswith(issued.key.prefix)
    assert len(issued.key.prefix) < 12
    assert issued.secret not in str(store.keys.get("acme", issued.key.id))


def test_a_rotated_secret_opens_until_its_end(store, clock) -> None:
    old = store.keys.create("default", KeyWish())
    new = store.keys.rotate("default", old.key.id, overlap_us=MINUTE_US)
    assert store.keys.open(old.secret, clock.now) is not None
    assert store.keys.open(new.secret, clock.now) is not None
    assert store.keys.open(old.secret, clock.now + 2 * MINUTE_US) is None
    newest = store.keys.rotate("default", old.key.id)
    assert store.keys.open(new.secret, clock.now) is None
    assert store.keys.open(newest.secret, clock.now) is not None


def test_a_revoked_key_never_opens_again_and_cannot_be_changed(store, clock) -> None:
    issued = store.keys.create("default", KeyWish())
    assert store.keys.revoke("default", issued.key.id).revoked_us is not None
    assert store.keys.revoke("default", issued.key.id).revoked_us == store.keys.get("default", issued.key.id).revoked_us
    assert store.keys.open(issued.secret, clock.now) is None
    assert store.keys.list("default", revoked=False) == ()
    for act in (
        lambda: store.keys.rotate("default", issued.key.id),
        lambda: store.keys.update("default", issued.key.id, {}),
    ):
        with pytest.raises(Conflict):
            act()


def test_an_expired_key_does_not_open(store, clock) -> None:
    issued = store.keys.create("default", KeyWish(expires_us=clock.now + 10))
    assert store.keys.open(issued.secret, clock.now + 10) is None


def test_limits_of_a_key_can_be_changed_and_taken_away(store) -> None:
    key = store.keys.create("default", KeyWish(requests_per_minute=5)).key
    changed = store.keys.update("default", key.id, {"requests_per_minute": None, "models": ["a"], "scopes": ["admin"]})
    assert (changed.requests_per_minute, changed.models, changed.scopes) == (None, ("a",), ("admin",))
    for wrong in ({"secret": "x"}, {"scopes": ["root"]}, {"concurrent": -1}, {"concurrent": 2**63}):
        with pytest.raises(InvalidRequest):
            store.keys.update("default", key.id, wrong)


def test_a_given_secret_is_used_once_and_must_be_long(store) -> None:
    secret = "mel_" + "a" * 40
    assert store.keys.create("default", KeyWish(), secret=secret).secret == secret
    with pytest.raises(Conflict):
        store.keys.create("default", KeyWish(), secret=secret)
    with pytest.raises(InvalidRequest):
        store.keys.create("default", KeyWish(), secret="short")
    assert len(store.keys.list("default")) == 1


def test_one_rule_a_pattern_in_the_order_they_are_tried(store) -> None:
    low = store.rules.upsert("default", rule("a"))
    high = store.rules.upsert("default", rule("b", priority=5, metadata={"reasoning": "x", "successRate": 0.9}))
    again = store.rules.upsert("default", rule("a", preferred_model="gpt-5", active=False))
    assert again.id == low.id
    assert (again.created_us, again.preferred_model) == (low.created_us, "gpt-5")
    assert [one.id for one in store.rules.list("default")] == [high.id, low.id]
    assert [one.id for one in store.rules.list("default", active_only=True)] == [high.id]
    assert store.rules.get("default", high.id).metadata == {"reasoning": "x", "successRate": 0.9}


def test_a_rule_can_be_replaced_but_not_take_anothers_pattern(store) -> None:
    one = store.rules.upsert("default", rule("a"))
    store.rules.upsert("default", rule("b"))
    assert store.rules.change("default", one.id, rule("c", priority=-3)).pattern == "c"
    with pytest.raises(Conflict):
        store.rules.change("default", one.id, rule("b"))
    store.rules.delete("default", one.id)
    for act in (store.rules.get, store.rules.delete):
        with pytest.raises(NotFound):
            act("default", one.id)


def test_reordering_puts_rules_above_all_others_or_changes_nothing(store) -> None:
    ids = [store.rules.upsert("default", rule(pattern, priority=9)).id for pattern in "abc"]
    order = store.rules.reorder("default", [ids[2], ids[0]])
    assert [one.id for one in order] == [ids[2], ids[0], ids[1]]
    with pytest.raises(NotFound):
        store.rules.reorder("default", [ids[1], "rule_none"])
    assert store.rules.list("default") == order


@pytest.mark.parametrize("wish", [RuleWish(pattern="a"), rule(""), rule("a", priority=2**31)])
def test_a_rule_without_pattern_or_target_is_refused(store, wish: RuleWish) -> None:
    with pytest.raises(InvalidRequest):
        store.rules.upsert("default", wish)


def test_the_state_is_renumbered_when_something_in_it_changes_and_only_then(store, clock) -> None:
    settings = [RuleState(id="toml-1", tenant="default", pattern="x", preferred_layer="fast")]
    first = store.states.load(settings, clock.now)
    assert store.states.load(settings, clock.now + 5).version == first.version
    key = store.keys.create("default", KeyWish())
    second = store.states.load(settings, clock.now)
    store.rules.upsert("acme", rule("a"))
    store.rules.upsert("acme", rule("off", active=False))
    third = store.states.load(settings, clock.now)
    store.keys.revoke("default", key.key.id)
    fourth = store.states.load(settings, clock.now)
    versions = [state.version for state in (first, second, third, fourth)]
    assert versions == sorted(set(versions))
    assert [one.pattern for one in third.rules] == ["x", "a"]
    assert [one.id for one in second.keys] == [key.key.id]
    assert fourth.keys == ()
    assert len(bytes.fromhex(first.secret)) == 32


def test_a_secret_that_ends_leaves_the_state(store, clock) -> None:
    key = store.keys.create("default", KeyWish()).key
    store.keys.rotate("default", key.id, overlap_us=MINUTE_US)
    early, late = (store.states.load([], clock.now + after) for after in (0, 2 * MINUTE_US))
    assert [len(state.keys[0].hashes) for state in (early, late)] == [2, 1]
    assert late.version > early.version


def test_two_processes_that_load_at_once_come_to_the_same_number(store, clock) -> None:
    store.keys.create("default", KeyWish())
    versions: list[int] = []
    threads = [
        threading.Thread(target=lambda: versions.append(store.states.load([], clock.now).version)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert versions == [1] * 4


def test_a_silent_gateway_is_dead_after_a_minute_and_forgotten_after_a_day(store, clock) -> None:
    now = clock.now
    store.gateways.beat(beat("a"), now)
    store.gateways.beat(beat("b"), now + MINUTE_US)
    assert [(one.id, one.alive) for one in store.gateways.list(now + 2 * MINUTE_US)] == [("a", False), ("b", True)]
    assert store.states.load([], now + 2 * MINUTE_US).gateways == 1
    assert store.gateways.list(now)[0].breakers == {"a": "open"}
    store.gateways.beat(beat("b"), now + 2 * 86_400_000_000)
    assert [one.id for one in store.gateways.list(now)] == ["b"]


def test_activity_is_paged_from_the_newest(store) -> None:
    for place in range(5):
        store.activity.append("default", "cli", "key.create", f"key_{place}", {"n": place})
    store.activity.append("default", "cli", "rule.delete")
    first = store.activity.list("default", action="key.create", limit=3)
    rest = store.activity.list("default", action="key.create", limit=3, cursor=first.next)
    assert [one.subject for one in (*first.items, *rest.items)] == [f"key_{place}" for place in (4, 3, 2, 1, 0)]
    assert (first.items[0].detail, rest.next) == ({"n": 4}, None)


def test_the_secret_is_made_once(store, engine) -> None:
    assert Store(engine).secret == store.secret
    assert store.deployment.value("nothing") is None
    store.deployment.put("a", "1")
    store.deployment.put("a", "2")
    assert store.deployment.value("a") == "2"
