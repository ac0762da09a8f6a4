"""A delivered change under watch: so many checks against a holdback, limits on failures, and a lawful wait where traffic is thin."""

from __future__ import annotations

from typing import Any

import msgspec

from meliora.loop.change import Change
from meliora.loop.house import House
from meliora.loop.kind import WatchPlan
from meliora.loop.shelf import EdgeWish
from meliora.loop.states import State
from meliora.loop.steps.deliver import roll_back
from meliora.loop.steps.outcome import Go, Outcome, Wait, pause
from meliora.loop.steps.permit import Refusal, permit
from meliora.loop.work import Work

PATIENCE = 72
"""Periods without enough calls, after which the watch pauses and people are told: half a day of ten minutes."""


def watching(house: House, change: Change, work: Work) -> Outcome:
    """Make one check: count it, roll back at the limits, keep the change after the last."""
    plan = house.kind(change).watch(change)
    if plan is None:
        return _keep(house, change, {"watch": "no traffic tells of it"})
    progress = change.progress
    found = house.judge.watch(change, plan, min(progress.get("period_us", 0), work.now_us()))
    wanted = house.undone(change)
    if wanted is not None and found.outcome != "fail":
        found = msgspec.structs.replace(found, outcome="fail", sentence=wanted, evidence={})
    check = {"outcome": found.outcome, "sentence": found.sentence, "calls": found.calls, **found.evidence}
    if found.outcome != "fail" and found.calls < plan.minimum_calls:
        return _thin(house, change, plan, found.calls, check)
    failed = found.outcome == "fail"
    counted: dict[str, Any] = progress | {
        "check": progress.get("check", 0) + 1,
        "passed": progress.get("passed", 0) + (not failed),
        "failed": progress.get("failed", 0) + failed,
        "row": progress.get("row", 0) + 1 if failed else 0,
        "thin": 0,
        "period_us": work.now_us(),
    }
    evidence = {"check": check, "counts": {name: counted[name] for name in ("check", "passed", "failed", "row")}}
    if counted["row"] >= plan.consecutive_failures or counted["failed"] >= plan.total_failures:
        if house.rules.roll_back_on_degrade:
            return roll_back(house, found.sentence, evidence)
        return pause(house, f"degraded, and rolling back is left to people: {found.sentence}", evidence, None, counted)
    if counted["passed"] >= plan.checks:
        return _keep(house, change, evidence)
    wish = EdgeWish(
        target=State.WATCHING,
        actor=house.owner,
        evidence=evidence,
        wait=plan.every_seconds / 2 if failed else plan.every_seconds,
        progress=counted,
    )
    return Go(wish)


def _thin(house: House, change: Change, plan: WatchPlan, calls: int, check: dict[str, Any]) -> Outcome:
    """Wait for more calls; a long silence pauses it, since no data is no health."""
    thin = change.progress.get("thin", 0) + 1
    if thin > PATIENCE:
        reason = f"no data: {calls} calls where a check takes {plan.minimum_calls}"
        return pause(house, reason, {"check": check}, plan.every_seconds * PATIENCE, change.progress | {"thin": 0})
    return Wait(plan.every_seconds / 2, f"{calls} of the {plan.minimum_calls} calls that a check takes", {"thin": thin})


def _keep(house: House, change: Change, evidence: dict[str, Any]) -> Outcome:
    answer = permit(house, "keep", change, {"proved": True, "rehearsed": True})
    if isinstance(answer, Wait):
        return answer
    if isinstance(answer, Refusal):
        return roll_back(house, answer.reason, evidence | answer.evidence)
    wish = EdgeWish(
        target=State.KEPT,
        actor=house.owner,
        evidence=evidence | answer.evidence,
        policy=answer.policy,
        wait=None,
        progress=change.progress,
    )
    return Go(wish, house.trials.end(change))
