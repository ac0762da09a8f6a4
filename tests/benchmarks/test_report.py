"""The shape that every benchmark writes."""

from __future__ import annotations

import json

from benchmarks.intervals import Estimate
from benchmarks.report import Figure, Report, figure


def _report() -> Report:
    report = Report("gateway", 7, echo=lambda _line: None)
    report.add(figure("cpu_us_per_request", "us", Estimate(131.04, 126, 139, 20), beside={"direct": 7.2}))
    report.add(Figure("direct_rps", 50_000, "1/s"))
    report.miss("rps_vs_portkey", "there is no npm")
    return report


def test_figures_are_written_with_interval_and_what_was_beside() -> None:
    written = json.loads(_report().as_json(41.23))
    assert written["benchmark"] == "gateway"
    assert (written["seed"], written["seconds"]) == (7, 41.2)
    assert set(written["machine"]) == {"cores", "python"}
    assert written["figures"][0] == {
        "name": "cpu_us_per_request",
        "value": 131.04,
        "unit": "us",
        "low": 126,
        "high": 139,
        "n": 20,
        "beside": {"direct": 7.2},
        "note": "",
    }


def test_a_figure_without_sampling_has_no_interval() -> None:
    written = json.loads(_report().as_json(1))
    assert "low" not in written["figures"][1]


def test_what_is_missing_is_named_with_its_reason_and_never_filled_in() -> None:
    report = _report()
    assert json.loads(report.as_json(1))["missing"] == {"rps_vs_portkey": "there is no npm"}
    assert report.get("rps_vs_portkey") is None
    assert "rps_vs_portkey" in report.table()
