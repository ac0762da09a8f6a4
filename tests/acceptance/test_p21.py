"""P21: what the status and the report say of uptime and backlog, where it is known."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.lives import living


def test_p21_the_backlog_is_told_as_the_gate_measured_it_and_is_null_before(tmp_path: Path, switched: None) -> None:
    """Sixty seconds are the documented most."""
    with living(tmp_path) as life:
        assert life.get("/api/v1/optimizer/status")["backlog_seconds"] is None
        life.fail("ingest", 75.0)
        found = life.get("/api/v1/optimizer/status")
        assert (found["backlog_seconds"], found["quality_gates_status"]) == (75.0, "failing")
        (row,) = [one for one in life.get("/api/v1/optimizer/quality-gates")["items"] if one["name"] == "ingest"]
        assert row["definition"]["threshold"] == 60.0
