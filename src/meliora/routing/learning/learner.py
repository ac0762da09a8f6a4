"""The learner's job: new rewards move each tenant's policy, and what was learned is published as the next snapshot.

A posterior is a pure function of its anchor (the snapshot that a person or a fit put in service) and the rewarded outcomes since,
in the order in which they were first rewarded. So nothing of it has to be kept: a worker that starts anew makes it again, two
workers make the same, and a reward that changed is learned in place of the old one by going through them once more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import structlog

from meliora.errors import MelioraError
from meliora.routing.learning.records import Outcome, OutcomeLog, Snapshot, SnapshotShelf
from meliora.routing.learning.rewards import RewardRule

if TYPE_CHECKING:
    from meliora.routing.learned.policy import Policy
    from meliora.routing.learning.online import OnlineLearner

log = structlog.get_logger(__name__)

BATCH = 500
"""Answers that are rewarded, and outcomes that are learned, before other tasks get their turn."""


@dataclass(slots=True)
class Rewarder:
    """Makes a reward of what is known of an answer, whenever something new is."""

    outcomes: OutcomeLog
    rule: RewardRule

    def step(self) -> bool:
        """Reward what waits; tell whether there is more."""
        waiting = self.outcomes.waiting(BATCH)
        if waiting:
            self.outcomes.settle([self.rule.settle(signals) for signals in waiting])
        return len(waiting) == BATCH


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a tenant's policy may be exchanged, and of how many outcomes it is made."""

    publish_seconds: float = 30.0
    window: int = 10_000
    keep: int = 20


@dataclass(slots=True)
class _Pupil:
    """One tenant's posterior, and how far it has come."""

    anchor: Snapshot
    serving: int
    learner: OnlineLearner
    learned: set[str] = field(default_factory=set)
    """Calls whose reward is in the posterior."""
    changed: int = 0
    """Number of the last change that was looked at."""
    seq: int = 0
    """The last outcome that is in the posterior."""
    skipped: int = 0
    stale: bool = False
    """A reward that is in the posterior has been replaced."""
    fresh: bool = False
    """There is something that the serving snapshot has not."""


class Learner:
    """Moves the policies of all tenants. One thread; any number of processes."""

    def __init__(
        self,
        outcomes: OutcomeLog,
        shelf: SnapshotShelf,
        monotonic: Callable[[], float],
        make: Callable[[Policy], OnlineLearner],
        pace: Pace | None = None,
        frozen: Callable[[str], bool] = lambda _tenant: False,
    ) -> None:
        """`make` gives the moving posterior of a policy; it says how fast that moves and what holds it.

        `frozen` says of which tenants nothing is published now: outcomes are still learned, and come to serve when it ends.
        """
        self._outcomes = outcomes
        self._shelf = shelf
        self._monotonic = monotonic
        self._make = make
        self._pace = pace or Pace()
        self._frozen = frozen
        self._pupils: dict[str, _Pupil] = {}
        self._published: dict[str, float] = {}
        self._refused: dict[str, int] = {}
        """The snapshot of a tenant that does not load, so that it is shouted about once."""

    def step(self) -> bool:
        """Learn what is new for every tenant that a policy serves; tell whether there is more."""
        tenants = self._shelf.tenants()
        for gone in self._pupils.keys() - set(tenants):
            del self._pupils[gone]
        more = False
        for tenant in tenants:
            more = self._step(tenant) or more
        return more

    def _step(self, tenant: str) -> bool:
        pupil = self._pupil(tenant)
        if pupil is None:
            return False
        new = self._outcomes.changes(tenant, pupil.learner.anchor.trunk, pupil.changed, BATCH)
        for outcome in sorted(new, key=lambda one: one.seq or 0):
            self._take(pupil, outcome)
        if new:
            pupil.changed = max(one.changed or 0 for one in new)
        if len(new) == BATCH:
            return True
        if (pupil.fresh or pupil.stale) and self._due(tenant) and not self._frozen(tenant):
            self._publish(tenant, pupil)
        return False

    def _pupil(self, tenant: str) -> _Pupil | None:
        """Give the posterior of what serves now; one that set out from another anchor is made anew."""
        serving = self._shelf.serving(tenant)
        if serving is None:
            self._pupils.pop(tenant, None)
            return None
        pupil = self._pupils.get(tenant)
        anchor = self._shelf.get(tenant, serving.anchor)
        if pupil is None or (pupil.anchor.number, pupil.anchor.served_us) != (anchor.number, anchor.served_us):
            pupil = self._begun(tenant, anchor, serving)
            if pupil is None:
                return None
            self._pupils[tenant] = pupil
        pupil.serving = serving.number
        return pupil

    def _begun(self, tenant: str, anchor: Snapshot, serving: Snapshot) -> _Pupil | None:
        from meliora.routing.learned.snapshot import decode

        try:
            policy = decode(self._shelf.blob(tenant, anchor.number))
        except MelioraError as error:
            if self._refused.get(tenant) != anchor.number:
                log.error(
                    "a policy cannot be learned from; it serves on as it is",
                    tenant=tenant,
                    number=anchor.number,
                    error=str(error),
                )
            self._refused[tenant] = anchor.number
            return None
        self._refused.pop(tenant, None)
        pupil = _Pupil(anchor, serving.number, self._make(policy))
        self._replay(tenant, pupil)
        pupil.fresh = pupil.seq > max(serving.learned_seq, anchor.learned_seq)
        return pupil

    def _replay(self, tenant: str, pupil: _Pupil) -> None:
        """Make the posterior again, of the anchor and the outcomes in the window."""
        policy = pupil.learner.anchor
        pupil.learner = self._make(policy)
        pupil.learned, pupil.seq, pupil.skipped, pupil.stale = set(), 0, 0, False
        window = self._outcomes.rewarded(tenant, policy.trunk, pupil.anchor.learned_seq, self._pace.window)
        for outcome in window:
            self._take(pupil, outcome)
        pupil.changed = max([pupil.changed, pupil.anchor.learned_seq, *(one.changed or 0 for one in window)])

    def _take(self, pupil: _Pupil, outcome: Outcome) -> None:
        """Learn an outcome, unless it is in the posterior or in the anchor already, or says nothing that can be learned."""
        if outcome.call_id in pupil.learned:
            pupil.stale = True
            return
        seq = outcome.seq or 0
        if outcome.reward is None or seq <= pupil.anchor.learned_seq:
            return
        if outcome.model not in pupil.learner.anchor.models:
            pupil.skipped += 1
            return
        try:
            pupil.learner.learn(seen_of(outcome))
        except (MelioraError, ValueError, ArithmeticError) as error:
            pupil.skipped += 1
            log.warning("an outcome could not be learned from", call=outcome.call_id, error=str(error))
            return
        pupil.learned.add(outcome.call_id)
        pupil.seq = max(pupil.seq, seq)
        pupil.fresh = True

    def _due(self, tenant: str) -> bool:
        last = self._published.get(tenant)
        return last is None or self._monotonic() - last >= self._pace.publish_seconds

    def _publish(self, tenant: str, pupil: _Pupil) -> None:
        from meliora.routing.learned.snapshot import encode

        self._published[tenant] = self._monotonic()
        if pupil.stale or len(pupil.learned) > 2 * self._pace.window:
            self._replay(tenant, pupil)
        try:
            policy = pupil.learner.policy(0)
        except (ValueError, ArithmeticError) as error:
            log.error(
                "no policy could be made of what was learned; the old one serves on", tenant=tenant, error=str(error)
            )
            return
        made = self._shelf.publish(
            tenant,
            pupil.serving,
            lambda number: encode(replace(policy, number=number)),
            learned_seq=max(pupil.seq, pupil.anchor.learned_seq),
            evidence=_evidence(pupil, policy),
            keep=self._pace.keep,
        )
        if made is None:
            log.info("another policy serves by now; learning sets out from it", tenant=tenant)
            return
        pupil.serving, pupil.fresh = made.number, False
        log.info("a policy was learned", tenant=tenant, number=made.number, outcomes=len(pupil.learned))


def seen_of(outcome: Outcome) -> Any:
    """Give an outcome as the posterior takes it: the model that answered, on the prompt as the policy saw it."""
    import numpy as np

    from meliora.routing.learning.online import Seen

    assert outcome.reward is not None
    return Seen(
        phi=np.frombuffer(outcome.phi, "<f2").astype(np.float32),
        model=outcome.model,
        reward=outcome.reward,
        weight=outcome.weight or 1.0,
        cost=None if outcome.cost_micros is None else outcome.cost_micros / 1e6,
        key=outcome.key_id,
        task=outcome.task or "general",
    )


def _evidence(pupil: _Pupil, policy: Policy) -> dict[str, Any]:
    learner = pupil.learner
    return {
        "outcomes": len(pupil.learned),
        "skipped": pupil.skipped,
        "handicap": policy.handicap,
        "alarms": [
            {"model": alarm.model, "task": alarm.task, "shift": round(alarm.shift, 3), "outcomes": alarm.outcomes}
            for alarm in learner.alarms[-20:]
        ],
    }
