"""P6: a deployment that is slow or fails heals itself: another policy or model, and not only a line in the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.search.town import TENANT
from tests.acceptance.faulty import HOUR, QUIET, faulty, fresh_ndcg
from tests.acceptance.lives import living


@pytest.mark.parametrize(("gate", "value"), [("latency_p95", 1200.0), ("errors", 0.2), ("budget", 0.9)])
def test_p06_a_breach_ends_with_another_version_in_service(
    gate: str, value: float, tmp_path: Path, switched: None
) -> None:
    """Latency, errors and cost: what proved and won is what serves."""
    with living(tmp_path) as life:
        life.breach(gate, value)
        assert life.run().state == "kept"
        assert life.kind.serves["routing_policy"] == "v1+"
        assert [what for what, _ in life.kind.effects] == ["deliver"]


def test_p06_an_index_that_lost_documents_is_built_again_by_itself_and_ndcg_is_what_it_was(
    tmp_path: Path, switched: None
) -> None:
    """Within hours and with nobody at it, also for queries that no gate asks."""
    with faulty(tmp_path) as (town, broken_us):
        broken = fresh_ndcg(town)
        town.live(QUIET, 4 * HOUR)
        subjects = {one.id: one.subject for one in town.store.cycles.list(TENANT).items}
        kept = [one for one in town.changes() if one.state == "kept" and one.created_us > broken_us]
        assert [one.kind for one in kept] == ["reindex"]
        assert subjects[kept[0].cycle or ""] in ("ndcg_drop", "recall_drop")
        assert town.plane.audit(TENANT, "c").faults == 0
        assert fresh_ndcg(town) > broken + 0.03
        row = next(one for one in town.loop.board.status(TENANT) if one.name == "ndcg_drop")
        assert row.last is not None and row.baseline is not None
        assert row.last.value == pytest.approx(row.baseline.value)
