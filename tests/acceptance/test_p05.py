"""P5: the contract of triggers: what each gate sets off, within which time, and when it is undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.search.town import TENANT
from meliora.loop.triggers import undone
from tests.acceptance.faulty import HOUR, QUIET, faulty
from tests.acceptance.lives import living

DOCUMENTED = {
    "ndcg_drop": (3600, None, 0.0),
    "recall_drop": (7200, None, 0.02),
    "latency_p95": (300, 1000.0, None),
    "ingest": (600, 120.0, None),
    "budget": (1800, 1.2, None),
    "vector_store": (180, 10.0, None),
    "errors": (3600, None, 0.0),
    "satisfaction": (86_400, 3.5, None),
}


@pytest.mark.parametrize("gate", DOCUMENTED)
def test_p05_each_gate_sets_its_trigger_off_with_its_time_and_its_way_back(
    gate: str, tmp_path: Path, switched: None
) -> None:
    """Response time and the condition of a rollback are the documented ones."""
    seconds, than, by = DOCUMENTED[gate]
    with living(tmp_path) as life:
        definition = life.loop.board.gate(gate)
        found = life.loop.triggers.of("default", definition, None)
        assert found, f"nothing follows when {gate} fails"
        assert (found[0].response_seconds, found[0].rollback.worse_than, found[0].rollback.worse_by) == (
            seconds,
            than,
            by,
        )
        if than is not None:
            worse = than * (0.9 if definition.direction == "min" else 1.1)
            assert undone(found[0], definition, worse, None) is True
        assert undone(found[0], definition, None, 1.0) is None


def test_p05_a_breach_opens_a_cycle_with_the_triggers_kinds(tmp_path: Path, switched: None) -> None:
    """What is not installed is passed over."""
    with living(tmp_path) as life:
        cycle = life.breach("latency_p95", 1500.0)
        assert (cycle.subject, cycle.kinds) == ("latency_p95", ("routing_policy",))


def test_p05_a_fall_of_ndcg_and_of_recall_is_measured_and_answered_in_its_time(tmp_path: Path, switched: None) -> None:
    """By 3% and 5% of the frozen baseline: each opens its cycle, with its kinds, and a change is proposed within its time."""
    with faulty(tmp_path) as (town, broken_us):
        rows = {row.name: row for row in town.loop.board.status(TENANT)}
        for gate, change in (("ndcg_drop", -0.03), ("recall_drop", -0.05)):
            assert rows[gate].definition.change == change and rows[gate].baseline is not None
        town.live(QUIET, 3 * HOUR)
        cycles = {one.subject: one for one in town.store.cycles.list(TENANT).items if one.opened_us > broken_us}
        changes = town.changes()
        for gate, first in (("ndcg_drop", "query_repair"), ("recall_drop", "reindex")):
            seconds = DOCUMENTED[gate][0]
            cycle = cycles[gate]
            assert cycle.kinds[0] == first and "reindex" in cycle.kinds
            proposed = min(one.created_us for one in changes if one.cycle == cycle.id)
            assert proposed - cycle.opened_us <= seconds * 1e6
