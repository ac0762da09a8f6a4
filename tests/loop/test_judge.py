"""Verdicts from what the arms have shown: harm first, then the split, then the gain; and each one again from its record alone."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from meliora.loop.arms import Arm, Stretch
from meliora.loop.change import Change, Origin
from meliora.loop.judge import ArmJudge, again
from meliora.loop.kind import Guardrail, TrialPlan, WatchPlan
from meliora.loop.metrics import METRICS, Metric
from meliora.loop.states import State
from meliora.stats.histogram import LogHistogram
from meliora.stats.sums import Sums

PLAN = TrialPlan(
    overlay={},
    primary="reward",
    guardrails=(Guardrail(metric="error_rate", margin=0.05, relative=False),),
    minimum_units=50,
)
WATCH = WatchPlan(
    overlay={}, guardrails=(Guardrail(metric="error_rate", margin=0.1), Guardrail(metric="reward", margin=0.1))
)
NOTHING = Sums(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
CHANGE = Change(
    id="chg_1",
    tenant="default",
    kind="scripted",
    target="t",
    surface="s",
    environment="production",
    origin=Origin("gate", "errors"),
    state=State.TRYING,
)


@dataclass
class ToldArms:
    """Arms as a test tells them."""

    told: list[Stretch]
    count: int = 100
    asked: list[str] = field(default_factory=list)

    def stretches(
        self, tenant: str, change: str, phase: str, metrics: Sequence[Metric], now_us: int
    ) -> Sequence[Stretch]:
        self.asked.append(phase)
        return self.told

    def calls(self, tenant: str, change: str, phase: str, since_us: int) -> int:
        return self.count


def arm(units: int, reward: float = 0.7, errors: float = 0.02, seed: int = 1, calls: int = 2) -> Arm:
    """Give an arm whose units have so many calls each."""
    source = random.Random(seed)
    rewards = [sum(source.random() < reward for _ in range(calls)) for _ in range(units)]
    failed = [sum(source.random() < errors for _ in range(calls)) for _ in range(units)]
    counts = [calls] * units
    latency = LogHistogram()
    for _ in range(units * calls):
        latency.add(source.lognormvariate(6, 0.3))
    sums = {"reward": Sums.of(rewards, counts), "error_rate": Sums.of(failed, counts)} if units else {}
    return Arm(units, units * calls, sums or {"reward": NOTHING, "error_rate": NOTHING}, {"latency_p95": latency})


def judge(*told: Stretch, earlier: Sequence[bool] = (), **more: Any) -> ArmJudge:
    return ArmJudge(ToldArms(list(told), **more), lambda: 0, lambda change: earlier)


def stretch(candidate: Arm, baseline: Arm, share: float = 0.5, number: int = 0) -> Stretch:
    return Stretch(number, share, candidate, baseline)


def kept(evidence: dict[str, Any]) -> dict[str, Any]:
    """Give evidence as it comes back from the store."""
    return msgspec.json.decode(msgspec.json.encode(evidence, order="sorted"))


CASES = {
    "better": stretch(arm(2000, 0.8), arm(2000, 0.65, seed=2)),
    "worse": stretch(arm(2000, 0.5), arm(2000, 0.7, seed=2)),
    "undecided": stretch(arm(120, 0.7), arm(120, 0.7, seed=2)),
    "mismatch": stretch(arm(2400, 0.8), arm(1600, 0.65, seed=2)),
}


@pytest.mark.parametrize("outcome", CASES)
def test_each_verdict_is_come_to_again_from_what_the_record_keeps(outcome: str) -> None:
    found = judge(CASES[outcome]).trial(CHANGE, PLAN)
    assert found.outcome == outcome
    evidence = kept(found.evidence)
    assert json.dumps(evidence, allow_nan=False)
    assert again(evidence)[:2] == (found.outcome, found.sentence)
    assert kept({"figures": again(evidence)[2]})["figures"] == evidence["figures"]
    assert (found.candidate_units, found.baseline_units) == (
        CASES[outcome].candidate.units,
        CASES[outcome].baseline.units,
    )


def test_a_candidate_that_harms_is_worse_even_where_its_split_is_wrong_and_its_gain_is_real() -> None:
    harmful = stretch(arm(2600, 0.9, errors=0.3), arm(1400, 0.6, errors=0.02, seed=2))
    found = judge(harmful).trial(CHANGE, PLAN)
    assert found.outcome == "worse" and found.sentence.startswith("error_rate is worse than its margin allows")


@pytest.mark.parametrize("told", [(), (stretch(arm(0), arm(0)),), (stretch(arm(0), arm(300), share=0.0),)])
def test_without_calls_in_the_arms_nothing_is_said(told: tuple[Stretch, ...]) -> None:
    found = judge(*told).trial(CHANGE, PLAN)
    assert (found.outcome, found.candidate_units) == ("no_data", 0)
    watched = judge(*told).watch(CHANGE, WATCH, 0)
    assert watched.outcome == "no_data"


@pytest.mark.parametrize("empty", ["candidate", "baseline"])
def test_one_empty_arm_never_wins_and_never_loses(empty: str) -> None:
    sides = {"candidate": arm(300), "baseline": arm(300)} | {empty: arm(0)}
    found = judge(stretch(**sides, share=0.01 if empty == "candidate" else 0.99)).trial(CHANGE, PLAN)
    assert found.outcome in ("undecided", "mismatch")
    assert all(one["effect"] is None for one in found.evidence["figures"])
    assert again(kept(found.evidence))[0] == found.outcome
    assert judge(stretch(**sides)).watch(CHANGE, WATCH, 0).outcome == "no_data"


def test_what_was_not_measured_holds_a_promotion_up_and_is_null_in_the_record() -> None:
    """The guardrail's metric has no outcome in either arm: the gain alone does not promote."""
    sides = []
    for reward, seed in ((0.8, 1), (0.6, 2)):
        whole = arm(2000, reward, seed=seed)
        sides.append(Arm(whole.units, whole.calls, {"reward": whole.sums["reward"], "error_rate": NOTHING}))
    found = judge(stretch(*sides)).trial(CHANGE, PLAN)
    assert found.outcome == "undecided" and "error_rate is not known yet" in found.sentence
    assert again(kept(found.evidence))[:2] == (found.outcome, found.sentence)


def test_a_nan_among_the_sums_is_not_known_and_survives_the_record() -> None:
    broken = Sums(300.0, math.nan, math.nan, 600.0, math.nan, 1200.0)
    whole = arm(300)
    sick = Arm(300, 600, {"reward": broken, "error_rate": whole.sums["error_rate"]})
    found = judge(stretch(sick, arm(300, seed=2))).trial(CHANGE, PLAN)
    assert (
        found.outcome == "undecided" and found.evidence["verdict"]["primary"]["stages"][0]["treated"]["total"] is None
    )
    assert again(kept(found.evidence))[0] == "undecided"


def test_a_quantile_with_too_few_outcomes_is_not_known_and_with_enough_it_is() -> None:
    plan = TrialPlan(overlay={}, primary="latency_p95", margin=0.2)
    few = judge(stretch(arm(60), arm(60, seed=2))).trial(CHANGE, plan)
    assert few.outcome == "undecided" and few.evidence["figures"][0]["effect"] is None
    many = judge(stretch(arm(4000), arm(4000, seed=2))).trial(CHANGE, plan)
    assert many.outcome == "better" and abs(many.evidence["figures"][0]["effect"]) < 0.1
    assert again(kept(many.evidence))[0] == "better"


def test_after_many_trials_that_led_nowhere_a_gain_must_be_clearer() -> None:
    """The e-value asked for grows with the number of trials before, and less where those were promoted."""
    gain = stretch(arm(1200, 0.75), arm(1200, 0.68, seed=2))
    first = judge(gain).trial(CHANGE, PLAN)
    assert first.outcome == "better"
    later = judge(gain, earlier=[False] * 200).trial(CHANGE, PLAN)
    assert later.outcome == "undecided" and "over all trials so far an e-value of" in later.sentence
    assert again(kept(later.evidence))[:2] == (later.outcome, later.sentence)
    fewer = again(kept(later.evidence) | {"discovery": {"earlier": [True] * 200, "alpha": 0.1}})
    assert fewer[0] == "better"


def test_what_only_has_to_be_no_worse_passes_also_where_it_is_better() -> None:
    """A candidate that gains must not fare worse than one that loses a little."""
    plan = msgspec.structs.replace(PLAN, margin=0.1)
    gain = judge(stretch(arm(1200, 0.75), arm(1200, 0.68, seed=2)), earlier=[False] * 200).trial(CHANGE, plan)
    loss = judge(stretch(arm(4000, 0.68), arm(4000, 0.69, seed=2)), earlier=[False] * 200).trial(CHANGE, plan)
    assert (gain.outcome, loss.outcome) == ("better", "better")
    assert "reward is not inferior" in gain.sentence and "reward is not inferior" in loss.sentence
    assert again(kept(gain.evidence))[:2] == (gain.outcome, gain.sentence)


def test_stretches_of_one_share_each_count_apart_and_those_with_nobody_in_an_arm_do_not() -> None:
    told = [
        stretch(arm(40, 0.7), arm(3600, 0.7, seed=2), share=0.01),
        stretch(arm(0), arm(500, seed=3), share=0.0, number=1),
        stretch(arm(200, 0.7, seed=4), arm(800, 0.7, seed=5), share=0.2, number=2),
    ]
    found = judge(*told).trial(CHANGE, PLAN)
    assert (found.candidate_units, found.baseline_units, found.stage_units) == (240, 4400, 200)
    assert [split[2] for split in found.evidence["split"]] == [0.01, 0.2]
    held = judge(*told[:2]).trial(CHANGE, PLAN)
    assert held.stage_units == 0, "the present stretch has nobody in the candidate's arm"


def test_a_committed_horizon_remembers_its_looks() -> None:
    plan = msgspec.structs.replace(PLAN, boundary="obf", horizon_units=2000)
    found = judge(CASES["better"]).trial(CHANGE, plan)
    assert found.information == pytest.approx(1.0)
    looked = msgspec.structs.replace(CHANGE, progress={"looks": [0.25, 0.5]})
    assert judge(CASES["better"]).trial(looked, plan).evidence["verdict"]["looks"] == [0.25, 0.5]


def test_a_watch_fails_by_a_guardrail_that_is_shown_to_be_broken_and_by_nothing_else() -> None:
    broken = judge(stretch(arm(1500, errors=0.2), arm(400, errors=0.02, seed=2), share=0.8)).watch(CHANGE, WATCH, 0)
    assert broken.outcome == "fail" and broken.sentence.startswith("error_rate is worse")
    noisy = judge(stretch(arm(60, errors=0.05), arm(15, errors=0.0, seed=2), share=0.8)).watch(CHANGE, WATCH, 0)
    assert noisy.outcome == "pass"
    assert again(kept(broken.evidence))[:2] == ("worse", broken.sentence)
    assert again(kept(noisy.evidence))[0] != "worse"
    assert set(broken.evidence["verdict"]) == {"primary", "guardrails", "rules", "looks"}


def test_every_metric_of_a_trial_can_be_judged() -> None:
    for name, metric in METRICS.items():
        sides = []
        for seed in (1, 2):
            whole = arm(200, seed=seed)
            sums = {name: whole.sums["reward"]} if metric.form != "quantile" else {}
            sides.append(Arm(200, 400, sums, {name: whole.histograms["latency_p95"]} if metric.quantile else {}))
        found = judge(stretch(*sides)).trial(CHANGE, TrialPlan(overlay={}, primary=name, margin=0.9))
        assert again(kept(found.evidence))[0] == found.outcome != "no_data"


def even(units: int, reward: float, errors: int) -> Arm:
    """Give an arm whose units have one call each, with exactly this mean and so many errors."""
    means = {"reward": reward, "error_rate": errors / units}
    of = {name: (float(units), units * mean) for name, mean in means.items()}
    return Arm(units, units, {name: Sums(n, total, total, n, total, n) for name, (n, total) in of.items()})


STRICT = TrialPlan(
    overlay={}, primary="reward", guardrails=(Guardrail(metric="error_rate", margin=0.01, relative=False),)
)


@pytest.mark.parametrize(
    ("errors", "units", "outcome"),
    [((0, 0), 2000, "better"), ((0, 0), 150, "undecided"), ((200, 0), 2000, "worse"), ((3, 2), 2000, "better")],
)
def test_no_error_in_two_thousand_calls_keeps_a_guardrail_and_in_a_few_does_not(
    errors: tuple[int, int], units: int, outcome: str
) -> None:
    """That nothing ever varies is no reason to wait for ever."""
    found = judge(stretch(even(units, 0.9, errors[0]), even(units, 0.6, errors[1]))).trial(CHANGE, STRICT)
    assert found.outcome == outcome
    assert again(kept(found.evidence))[0] == outcome
