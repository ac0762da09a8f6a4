"""A proved candidate on live traffic: who is in which arm is written with the edge, and every look is judged on all that is mature.

A trial ends for it (deliver), against it (stop: all traffic back, read back, rejected), or without a word (pause: nobody in its arm).
"""

from __future__ import annotations

from typing import Any

from meliora.loop.change import Change
from meliora.loop.house import House
from meliora.loop.kind import SHADOW, TrialPlan
from meliora.loop.shelf import EdgeWish
from meliora.loop.states import State
from meliora.loop.steps.outcome import Go, Outcome, Wait, pause, reject
from meliora.loop.steps.permit import Permit, Refusal, permit
from meliora.loop.work import Work


def proved(house: House, change: Change, work: Work) -> Outcome:
    """Begin the trial, or deliver at once where it cannot be split by traffic and governance asks for no trial."""
    plan = house.kind(change).trial(change) if house.rules.ab_testing else None
    if plan is None:
        return deliver(house, change, work, {"proved": True, "trial_won": False, "trial_needed": False}, None)
    answer = permit(house, "try", change, {"proved": True})
    if isinstance(answer, Wait):
        return answer
    if isinstance(answer, Refusal):
        return reject(house, answer.reason, answer.evidence, answer.policy)
    stage, begin = (SHADOW, house.trials.shadow) if plan.shadow else (0, house.trials.begin)
    wish = EdgeWish(
        target=State.TRYING,
        actor=house.owner,
        evidence=answer.evidence | {"stage": stage, "share": plan.share(stage)},
        policy=answer.policy,
        wait=house.rules.look_seconds,
        progress={"stage": stage, "epoch": 0, "stage_began_us": work.now_us(), "began_us": work.now_us()},
    )
    return Go(wish, begin(change, plan))


def trying(house: House, change: Change, work: Work) -> Outcome:
    """Look at the arms: stop for harm, go on to the next stage, deliver what has won, pause what cannot be told.

    Out of the shadow leads only a win: nobody is to be shown what might be worse.
    """
    plan = _plan(house, change)
    stage = change.progress.get("stage", 0)
    shadow = stage == SHADOW
    verdict = house.judge.shadow(change, plan) if shadow else house.judge.trial(change, plan)
    evidence = {"trial": verdict.evidence | {"outcome": verdict.outcome, "sentence": verdict.sentence}}
    if verdict.outcome == "worse":
        return stop(house, change, verdict.sentence, evidence)
    if verdict.outcome == "mismatch":
        return hold(house, change, f"inconclusive: {verdict.sentence}", evidence)
    now = work.now_us()
    age, in_stage = _since(change, "began_us", now), _since(change, "stage_began_us", now)
    last = not plan.live if shadow else stage >= len(plan.stages) - 1
    filled = in_stage >= plan.stage_seconds and verdict.stage_units >= plan.stage_units
    if not last and filled and (not shadow or verdict.outcome == "better"):
        return _ramp(house, change, plan, evidence, now)
    enough = min(verdict.candidate_units, verdict.baseline_units) >= plan.minimum_units and age >= plan.minimum_seconds
    if last and enough and verdict.outcome == "better":
        return deliver(house, change, work, {"proved": True, "trial_won": True}, evidence)
    if age >= plan.maximum_seconds:
        return hold(house, change, f"inconclusive after {round(age)} s: {verdict.sentence}", evidence)
    looks = [*change.progress.get("looks", []), verdict.information] if verdict.information is not None else []
    anchored = {name: min(change.progress.get(name, now), now) for name in ("began_us", "stage_began_us")}
    return Wait(house.rules.look_seconds, verdict.sentence, {"looked": verdict.sentence, "looks": looks, **anchored})


def stopping(house: House, change: Change, work: Work) -> Outcome:
    """See to it that nobody is in the candidate's arm any more, then reject it."""
    if not house.trials.ended(change):
        return Wait(0.0, change.reason)
    return reject(house, change.reason or "its trial was stopped", {"arms": "ended, as read back"})


def deliver(
    house: House, change: Change, work: Work, facts: dict[str, Any], evidence: dict[str, Any] | None
) -> Outcome:
    """Rehearse the rollback, ask, and go on to the delivery; a running trial goes on until the answer is there."""
    rehearsed = house.kind(change).rehearse(change, work)
    answer = permit(house, "deliver", change, {**facts, "rehearsed": True})
    in_trial = evidence is not None
    if isinstance(answer, Wait):
        return answer
    if isinstance(answer, Refusal):
        said = (evidence or {}) | answer.evidence
        if in_trial:
            return stop(house, change, answer.reason, said, answer.policy)
        return reject(house, answer.reason, said, answer.policy)
    return Go(
        _delivering(house, answer, (evidence or {}) | {"rehearsal": rehearsed}),
        house.trials.end(change) if in_trial else None,
    )


def stop(house: House, change: Change, reason: str, evidence: dict[str, Any], policy: str | None = None) -> Go:
    """Send all traffic back to the baseline: the arms end with the edge, and `stopping` sees to it."""
    wish = EdgeWish(target=State.STOPPING, actor=house.owner, evidence=evidence, policy=policy, reason=reason)
    return Go(wish, house.trials.end(change))


def hold(house: House, change: Change, reason: str, evidence: dict[str, Any]) -> Go:
    """Pause a trial with nobody in the candidate's arm, until a person decides."""
    epoch = change.progress.get("epoch", 0) + 1
    paused = pause(house, reason, evidence, None, change.progress | {"epoch": epoch})
    return Go(paused.wish, house.trials.ramp(change, epoch, 0.0))


def resume_trial(house: House, change: Change) -> Go:
    """Go on with the stage that a trial was paused in, as a new stretch of traffic."""
    plan = _plan(house, change)
    epoch = change.progress.get("epoch", 0) + 1
    share = plan.share(change.progress.get("stage", 0))
    now = house.shelf.now_us()
    progress = change.progress | {"epoch": epoch, "stage_began_us": now, "began_us": now}
    wish = EdgeWish(
        target=State.TRYING,
        actor=house.owner,
        evidence={"resumed": "the pause is over", "share": share},
        wait=house.rules.look_seconds,
        progress=progress,
    )
    return Go(wish, house.trials.ramp(change, epoch, share))


def _ramp(house: House, change: Change, plan: TrialPlan, evidence: dict[str, Any], now: int) -> Go:
    stage, epoch = change.progress.get("stage", 0) + 1, change.progress.get("epoch", 0) + 1
    share = plan.share(stage)
    progress = change.progress | {"stage": stage, "epoch": epoch, "stage_began_us": now}
    also = house.trials.ramp(change, epoch, share)
    if stage == 0:  # out of the shadow: the first stage that anybody is shown
        progress |= {"epoch": 0, "began_us": now}
        also = house.trials.begin(change, plan)
    wish = EdgeWish(
        target=State.TRYING,
        actor=house.owner,
        evidence=evidence | {"stage": stage, "share": share},
        wait=house.rules.look_seconds,
        progress=progress,
    )
    return Go(wish, also)


def _delivering(house: House, answer: Permit, evidence: dict[str, Any]) -> EdgeWish:
    return EdgeWish(
        target=State.DELIVERING,
        actor=house.owner,
        evidence=evidence | answer.evidence,
        policy=answer.policy,
        progress={},
    )


def _plan(house: House, change: Change) -> TrialPlan:
    plan = house.kind(change).trial(change)
    assert plan is not None, "a change that is being tried has a plan"
    return plan


def _since(change: Change, name: str, now: int) -> float:
    """Give the seconds since; a clock that was set back begins anew (and the next wait says so)."""
    return max(0, now - change.progress.get(name, now)) / 1e6
