"""Learning, put together from settings and store: what the worker does again and again, and what the commands do once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meliora.clock import Clock
from meliora.routing.dialled import dialled
from meliora.routing.learning.learner import Learner, Pace, Rewarder
from meliora.routing.learning.rewards import RewardRule
from meliora.settings import Settings
from meliora.store.store import Store

if TYPE_CHECKING:
    from meliora.routing.learned.policy import Policy
    from meliora.routing.learning.online import OnlineLearner


def reward_rule(settings: Settings) -> RewardRule:
    """Give the reward function that the settings declare."""
    return RewardRule(settings.routing.reward, {scorer.name: scorer.weight for scorer in settings.routing.scorers})


def rewarder(settings: Settings, store: Store, clock: Clock) -> Rewarder:
    """Give what makes rewards."""
    return Rewarder(store.outcomes, reward_rule(settings), clock.now_us)


def learner(settings: Settings, store: Store, clock: Clock) -> Learner:
    """Give what moves policies."""
    chosen = settings.routing.learning
    pace = Pace(chosen.publish_seconds, chosen.window, chosen.keep)
    return Learner(
        store.outcomes,
        store.routing_snapshots,
        clock.monotonic,
        lambda policy: posterior(policy, settings),
        pace,
    )


def posterior(policy: Policy, settings: Settings) -> OnlineLearner:
    """Give the moving posterior of a policy, guarded at the dial of the settings."""
    from meliora.routing.learning.online import Learning, OnlineLearner

    return OnlineLearner(policy, Learning(pay=pay_of(policy, settings) or None))


def pay_of(policy: Policy, settings: Settings) -> float:
    """Give the US$ that the settings' dial pays for quality 1 in place of 0 by this policy."""
    from meliora.routing.learned.dial import Dial

    dial = dialled(None, None, None, settings.routing.dial)
    return Dial(dial.quality_floor, dial.willingness_to_pay).pay(policy.curve)
