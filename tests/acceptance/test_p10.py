"""P10: the audit record of a cycle, and the decisions in it taken again."""

from __future__ import annotations

from pathlib import Path

from meliora.loop.audit.edges import retold
from meliora.runtime.governance import replays
from tests.acceptance.lives import living


def test_p10_the_record_has_every_action_and_each_decision_comes_to_the_same(tmp_path: Path, switched: None) -> None:
    """Who approved, what it cost, what came of it, whether it can be taken back."""
    with living(tmp_path) as life:
        cycle = life.breach()
        change = life.run()
        record = life.artifact(cycle.id, "audit_record.json")
        assert (record["cycle_id"], record["environment"]) == (cycle.id, "production")
        assert (record["trigger"]["type"], record["trigger"]["value"]) == ("gate", 0.2)
        assert [one["type"] for one in record["actions"]][-1] == "kept"
        assert [one["sequence"] for one in record["actions"]] == list(range(1, len(record["actions"]) + 1))
        assert {"status", "duration", "outputs", "rollback_plan"} <= set(record["actions"][0])
        assert (record["approver"], record["outcome"], record["rollback_available"]) == ("system", "improved", True)
        assert "total_cost_usd" in record
        store = life.house.store
        entries = store.audit.of("default", change.id)
        told = retold(store.changes.edges("default", change.id), entries)
        done = replays(store).replay((*entries, *told.entries))
        assert {one.decision for one in done} == {"policy", "trial", "watch"} and {one.result for one in done} == {
            "same"
        }
        assert store.audit.verify().whole
