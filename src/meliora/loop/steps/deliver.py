"""Putting a candidate in service, and taking it out again: each effect once however often it is tried, each read back."""

from __future__ import annotations

from typing import Any

from meliora.loop.change import Change
from meliora.loop.house import House
from meliora.loop.kind import Later
from meliora.loop.shelf import EdgeWish
from meliora.loop.states import State
from meliora.loop.steps.outcome import Go, Outcome, later
from meliora.loop.work import Work


def delivering(house: House, change: Change, work: Work) -> Outcome:
    """Deliver, read back, and begin the watch with a share of traffic held back on the baseline."""
    if house.governance.halted():
        return roll_back(house, "the kill switch came on while it was delivered", {})
    kind = house.kind(change)
    version = kind.deliver(change, work)
    if isinstance(version, Later):
        return later(version)
    serving = kind.serving(change)
    read = {"delivered": version, "serving": serving}
    if serving != change.candidate:
        return roll_back(house, f"after the delivery {serving} serves, not {change.candidate}", read)
    plan = kind.watch(change)
    now = work.now_us()
    watched = (
        {"holdback": plan.holdback, "detects": house.judge.detects(change, plan)}
        if plan
        else {"watch": "no traffic tells of it"}
    )
    wish = EdgeWish(
        target=State.WATCHING,
        actor=house.owner,
        evidence=read | watched,
        wait=plan.every_seconds if plan else 0.0,
        progress={"check": 0, "passed": 0, "failed": 0, "row": 0, "errors": 0, "period_us": now, "began_us": now},
    )
    return Go(wish, house.trials.hold_back(change, plan) if plan else None)


def rolling_back(house: House, change: Change, work: Work) -> Outcome:
    """Restore the baseline and read it back; the holdback ends with the edge."""
    kind = house.kind(change)
    version = kind.undo(change, work)
    if isinstance(version, Later):
        return later(version)
    serving = kind.serving(change)
    read = {"restored": version, "serving": serving}
    if serving != change.baseline:
        return failed(house, f"after the rollback {serving} serves, not {change.baseline}", read)
    wish = EdgeWish(
        target=State.ROLLED_BACK, actor=house.owner, evidence=read, reason=change.reason, wait=None, progress={}
    )
    return Go(wish, house.trials.end(change))


def roll_back(house: House, reason: str, evidence: dict[str, Any]) -> Go:
    """Give the edge that begins a rollback."""
    return Go(EdgeWish(target=State.ROLLING_BACK, actor=house.owner, evidence=evidence, reason=reason, progress={}))


def failed(house: House, reason: str, evidence: dict[str, Any]) -> Go:
    """Give the edge that says that the baseline could not be restored: people are told until one acts."""
    wish = EdgeWish(
        target=State.ROLLBACK_FAILED, actor=house.owner, evidence=evidence, reason=reason, wait=None, progress={}
    )
    return Go(wish)
