"""What the arms have shown becomes a verdict: also where nothing ever fails, and never of nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from meliora.loop.arms import Arm, Stretch
from meliora.loop.change import Change, Origin
from meliora.loop.judge import ArmJudge
from meliora.loop.kind import Guardrail, TrialPlan, WatchPlan
from meliora.loop.metrics import Metric
from meliora.loop.states import State
from meliora.stats.sums import Sums

CHANGE = Change(
    id="chg_1",
    tenant="default",
    kind="scripted",
    target="model:birch",
    surface="gateway",
    environment="production",
    origin=Origin("person", "ann"),
    state=State.TRYING,
)
PLAN = TrialPlan(
    overlay={}, primary="reward", guardrails=(Guardrail(metric="error_rate", margin=0.01, relative=False),)
)


@dataclass
class Shown:
    """Arms as they are told: one stretch at half the traffic."""

    reward: tuple[float, float]
    """Mean of the candidate's arm, and of the baseline's."""
    errors: tuple[int, int]
    units: int = 2000

    def stretches(
        self, tenant: str, change: str, phase: str, metrics: Sequence[Metric], now_us: int
    ) -> Sequence[Stretch]:
        candidate, baseline = (
            self._arm(reward, errors) for reward, errors in zip(self.reward, self.errors, strict=True)
        )
        return [Stretch(0, 0.5, candidate, baseline)]

    def calls(self, tenant: str, change: str, phase: str, since_us: int) -> int:
        return 2 * self.units

    def _arm(self, reward: float, errors: int) -> Arm:
        return Arm(
            self.units,
            self.units,
            {"reward": one_each(self.units, reward), "error_rate": one_each(self.units, errors / self.units)},
        )


def one_each(units: int, mean: float) -> Sums:
    """Give the sums of one outcome of 0 or 1 a unit."""
    total = units * mean
    return Sums(float(units), total, total, float(units), total, float(units))


def verdict(shown: Shown) -> str:
    return ArmJudge(shown, lambda: 0).trial(CHANGE, PLAN).outcome


def test_what_is_better_wins_where_no_call_of_either_arm_failed() -> None:
    """A guardrail on errors is kept by two thousand calls without one; that nothing ever varies is no reason to wait for ever."""
    assert verdict(Shown(reward=(0.9, 0.6), errors=(0, 0))) == "better"


def test_few_calls_without_an_error_do_not_show_that_there_are_none() -> None:
    assert verdict(Shown(reward=(0.9, 0.6), errors=(0, 0), units=150)) == "undecided"


def test_errors_stop_what_is_better() -> None:
    assert verdict(Shown(reward=(0.9, 0.6), errors=(200, 0))) == "worse"


def test_a_verdict_on_rates_is_taken_again_from_its_evidence() -> None:
    from meliora.loop.judge import again

    found = ArmJudge(Shown(reward=(0.9, 0.6), errors=(3, 2)), lambda: 0).trial(CHANGE, PLAN)
    assert again(found.evidence)[0] == found.outcome


def test_a_check_that_finds_no_harm_says_what_it_saw_and_claims_no_more() -> None:
    plan = WatchPlan(
        overlay={},
        guardrails=(
            Guardrail(metric="error_rate", margin=0.01, relative=False),
            Guardrail(metric="reward", margin=0.02, relative=False),
        ),
    )
    found = ArmJudge(Shown(reward=(0.61, 0.6), errors=(2, 2)), lambda: 0).watch(CHANGE, plan, 0)
    assert found.outcome == "pass"
    assert found.sentence == "nothing is shown to be worse than its margin allows: error_rate +0; reward +0.01"
    assert ArmJudge(Shown(reward=(0.3, 0.6), errors=(2, 2)), lambda: 0).watch(CHANGE, plan, 0).outcome == "fail"
