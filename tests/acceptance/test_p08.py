"""P8: the diagnostic report of a cycle, with the documented fields."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.search.town import TENANT
from benchmarks.search.traffic import made
from meliora.diagnosis.search import finding as of_searches
from meliora.diagnosis.search.diagnose import diagnose_search
from tests.acceptance.faulty import HOUR, QUIET, faulty
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


def test_p08_of_searches_that_fell_the_report_names_the_index_that_lost_documents(
    tmp_path: Path, switched: None
) -> None:
    """As the cycle leaves it, from the breach to what was done about it."""
    with faulty(tmp_path) as (town, broken_us):
        town.live(QUIET, 4 * HOUR)
        town.loop.archive.step()
        (cycle,) = [one for one in town.store.cycles.list(TENANT).items if one.outcome == "improved"]
        assert cycle.opened_us > broken_us
        report = json.loads((tmp_path / "artifacts" / cycle.id / "diagnostic_report.json").read_text())
        assert (report["cycle_id"], report["root_cause_analysis"]["type"]) == (cycle.id, "index_fault")
        assert report["recommended_actions"][0]["type"] == "reindex"
        assert report["xai_insights"]["suggested_action"] is not None


def test_p08_of_new_words_the_report_names_the_words_their_weight_and_how_many_searches_have_them(
    switched: None,
) -> None:
    """New words, which of them are weak, what each lost, and the repair with its target; each a planted word."""
    traffic = made(np.random.default_rng(7), "jargon", 2000, 0.6)
    found = diagnose_search(traffic.seen, traffic, id="f", at_us=1_700_000_000_000_000)
    report = of_searches.report(found, "si_1")
    cause, insights = report["root_cause_analysis"], report["xai_insights"]
    assert cause["type"] == "vocabulary_shift"
    new = cause["distribution_change"]["new_tokens"]
    assert new and set(new) <= set(traffic.planted) and 0 < cause["distribution_change"]["coverage"] < 1
    assert insights["low_coverage_tokens"] and set(insights["low_coverage_tokens"]) <= set(traffic.planted)
    assert all(lost > 0 for lost in insights["importance_scores"].values())
    action = report["recommended_actions"][0]
    assert (action["type"], action["method"]) == ("query_repair", "expansion")
    assert action["target_tokens"] and action["estimated_examples"] > 0
    assert report["delta"] == report["current_value"] - report["baseline"] < 0
