"""Learning, put together from settings and store: what the worker does again and again, and what the commands do once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import structlog

from meliora.clock import Clock
from meliora.errors import MelioraError, SettingsError
from meliora.gateway.dialects.inspect import inspect_request
from meliora.gateway.dialects.summary import summarise_body
from meliora.routing.learning.learner import Learner, Pace, Rewarder
from meliora.routing.learning.records import Unscored
from meliora.routing.learning.rewards import RewardRule
from meliora.routing.learning.scorers import Ask, Sample, build
from meliora.routing.learning.scoring import Scoring, calibrations
from meliora.runtime.asking import OwnGateway, gateway_url
from meliora.settings import Settings
from meliora.settings.learning import Scorer as ScorerSettings
from meliora.settings.secret import resolve_secret
from meliora.store.store import Store

if TYPE_CHECKING:
    from meliora.routing.learned.policy import Policy
    from meliora.routing.learning.online import OnlineLearner
    from meliora.routing.learning.promotion import Bench

log = structlog.get_logger(__name__)

FEATURE = "routing"
"""Feature that Meliora's own calls for routing are accounted under."""


def reward_rule(settings: Settings) -> RewardRule:
    """Give the reward function that the settings declare."""
    scorers = settings.routing.scorers
    return RewardRule(
        settings.routing.reward,
        {scorer.name: scorer.weight for scorer in scorers},
        {scorer.name: scorer.uncalibrated_weight for scorer in scorers if scorer.kind == "judge"},
    )


def rewarder(settings: Settings, store: Store) -> Rewarder:
    """Give what makes rewards."""
    return Rewarder(store.outcomes, reward_rule(settings))


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
        store.trials.frozen,
    )


def scoring(settings: Settings, store: Store, clock: Clock) -> Scoring:
    """Give the scorers at work. One that cannot be used is left out, loudly: the others go on."""
    ask = judge_by(OwnGateway(gateway_url(settings)))
    made = []
    for scorer in settings.routing.scorers:
        try:
            made.append((scorer, build(scorer, ask)))
        except SettingsError as error:
            log.error("a scorer is left out", scorer=scorer.name, error=str(error))
    return Scoring(store.outcomes, store.routing_snapshots.tenants, made, read_answer, clock.now_us)


def judge_by(gateway: OwnGateway) -> Ask:
    """Give how judges are asked: through the gateway, under the key that each names."""

    def ask(judge: ScorerSettings, system: str, question: str) -> str:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": question}]
        return gateway.ask(resolve_secret(judge.key), judge.model, messages, feature=FEATURE).text

    return ask


def read_answer(recorded: Unscored) -> Sample | None:
    """Give prompt and answer of a recorded call; None where they cannot be made out."""
    dialect = recorded.dialect
    if dialect not in ("chat", "responses", "messages") or recorded.response_text is None:
        return None
    try:
        asked = inspect_request(dialect, msgspec.json.decode((recorded.request_text or "").encode()))
    except (msgspec.DecodeError, UnicodeError, MelioraError):
        return None
    answer = recorded.response_text
    if answer.startswith("{"):
        # A body that was not streamed; a stream is kept as the text that it came to.
        summary = summarise_body(dialect, answer.encode())
        answer = summary.text if summary.text or summary.finish_reason is not None else answer
    return Sample(asked.prompt_text, answer)


def hold_judges(settings: Settings, store: Store, makes: Rewarder) -> bool:
    """Let rewards be made of judges' scores as they compare with people's words now."""
    judges = [scorer for scorer in settings.routing.scorers if scorer.kind == "judge"]
    found = calibrations(store.outcomes, store.routing_snapshots.tenants(), judges)
    makes.rule = replace(makes.rule, calibrations=found)
    return False


def posterior(policy: Policy, settings: Settings) -> OnlineLearner:
    """Give the moving posterior of a policy, guarded at the dial of the settings."""
    from meliora.routing.learning.online import Learning, OnlineLearner

    chosen = settings.routing.learning
    pay = pay_of(policy, settings) or None
    return OnlineLearner(policy, Learning(pay=pay, margin=chosen.margin, influence=chosen.influence))


def pay_of(policy: Policy, settings: Settings) -> float:
    """Give the US$ that the settings' dial pays for quality 1 in place of 0 by this policy."""
    from meliora.routing.learning.promotion import dial_of

    return dial_of(settings.routing.dial).pay(policy.curve)


def bench(settings: Settings, store: Store, clock: Clock, days: float = 30.0) -> Bench:
    """Give where candidates are held against what serves, by the traffic of the last `days`."""
    from meliora.routing.learning.promotion import Bench, dial_of

    return Bench(store.routing_snapshots, store.outcomes, dial_of(settings.routing.dial), clock.now_us(), days)
