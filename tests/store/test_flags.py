"""Flags are kept by tenant and environment, and each change is in the audit."""

from __future__ import annotations

import pytest

from meliora.errors import InvalidRequest, NotFound
from meliora.loop.flags import Flag

FLAG = Flag(
    name="new-search",
    enabled=True,
    environment="staging",
    rollout_percentage=12.5,
    conditions={"plan": ["pro", "team"]},
    metadata={"owner": "search"},
)


def test_a_flag_comes_back_as_it_was_put(store) -> None:
    assert store.flags.put("default", FLAG, "key_ann") == FLAG
    assert store.flags.get("default", "staging", "new-search") == FLAG
    for tenant, environment in (("acme", "staging"), ("default", "production")):
        with pytest.raises(NotFound):
            store.flags.get(tenant, environment, "new-search")
    assert store.flags.list("default") == (FLAG,) and store.flags.list("acme") == ()
    assert store.flags.list("default", "dev") == ()


def test_changes_and_removals_are_told_to_the_audit_without_what_conditions_compare_with(store) -> None:
    store.flags.put("default", FLAG, "key_ann")
    store.flags.put("default", Flag(name="new-search", environment="staging"), "key_bob")
    store.flags.delete("default", "staging", "new-search", "key_bob")
    entries = store.audit.of("default", "flag:new-search")
    assert [(entry.action, entry.actor) for entry in entries] == [
        ("flag.set", "key_ann"),
        ("flag.set", "key_bob"),
        ("flag.delete", "key_bob"),
    ]
    assert "team" not in str(entries)
    with pytest.raises(NotFound):
        store.flags.delete("default", "staging", "new-search", "key_bob")


def test_what_makes_no_sense_is_not_kept(store) -> None:
    with pytest.raises(InvalidRequest, match="rollout_percentage"):
        store.flags.put("default", Flag(name="f", rollout_percentage=float("nan")), "key_ann")
    assert store.flags.list("default") == () and store.audit.head() is None
