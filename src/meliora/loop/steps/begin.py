"""From an observation to a proof: diagnose, propose, be permitted, prove. Nothing here has an effect on traffic."""

from __future__ import annotations

from typing import Any

import msgspec

from meliora.loop.change import Change
from meliora.loop.house import House
from meliora.loop.kind import Later, Proof
from meliora.loop.shelf import EdgeWish
from meliora.loop.states import State
from meliora.loop.steps.outcome import Go, Outcome, Wait, later, pause, reject
from meliora.loop.steps.permit import Refusal, permit
from meliora.loop.steps.trial import resume_trial
from meliora.loop.work import Work


def observed(house: House, change: Change, work: Work) -> Outcome:
    """Find the cause, unless it came with the change."""
    if change.finding is not None:
        return Go(EdgeWish(target=State.DIAGNOSED, actor=house.owner, evidence={"finding": change.finding}))
    found = house.diagnose(change)
    if found is None:
        return Wait(house.rules.wait_seconds, "there is too little data to find a cause")
    finding, says = found
    wish = EdgeWish(
        target=State.DIAGNOSED,
        actor=house.owner,
        evidence={"finding": finding, "sentence": says.get("sentence")},
        values={"finding": finding},
    )
    return Go(wish)


def diagnosed(house: House, change: Change, work: Work) -> Outcome:
    """Let the kind make a candidate."""
    made = house.kind(change).propose(change, work)
    if made is None:
        return reject(house, f"{change.kind} has nothing to offer for this finding", {})
    if isinstance(made, Later):
        return later(made)
    values = {name: getattr(made, name) for name in ("target", "summary", "payload", "candidate", "baseline")}
    wish = EdgeWish(
        target=State.PROPOSED,
        actor=house.owner,
        evidence={"proposal": msgspec.to_builtins(made)},
        values=values,
        progress={},
    )
    return Go(wish)


def proposed(house: House, change: Change, work: Work) -> Outcome:
    """Ask whether it may be worked on."""
    answer = permit(house, "prove", change, {})
    if isinstance(answer, Wait):
        return answer
    if isinstance(answer, Refusal):
        return reject(house, answer.reason, answer.evidence, answer.policy)
    return Go(
        EdgeWish(target=State.PROVING, actor=house.owner, evidence=answer.evidence, policy=answer.policy, progress={})
    )


def proving(house: House, change: Change, work: Work) -> Outcome:
    """Compare with the frozen baseline offline; only a proof that passed leads on."""
    proof = house.kind(change).prove(change, work)
    if isinstance(proof, Later):
        return later(proof)
    evidence = {"proof": msgspec.to_builtins(proof), "seed": work.seed}
    if proof.baseline != change.baseline:
        reason = f"it was proved against {proof.baseline}, and its frozen baseline is {change.baseline}"
        return reject(house, reason, evidence)
    return _judged(house, change, proof, evidence)


def _judged(house: House, change: Change, proof: Proof, evidence: dict[str, Any]) -> Outcome:
    if proof.verdict == "passed":
        return Go(EdgeWish(target=State.PROVED, actor=house.owner, evidence=evidence, progress={}))
    if proof.verdict == "failed":
        return reject(house, f"not proved: {proof.sentence}", evidence)
    tries = change.progress.get("inconclusive", 0) + 1
    wait = house.rules.inconclusive_seconds if tries <= house.rules.inconclusive_tries else None
    return pause(house, f"inconclusive: {proof.sentence}", evidence, wait, change.progress | {"inconclusive": tries})


def paused(house: House, change: Change, work: Work) -> Outcome:
    """Go back to where it was: the time that the pause was given is over."""
    back = change.paused_from
    if back is None:
        return Wait(None, "paused, and it is not known from where")
    if back is State.TRYING:
        return resume_trial(house, change)
    return Go(EdgeWish(target=back, actor=house.owner, evidence={"resumed": "the pause is over"}))
