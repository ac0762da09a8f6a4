"""A verdict rests on evidence over all gates of a tick; too little to go by is said, and is no pass."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from meliora.loop.gates.gate import Baseline, Gate
from meliora.loop.gates.judge import Opinion, look, settle
from meliora.loop.gates.reading import Cell, NoData, Reading, Span, sampled

NOW = 1_795_219_200_000_000
ERRORS = Gate(name="errors", metric="error_rate", direction="max", threshold=0.01)
P95 = Gate(name="p95", metric="latency_p95", direction="max", threshold=800.0)
LIKED = Gate(name="liked", metric="satisfaction", direction="min", threshold=4.0, minimum=30)
NDCG = Gate(name="ndcg", metric="ndcg@10", direction="min", change=-0.03, minimum=30)


def judged(gate: Gate, reading: Reading | NoData, baseline: Baseline | None = None, since_us: int = 0) -> Opinion:
    (opinion,) = settle([look(gate, reading, baseline, since_us)], 8)
    return opinion


def rates(gate: Gate, hits: int, n: int, **over: Any) -> Reading | NoData:
    span = Span.of(gate, NOW)
    cells = [Cell(at, n, hits) for at in range(span.since_us, span.until_us, span.width_us)]
    return sampled("rate", cells, span)


def valued(gate: Gate, values: list[float], times: int = 1) -> Reading | NoData:
    span = Span.of(gate, NOW)
    cells = [
        Cell(at, len(values) * times, values=np.asarray(values), counts=np.full(len(values), float(times)))
        for at in range(span.since_us, span.until_us, span.width_us)
    ]
    metric = gate.of()
    return sampled(metric.form, cells, span, metric.quantile)


def test_a_rate_far_beyond_fails_one_within_passes_and_one_close_is_near() -> None:
    assert judged(ERRORS, rates(ERRORS, 10, 100)).verdict == "fail"
    assert judged(ERRORS, rates(ERRORS, 0, 100)).verdict == "pass"
    assert judged(ERRORS, rates(ERRORS, 19, 2000)).verdict == "near"


def test_a_value_beyond_the_bound_without_evidence_is_near_and_says_why() -> None:
    span = Span.of(ERRORS, NOW)
    few = sampled("rate", [Cell(span.until_us - span.width_us, 120, 2)], span)
    found = judged(ERRORS, few)
    assert (found.verdict, found.within) == ("near", False) and "chance" in found.reason


def test_too_few_requests_are_no_data_however_bad_they_look() -> None:
    span = Span.of(ERRORS, NOW)
    found = judged(ERRORS, sampled("rate", [Cell(span.until_us - span.width_us, 99, 99)], span))
    assert found.verdict == "no_data" and "99 requests" in found.reason


def test_evidence_from_before_it_passed_again_does_not_count() -> None:
    span = Span.of(ERRORS, NOW)
    old = [Cell(span.since_us + i * span.width_us, 500, 250) for i in range(12)]
    now = [Cell(span.until_us - (12 - i) * span.width_us, 100, 1 + (i == 0)) for i in range(12)]
    reading = sampled("rate", old + now, span)
    assert judged(ERRORS, reading).verdict == "fail"
    assert judged(ERRORS, reading, since_us=span.window_us).verdict == "near"


def test_a_quantile_is_judged_by_the_share_of_calls_beyond_it() -> None:
    assert judged(P95, valued(P95, [100.0] * 90 + [900.0] * 10)).verdict == "fail"
    assert judged(P95, valued(P95, [100.0] * 97 + [900.0] * 3)).verdict == "pass"
    reading = valued(P95, [100.0] * 90 + [900.0] * 10)
    assert isinstance(reading, Reading) and reading.value == pytest.approx(900, rel=0.01)


def test_a_mean_that_must_not_fall_is_judged_by_its_distance_from_the_ceiling() -> None:
    assert judged(LIKED, valued(LIKED, [5.0, 1.0, 1.0])).verdict == "fail"
    assert judged(LIKED, valued(LIKED, [5.0, 5.0, 4.0])).verdict == "pass"


def test_one_enormous_value_does_not_fail_a_mean() -> None:
    mean = Gate(name="m", metric="latency_mean", direction="max", threshold=500.0)
    span = Span.of(mean, NOW)
    cells = [
        Cell(at, 20, values=np.array([100.0]), counts=np.array([20.0]))
        for at in range(span.since_us, span.until_us, span.width_us)
    ]
    cells[-1] = Cell(cells[-1].start_us, 1, values=np.array([900_000.0]), counts=np.array([1.0]))
    found = judged(mean, sampled("mean", cells, span))
    assert found.verdict == "near" and not found.within


def paired(values: dict[str, float]) -> Reading:
    return Reading("paired", float(np.mean(list(values.values()))), len(values), NOW, per_query=values)


def frozen(values: dict[str, float]) -> Baseline:
    mean = float(np.mean(list(values.values())))
    return Baseline(id="base_1", metric="ndcg@10", value=mean, n=len(values), since_us=0, until_us=1, per_query=values)


def queries(count: int, shift: float, seed: int = 7) -> tuple[dict[str, float], dict[str, float]]:
    rng = np.random.default_rng(seed)
    old = rng.beta(4, 1.2, count)
    new = np.clip(old + shift + rng.normal(0, 0.05, count), 0, 1)
    return dict(zip(map(str, range(count)), old, strict=True)), dict(zip(map(str, range(count)), new, strict=True))


def test_quality_is_compared_query_by_query_with_the_frozen_baseline() -> None:
    old, same = queries(200, 0.0)
    _, worse = queries(200, -0.06)
    assert judged(NDCG, paired(same), frozen(old)).verdict in ("pass", "near")
    assert judged(NDCG, paired(worse), frozen(old)).verdict == "fail"


def test_a_relative_gate_without_a_baseline_or_with_other_queries_has_no_data() -> None:
    old, new = queries(100, -0.5)
    assert "freeze" in judged(NDCG, paired(new)).reason
    strangers = {f"x{name}": value for name, value in new.items()}
    found = judged(NDCG, paired(strangers), frozen(old))
    assert found.verdict == "no_data" and "0 of the 100" in found.reason


def test_a_baseline_without_a_single_error_leaves_nothing_to_be_relative_to() -> None:
    drift = Gate(name="g", metric="error_rate", direction="max", change=1.0)
    zero = Baseline(id="b", metric="error_rate", value=0.0, n=1000, since_us=0, until_us=1)
    found = judged(drift, rates(drift, 1, 100), zero)
    assert found.verdict == "no_data" and "freeze another" in found.reason


def test_a_mean_without_a_ceiling_that_falls_is_judged_by_students_test() -> None:
    least = Gate(name="g", metric="latency_mean", direction="min", threshold=100.0)
    assert judged(least, valued(least, [50.0, 90.0, 120.0], 10)).verdict == "fail"
    assert judged(least, valued(least, [99.0, 90.0, 110.0, 100.9], 3)).verdict == "near"


def test_no_data_stays_no_data_and_a_gauge_is_what_it_is() -> None:
    assert judged(ERRORS, NoData("quiet")) == Opinion("no_data", reason="quiet")
    gauge = Gate(name="lag", metric="ingest_lag", direction="max", threshold=60.0, minimum=1)
    assert judged(gauge, Reading("gauge", 61.0, 1, NOW)).verdict == "fail"
    assert judged(gauge, Reading("gauge", 59.0, 1, NOW)).verdict == "near"
    assert judged(gauge, Reading("gauge", 5.0, 1, NOW)).verdict == "pass"


def test_the_more_gates_there_are_the_more_it_takes_unless_several_fail_together() -> None:
    weak = Opinion("fail", bound=1.0, evidence=10.0)
    assert settle([weak], 2)[0].verdict == "fail"
    assert settle([weak], 8)[0].verdict == "near"
    assert {one.verdict for one in settle([weak] * 8, 8)} == {"fail"}
    assert settle([], 8) == []


def test_nothing_that_is_not_finite_is_ever_read_as_a_value() -> None:
    span = Span.of(P95, NOW)
    assert isinstance(sampled("mean", [], span), NoData)
    empty = sampled("rate", [Cell(span.since_us, 100, 5)], span)
    assert isinstance(empty, NoData), "all of it lies before the window"


def test_the_part_of_the_time_that_is_not_over_is_left_out() -> None:
    span = Span.of(ERRORS, NOW + 299_000_000)
    assert span.until_us == NOW and span.window_us == NOW - 3_600_000_000
    small = Span.of(msgspec.structs.replace(ERRORS, window_seconds=60.0), NOW)
    assert small.until_us - small.window_us == 300_000_000
