"""P8: the diagnostic report of a cycle, with the documented fields."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.lives import living


def test_p08_the_report_says_what_was_seen_and_why(tmp_path: Path, switched: None) -> None:
    """The trigger with its value, the cause as far as it was found, and what is recommended."""
    with living(tmp_path) as life:
        cycle = life.breach("errors", 0.2)
        life.run()
        report = life.artifact(cycle.id, "diagnostic_report.json")
        assert {"cycle_id", "timestamp", "trigger", "current_value", "baseline", "delta"} <= set(report)
        assert {"root_cause_analysis", "xai_insights", "recommended_actions"} <= set(report)
        assert (report["cycle_id"], report["current_value"]) == (cycle.id, 0.2)
