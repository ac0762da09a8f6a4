"""`meliora gates`: how each gate stands, and its bound."""

from __future__ import annotations

from meliora.cli.shared import store
from tests.cli.governed import Typed, failing, typed_  # noqa: F401


def test_gates_are_listed_with_what_was_measured(typed: Typed) -> None:
    failing("errors", 0.3)
    code, out, err = typed("gates", "list")
    assert (code, err) == (0, "")
    (line,) = [line for line in out.splitlines() if line.startswith("errors")]
    assert "fail" in line and "0.3 (0.15 to 0.6)" in line and "at most 0.01" in line and "500" in line
    (drop,) = [line for line in out.splitlines() if line.startswith("ndcg_drop")]
    assert "no data" in drop and "-3.0% of the baseline" in drop
    rows = {row["name"]: row for row in typed.json("gates", "list")}
    assert (rows["errors"]["last"]["value"], rows["latency"]["last"]) == (0.3, None)


def test_a_bound_is_set_by_gate_or_metric_and_is_somebodys(typed: Typed) -> None:
    assert typed("gates", "set", "ndcg_at_10", "0.7")[1] == "ndcg holds to 0.7 now.\n"
    assert typed("gates", "set", "errors", "0.05")[0] == 0
    rows = {row["name"]: row for row in typed.json("gates", "list")}
    assert (rows["ndcg"]["threshold"], rows["ndcg"]["threshold_by"]) == (0.7, "cli")
    assert rows["errors"]["definition"]["threshold"] == 0.05


def test_a_bound_that_makes_no_sense_is_refused_and_told_to_the_audit(typed: Typed) -> None:
    for value, says in (("nan", "finite"), ("inf", "finite"), ("7", "cannot pass"), ("much", "valid number")):
        code, out, err = typed("gates", "set", "errors", value)
        assert (code, out) == (2, "") and says in err
    code, _, err = typed("gates", "set", "eror", "0.1")
    assert code == 1 and "Did you mean error" in err
    with store() as opened:
        refused = [entry.body["code"] for entry in opened.audit.export(None) if entry.action == "set_gate.refused"]
    assert refused == ["invalid_request"] * 3


def test_a_baseline_is_frozen_only_of_figures(typed: Typed) -> None:
    code, out, err = typed("gates", "freeze", "ndcg_drop")
    assert (code, out) == (1, "") and "no baseline to freeze" in err
    with store() as opened:
        for number in range(40):
            opened.metrics.record("default", "ndcg@10", 0.8, "0..1", {"query": f"q{number}"})
    code, out, err = typed("gates", "freeze", "ndcg_drop")
    assert code == 0, err
    assert "of ndcg_drop: 0.8, of 40 observations." in out
    assert typed("gates", "freeze", "nothing")[0] == 2
