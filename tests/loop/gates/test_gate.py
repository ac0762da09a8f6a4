"""A gate that cannot be judged is refused when it is made, with the nearest thing that was probably meant."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from meliora.errors import InvalidRequest
from meliora.loop.gates.gate import Baseline, Gate, check, check_all, defaults
from meliora.loop.gates.metrics import _BY_NAME, METRICS
from meliora.settings.loop import RECORDED_METRICS

PLAIN = Gate(name="g", metric="error_rate", direction="max", threshold=0.01)


def changed(**over: Any) -> Gate:
    return msgspec.structs.replace(PLAIN, **over)


@pytest.mark.parametrize(
    ("gate", "sentence"),
    [
        (changed(metric="eror_rate"), "Did you mean error_rate?"),
        (changed(metric="latency_p96"), "Did you mean latency_p9"),
        (changed(direction=None), "no direction"),
        (changed(direction=""), "no direction"),
        (changed(threshold=None), "one finite threshold or change"),
        (changed(change=-0.03), "one finite threshold or change"),
        (changed(threshold=float("nan")), "one finite threshold or change"),
        (changed(threshold=1.5), "cannot pass"),
        (changed(metric="cost_per_1k", threshold=0.0), "cannot pass"),
        (changed(threshold=None, change=-1.0), "has change"),
        (changed(window_seconds=0), "window_seconds"),
        (changed(every_seconds=float("inf")), "every_seconds"),
        (changed(minimum=0), "minimum"),
        (changed(fail_after=0), "fail_after"),
        (changed(near=1.0), "near"),
        (changed(name=""), "needs a name"),
        (changed(source="prometheus"), "has no query"),
        (changed(source="function"), "has no query"),
        (changed(metric="ndcg@10", source="telemetry"), "no call tells"),
        (changed(source="simulated"), "simulated signal in production"),
    ],
)
def test_a_gate_that_cannot_be_judged_is_refused(gate: Gate, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence.replace("?", r"\?")):
        check(gate, "production")


def test_an_alias_becomes_the_name_it_stands_for() -> None:
    assert check(changed(metric="avg_latency_ms", threshold=500.0), "staging").metric == "latency_mean"


def test_a_metric_of_ones_own_says_where_it_comes_from() -> None:
    assert check(changed(metric="queue_length", source="pushed"), "staging").of().form == "gauge"
    with pytest.raises(InvalidRequest, match="source"):
        check(changed(metric="queue_length"), "staging")


def test_a_simulated_gate_is_refused_everywhere_but_in_dev() -> None:
    assert check(changed(source="simulated"), "dev")
    for environment in ("staging", "production"):
        with pytest.raises(InvalidRequest, match="Only dev"):
            check(changed(source="simulated"), environment)


def test_two_gates_of_one_name_are_refused_and_those_of_another_environment_left_out() -> None:
    with pytest.raises(InvalidRequest, match="two gates"):
        check_all([PLAIN, PLAIN], "dev")
    assert check_all([changed(environments=("production",))], "staging") == ()


def test_the_shipped_gates_are_the_documented_ones() -> None:
    bounds = {gate.name: (gate.metric, gate.direction, gate.threshold) for gate in check_all(defaults(), "production")}
    assert bounds["ndcg"] == ("ndcg@10", "min", 0.75)
    assert bounds["latency"] == ("latency_mean", "max", 500.0)
    assert bounds["latency_p95"] == ("latency_p95", "max", 800.0)
    assert bounds["errors"] == ("error_rate", "max", 0.01)
    assert bounds["cost"] == ("cost_per_1k", "max", 0.5)
    assert bounds["budget"] == ("budget_share", "max", 0.8)
    assert bounds["satisfaction"] == ("satisfaction", "min", 4.0)
    assert bounds["ingest"] == ("ingest_lag", "max", 60.0)
    assert bounds["gpu"] == ("gpu_utilisation", "max", 0.85)


def test_a_bound_may_be_relative_to_the_baseline_and_is_unknown_without_one() -> None:
    drop = Gate(name="d", metric="ndcg@10", direction="min", change=-0.03)
    assert drop.bound(None) is None
    frozen = Baseline(id="b", metric="ndcg@10", value=0.8, n=50, since_us=0, until_us=1)
    assert drop.bound(frozen) == pytest.approx(0.776)


def test_what_is_not_a_number_is_beyond_any_bound() -> None:
    assert PLAIN.beyond(float("nan"), 0.01)
    assert not PLAIN.beyond(0.01, 0.01) and PLAIN.beyond(0.0101, 0.01)
    assert PLAIN.close(0.0095, 0.01) and not PLAIN.close(0.0089, 0.01)


def test_the_settings_know_the_same_metrics() -> None:
    assert set(RECORDED_METRICS) == set(_BY_NAME)
    assert all(name in RECORDED_METRICS for name in METRICS)
