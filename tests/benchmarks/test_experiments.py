"""The simulated trials are what they say, and the benchmark refuses where a level is not held."""

import numpy as np
import pytest

from benchmarks.experiments.measure import QUICK, RULES, Crossed, Experiments, Size, crossed, rates
from benchmarks.experiments.streams import Clusters, clustered, ramp, single
from benchmarks.report import Report
from meliora.stats.contrast import contrast
from meliora.stats.sums import Sums
from meliora.stats.trial import Metric, Pair, Reading, decide


def report() -> Report:
    return Report("experiments", 7, echo=lambda _: None)


def test_sums_that_are_kept_call_by_call_are_those_of_the_users():
    rng = np.random.default_rng(1)
    held = Clusters(3, 20)
    treated = rng.random((3, 20)) < 0.5
    calls, hits = np.zeros((3, 20)), np.zeros((3, 20))
    for _ in range(300):
        who, outcome = rng.integers(0, 20, 3).astype(np.int32), (rng.random(3) < 0.5).astype(float)
        held.add(who, treated[held.rows, who], outcome)
        calls[held.rows, who] += 1
        hits[held.rows, who] += outcome
    for trial in range(3):
        mine = treated[trial] & (calls[trial] > 0)
        expected = Sums.of(hits[trial][mine], calls[trial][mine].tolist()).rate_point()
        found = held.stage().treated
        assert np.asarray(found.value)[trial] == pytest.approx(expected.value)
        assert np.asarray(found.variance)[trial] == pytest.approx(expected.variance)


def test_many_trials_at_once_are_promoted_as_one_alone_is():
    looks = list(single(np.random.default_rng(2), 200, 4000, rates(0.7, 0.74), every=4000, rate=True))
    (stage,) = looks[-1].stages
    promoted = np.isfinite(crossed(looks).at["promoted"])
    assert 20 < promoted.sum() < 180
    for trial in range(200):
        n = [int(np.asarray(arm.units)[trial]) for arm in (stage.control, stage.treated)]
        hits = [
            round(float(np.asarray(arm.value)[trial]) * n)
            for arm, n in zip((stage.control, stage.treated), n, strict=True)
        ]
        arms = [Sums.of_rate(float(units), float(share)) for units, share in zip(n, hits, strict=True)]
        verdict = decide(Reading(Metric("success", "rate", "higher"), (Pair(*arms),)), rules=RULES)
        assert (verdict.outcome == "better") == promoted[trial]


def test_users_resemble_themselves():
    *_, last = clustered(np.random.default_rng(3), 50, 200, 100)
    by_user, by_call = (np.asarray(contrast(stages or []).variance).mean() for stages in (last.stages, last.naive))
    assert by_user > 2 * by_call


def test_a_drift_fools_only_the_sums_that_were_thrown_together():
    *_, last = ramp(np.random.default_rng(4), 300, 3000, (0.05, 0.5), lambda at: 0.5 + 0.3 * at, 100)
    assert abs(np.asarray(contrast(last.stages).z()).mean()) < 0.3
    assert np.asarray(contrast(last.naive or []).z()).mean() > 1.5


def test_the_benchmark_fails_where_the_level_is_lost_or_the_control_keeps_it():
    experiments = Experiments(report(), Size(2, 1, 2, 1))
    nothing, everything = np.full(2000, np.inf), np.ones(2000)
    good = {"promoted": nothing, "harmed": nothing, "naive_z": everything}
    experiments._level("held", Crossed(good), {}, "naive_z")
    assert not experiments.failures
    experiments._level("lost", Crossed(good | {"promoted": everything}), {}, "naive_z")
    experiments._level("tame", Crossed(good | {"naive_z": nothing}), {}, "naive_z")
    assert [failure.split()[0] for failure in experiments.failures] == ["lost", "tame:"]


def test_a_bad_canary_is_measured_by_the_units_of_an_arm():
    found = report()
    Experiments(found, Size(100, 10, 100, 100)).canary()
    figure = found.get("canary_median_n")
    assert figure is not None and figure.low is not None and figure.high is not None
    assert 60 < figure.low <= figure.value <= figure.high < 250
    assert QUICK.trials == 2000
