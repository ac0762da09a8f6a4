"""Verdicts: better only with every guardrail held, worse as soon as harm is shown, and unknown is never a pass."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meliora.stats.histogram import LogHistogram
from meliora.stats.quantiles import quantile_point
from meliora.stats.sums import Point, Sums
from meliora.stats.trial import (
    Metric,
    Pair,
    Paired,
    Reading,
    Rules,
    decide,
    detectable,
    reading_from_json,
    reading_to_json,
)

QUALITY = Metric("success", "rate", "higher")
COST = Metric("cost", "mean", "lower", margin=0.05, relative=True)


def rates(control: tuple[float, float], treated: tuple[float, float], metric: Metric = QUALITY) -> Reading:
    return Reading(metric, (Pair(Sums.of_rate(*control), Sums.of_rate(*treated)),))


def costs(before: float, after: float, n: float = 4000.0) -> Reading:
    arms = [Sums.of_mean(n, mean * n, 2 * mean * mean * n) for mean in (before, after)]
    return Reading(COST, (Pair(*arms),))


def test_a_better_candidate_with_its_guardrails_held_is_better():
    found = decide(rates((4000, 2800), (4000, 3040)), [costs(1.0, 0.9)])
    assert found.outcome == "better"
    assert found.because == ("success",)
    main, cost = found.findings
    assert main.effect == pytest.approx(0.06)
    assert main.low is not None and main.high is not None and 0 < main.low < 0.06 < main.high
    assert main.e_better >= 40
    assert main.p_better <= 0.025
    assert cost.effect == pytest.approx(-0.1)
    assert cost.not_inferior


def test_a_guardrail_that_is_not_shown_to_hold_keeps_it_open():
    better = rates((4000, 2800), (4000, 3040))
    assert decide(better, [costs(1.0, 1.04)]).outcome == "undecided"
    assert decide(better, [costs(1.0, 1.04)]).because == ("cost",)
    assert decide(better, [Reading(COST, ())]).outcome == "undecided"
    assert decide(better, [costs(1.0, math.nan)]).outcome == "undecided"


def test_harm_of_any_metric_is_worse_whatever_the_rest_says():
    found = decide(rates((4000, 2800), (4000, 3040)), [costs(1.0, 1.3)])
    assert found.outcome == "worse"
    assert found.because == ("cost",)
    assert decide(rates((300, 210), (300, 150))).outcome == "worse"
    assert decide(rates((300, 30), (300, 90), Metric("errors", "rate", "lower"))).outcome == "worse"


def test_what_a_margin_allows_is_no_harm():
    allowed = Metric("success", "rate", "higher", margin=0.1)
    reading = rates((4000, 2800), (4000, 2600), allowed)
    found = decide(reading)
    assert found.outcome == "not_inferior"
    assert not found.findings[0].harmed
    assert decide(rates((4000, 2800), (4000, 2600))).outcome == "worse"


def test_a_guardrail_without_a_margin_stops_harm_and_promises_nothing():
    errors = Metric("errors", "rate", "lower")
    better = rates((4000, 2800), (4000, 3040))
    assert decide(better, [rates((4000, 40), (4000, 44), errors)]).outcome == "better"
    assert decide(better, [rates((4000, 40), (4000, 240), errors)]).outcome == "worse"


def test_a_guardrail_that_was_not_looked_at_lets_nothing_through():
    errors = Metric("errors", "rate", "lower")
    better = rates((4000, 2800), (4000, 3040))
    for unseen in (Reading(errors, ()), rates((20, 0), (20, 0), errors)):
        assert decide(better, [unseen]).outcome == "undecided"
        assert decide(better, [unseen]).because == ("errors",)


def test_no_failure_in_either_arm_keeps_a_margin():
    errors = Metric("errors", "rate", "lower", margin=0.01)
    calls = [8] * 1000
    arms = Pair(Sums.of([0.0] * 1000, calls), Sums.of([0.0] * 1000, calls))
    assert decide(rates((4000, 2800), (4000, 3040)), [Reading(errors, (arms,))]).outcome == "better"


def test_too_few_units_decide_nothing():
    found = decide(rates((40, 0), (40, 40)))
    assert found.outcome == "undecided"
    assert found.findings[0].low is None
    assert found.findings[0].e_better == 0
    assert decide(Reading(QUALITY, ())).findings[0].effect is None


def test_a_quantile_is_judged_as_a_point_and_a_ratio_by_unit():
    rng = np.random.default_rng(1)
    points = []
    for scale in (1.0, 1.5):
        histogram = LogHistogram()
        for value in scale * rng.lognormal(0, 0.5, 4000):
            histogram.add(float(value))
        points.append(quantile_point(histogram, 0.95, 4000))
    latency = Reading(Metric("p95", "quantile", "lower", margin=0.1, relative=True), (Pair(points[0], points[1]),))
    assert decide(latency).outcome == "worse"
    with pytest.raises(ValueError, match="comes as a point"):
        decide(Reading(latency.metric, rates((1000, 1), (1000, 1)).stages))
    for arm in (Sums.of([1.0, 5.0], [2, 3]), Sums.of_rate(10.0, math.nan)):
        with pytest.raises(ValueError, match="outcomes of 0 or 1"):
            decide(Reading(QUALITY, (Pair(arm, arm),)))
    calls = rng.integers(1, 41, (2, 400))
    arms = [Sums.of(rng.binomial(calls[arm], rng.beta(2.8, 1.2, 400)), calls[arm]) for arm in (0, 1)]
    assert decide(Reading(Metric("success", "rate", "higher"), (Pair(*arms),))).outcome == "undecided"


def test_with_a_committed_horizon_looks_count_and_those_between_say_nothing():
    rules = Rules(boundary="obf", target=4000)
    early = decide(rates((400, 280), (400, 310)), rules=rules)
    assert early.outcome == "undecided"
    assert early.information == pytest.approx(0.1)
    reading = rates((2000, 1400), (2000, 1520))
    half = decide(reading, rules=rules, looks=[0.1, 0.2, 0.3])
    assert half.outcome == "better"
    assert half.findings[0].e_better == pytest.approx(0.5 / math.sqrt(half.findings[0].p_better))
    again = decide(reading, rules=rules, looks=[0.1, 0.2, 0.3, 0.495])
    assert again.outcome == "undecided"
    assert again.findings[0].low is None
    full = rates((4400, 3080), (4400, 3212))
    assert decide(full, rules=rules, looks=[0.5]).outcome == "better"
    assert decide(full, rules=rules, looks=[0.5, 1.0]).outcome == "undecided"


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500), st.floats(0, 1), st.floats(0, 1)), max_size=4))
def test_an_audit_comes_to_the_same_from_what_was_stored(found):
    stages = tuple(
        Pair(Sums.of_rate(float(a), float(int(a * p))), Sums.of_rate(float(b), float(int(b * q))))
        for a, b, p, q in found
    )
    reading = Reading(QUALITY, stages)
    stored = reading_from_json(json.loads(json.dumps(reading_to_json(reading))))
    assert stored == reading
    verdict = decide(reading)
    assert decide(stored) == verdict
    assert not {"nan", "inf"} & set(json.dumps(verdict.information).lower().split())
    for finding in verdict.findings:
        assert all(value is None or math.isfinite(value) for value in (finding.effect, finding.low, finding.high))


def test_one_user_with_most_of_the_calls_decides_nothing():
    calls = [20000] + [2] * 300
    arms = [Sums.of([float(loud), *[1.0] * 300], calls) for loud in (14000, 19000)]
    found = decide(Reading(Metric("success", "ratio", "higher"), (Pair(*arms),)))
    assert found.outcome == "undecided"
    assert found.findings[0].low is None


def test_a_stored_point_is_read_back_as_one():
    reading = Reading(Metric("p95", "quantile", "lower"), (Pair(Point(500.0, 1.0, 0.01), Point(500.0, 1.1, 0.01)),))
    assert reading_from_json(reading_to_json(reading)) == reading


def test_what_no_data_could_settle_is_refused():
    for margin in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="margin of cost"):
            Metric("cost", "mean", "lower", margin=margin)
    with pytest.raises(ValueError, match="stands twice"):
        decide(costs(1.0, 1.0), [costs(1.0, 1.0)])


ERRORS = Metric("errors", "rate", "lower", margin=0.01)
HARM = Rules().harm(4)


def smallest(calls: float, metric: Metric = ERRORS, seen: Sums | None = None, chance: float = 0.8) -> float | None:
    arms = (calls * 0.2, calls * 0.8)
    return detectable(metric, seen or Sums.of_rate(700.0, 21.0), (700.0, *arms), arms, HARM, chance)


def test_the_smallest_harm_that_is_found_is_found_as_often_as_it_says():
    rng = np.random.default_rng(3)
    harm = smallest(4000)
    assert harm is not None
    control, treated = rng.binomial(800, 0.03, 400), rng.binomial(3200, 0.03 + harm, 400)
    found = [
        decide(
            rates((800, float(a)), (3200, float(b)), ERRORS),
            [Reading(Metric(name, "rate", "lower"), ()) for name in "abc"],
        ).outcome
        == "worse"
        for a, b in zip(control, treated, strict=True)
    ]
    assert 0.7 < np.mean(found) < 0.9


def test_more_calls_find_less_harm_and_none_find_less_than_the_margin():
    few, many, certain = smallest(1500), smallest(60_000), smallest(60_000, chance=0.99)
    assert few is not None and many is not None and certain is not None
    assert few > 2 * many
    assert 0.01 < many < certain
    ratio = smallest(
        4000, Metric("cost", "mean", "lower", margin=0.1, relative=True), Sums.of_mean(700.0, 700.0, 1400.0)
    )
    assert ratio is not None and 0.1 < ratio < 1


def test_what_cannot_be_found_has_no_size():
    assert smallest(200) is None, "fewer units than harm is looked for in"
    assert smallest(0) is None
    assert smallest(4000, seen=Sums.of_rate(0.0, 0.0)) is None
    wild = Metric("cost", "mean", "lower", margin=0.1, relative=True)
    assert smallest(1500, wild, Sums.of_mean(700.0, 700.0, 700.0 * 700)) is None
    assert smallest(4000, Metric("cost", "mean", "lower"), Sums.of_mean(700.0, 700.0, 700.0)) is None, "nothing varies"


def pairs(differences: Sums, metric: Metric, *, bounded: bool = False) -> Reading:
    return Reading(metric, Paired(differences, bounded=bounded))


REWARD = Metric("reward", "ratio", "higher")
SAVED = Metric("cost", "ratio", "lower", margin=0.1, relative=True)


def test_pairs_tell_a_difference_that_two_arms_of_as_many_units_would_not():
    draw = np.random.default_rng(2)
    base = draw.normal(0.5, 0.3, 400)
    candidate = base + draw.normal(0.02, 0.05, 400)
    apart = Reading(REWARD, (Pair(Sums.of(base), Sums.of(candidate)),))
    assert decide(apart).outcome == "undecided"
    found = decide(pairs(Sums.of(candidate - base), REWARD))
    assert found.outcome == "better"
    assert found.findings[0].effect == pytest.approx(float((candidate - base).mean()))
    assert found.findings[0].units == 400


def test_a_relative_difference_of_pairs_is_a_share_of_what_the_control_had():
    draw = np.random.default_rng(3)
    base = draw.uniform(50, 150, 2000)
    found = decide(pairs(Sums.of(-0.3 * base + draw.normal(0, 5, 2000), base), SAVED)).findings[0]
    assert found.effect == pytest.approx(-0.3, abs=0.01)
    assert found.better and found.not_inferior
    worse = decide(pairs(Sums.of(0.3 * base + draw.normal(0, 5, 2000), base), SAVED))
    assert worse.outcome == "worse"


@pytest.mark.parametrize("units", [1, 30, 99])
def test_few_pairs_that_agree_prove_nothing(units):
    metric = Metric("reward", "ratio", "higher", margin=0.02)
    found = decide(pairs(Sums.of(np.zeros(units)), metric, bounded=True))
    assert found.outcome == "undecided"


def test_many_pairs_that_all_agree_are_no_worse_but_not_beyond_doubt():
    metric = Metric("error_rate", "ratio", "lower", margin=0.01)
    found = decide(pairs(Sums.of(np.zeros(3000)), metric, bounded=True)).findings[0]
    assert found.not_inferior and not found.better
    assert found.low is not None and found.high is not None and found.low < 0 < found.high
    unbounded = decide(pairs(Sums.of(np.zeros(3000)), metric)).findings[0]
    assert unbounded.low is None and not unbounded.not_inferior, "where nothing varies nothing is known"


@pytest.mark.parametrize("broken", [Sums(0.0, 0.0, 0.0, 0.0, 0.0, 0.0), Sums.of_mean(5000.0, math.nan, 1.0)])
def test_pairs_of_which_nothing_is_known_decide_nothing(broken):
    assert decide(pairs(broken, REWARD, bounded=True)).outcome == "undecided"


def test_a_reading_of_pairs_comes_back_equal_from_json():
    before = pairs(Sums.of([0.1, -0.2, 0.0], [1, 2, 1]), SAVED)
    assert reading_from_json(json.loads(json.dumps(reading_to_json(before)))) == before


def test_pairs_without_a_difference_seldom_win_however_often_they_are_looked_at():
    draw = np.random.default_rng(7)
    won = 0
    for _ in range(400):
        outcomes = draw.choice((-1.0, 0.0, 1.0), p=(0.1, 0.8, 0.1), size=3000)
        looks = (100, 150, 250, 400, 700, 1200, 2000, 3000)
        won += any(decide(pairs(Sums.of(outcomes[:n]), REWARD, bounded=True)).outcome == "better" for n in looks)
    assert won / 400 <= 0.025 + 2.6 * math.sqrt(0.025 * 0.975 / 400)


def test_what_comes_to_both_arms_at_once_in_the_middle_of_a_stage_makes_neither_better_nor_worse():
    """Documents come, or an index is built again: more is found from then on, by everybody. Looked at again and again."""
    rng, trials, looks = np.random.default_rng(8), 200, 16
    wrong = 0
    for _ in range(trials):
        treated = rng.random(900) < 0.2
        had, satisfied = np.zeros(900), np.zeros(900)
        for look in range(looks):
            searches = rng.poisson(rng.choice([0.1, 0.6, 2.0], 900))
            had += searches
            satisfied += rng.binomial(searches, 0.3 if look < looks / 2 else 0.6)
            arms = [Sums.of(satisfied[arm & (had > 0)], had[arm & (had > 0)]) for arm in (~treated, treated)]
            outcome = decide(Reading(QUALITY, (Pair(*arms),))).outcome
            if outcome != "undecided":
                wrong += 1
                break
    assert wrong <= 0.05 * trials
