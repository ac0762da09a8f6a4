"""Recorded decisions with their prompts, as mining and proving take them: with the chance that each model had.

Prompts stay in memory: nothing of them goes into a change but words that many people used (see `mine`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from meliora.changes.routing_rule.shelf import Read, RecordedOutcomes
from meliora.stats.offpolicy import Estimate, doubly_robust, stabilising

Array: TypeAlias = "NDArray[np.float64]"

LEAST_CHANCE = 1e-3
"""Of the models that a rule names, below which a decision tells nothing about the rule."""
_BATCH = 500


@dataclass(frozen=True, eq=False)
class Rows:
    """Decisions, the oldest first."""

    calls: tuple[str, ...]
    texts: tuple[str, ...]
    people: tuple[str, ...]
    """User, else session, else key."""
    started_us: NDArray[np.int64]
    models: tuple[str, ...]
    served: Array
    """[n, M] chance of each model."""
    action: NDArray[np.int64]
    """[n] index of the model that answered."""
    reward: Array
    cost: Array
    """US$; nan where it is not known."""

    def __len__(self) -> int:
        return len(self.calls)

    def take(self, rows: NDArray[np.bool_]) -> Rows:
        """Give some of them."""
        kept = np.flatnonzero(rows)
        return Rows(
            tuple(self.calls[row] for row in kept),
            tuple(self.texts[row] for row in kept),
            tuple(self.people[row] for row in kept),
            self.started_us[kept],
            self.models,
            self.served[kept],
            self.action[kept],
            self.reward[kept],
            self.cost[kept],
        )

    def until(self, at_us: int) -> Rows:
        """Give those that began until then."""
        return self.take(np.array([at <= at_us for at in self.started_us], bool))

    def priced(self, pay: float) -> Rows:
        """Give those whose utility is known: all where quality has no price."""
        return self.take(~np.isnan(self.cost)) if pay > 0 else self

    def utility(self, pay: float) -> Array:
        """Give reward less cost, in units of quality, at US$ `pay` for quality 1; the reward alone where that is 0."""
        return self.reward - self.cost / pay if pay > 0 else self.reward


def read_rows(
    outcomes: RecordedOutcomes,
    read: Read,
    tenant: str,
    since_us: int,
    until_us: int,
    limit: int,
    task: str | None = None,
) -> Rows:
    """Read the decisions of a stretch of time whose chances, reward and prompt are all known."""
    found = [
        one
        for one in outcomes.recorded(tenant, since_us, until_us, limit)
        if one.propensity is not None and one.reward is not None and (task is None or one.task == task)
    ]
    texts: dict[str, tuple[str, str]] = {}
    for at in range(0, len(found), _BATCH):
        batch = outcomes.asked(tenant, [one.call_id for one in found[at : at + _BATCH]])
        for call, asked in batch.items():
            text = read(asked.dialect, asked.request_text)
            if text is not None:
                texts[call] = text, asked.person
    kept = [one for one in found if one.call_id in texts]
    models = tuple(sorted({candidate.model for one in kept for candidate in one.candidates}))
    place = {model: index for index, model in enumerate(models)}
    served = np.zeros((len(kept), len(models)))
    for row, one in enumerate(kept):
        for candidate in one.candidates:
            served[row, place[candidate.model]] = candidate.served
    return Rows(
        tuple(one.call_id for one in kept),
        tuple(texts[one.call_id][0] for one in kept),
        tuple(texts[one.call_id][1] for one in kept),
        np.array([one.started_us for one in kept], np.int64),
        models,
        served,
        np.array([place[one.model] for one in kept], np.int64),
        np.array([one.reward for one in kept], np.float64),
        np.array([np.nan if one.cost_micros is None else one.cost_micros / 1e6 for one in kept], np.float64),
    )


def target_of(rows: Rows, models: Iterable[str]) -> tuple[Array, NDArray[np.bool_]]:
    """Give the chances of models, [n, M], had a rule left only these to choose among, and the rows that can tell."""
    named = set(models)
    inside = np.array([model in named for model in rows.models], bool)
    mass = rows.served[:, inside].sum(axis=1) if inside.any() else np.zeros(len(rows))
    tells = mass >= LEAST_CHANCE
    target = np.where(inside, rows.served, 0.0) / np.where(tells, mass, 1.0)[:, None]
    return target, tells


def estimate(rows: Rows, value: Array, target: Array) -> Estimate:
    """Estimate what the target would have brought beyond what was served, doubly robustly; the rows are those that tell.

    What a model brings is guessed by its mean over earlier rows, so that no row's score depends on a later one.
    """
    index = np.arange(len(rows))
    guess = _means_before(rows, value)
    chance = rows.served[index, rows.action]
    shift = target - rows.served
    ratio = shift[index, rows.action] / chance
    spread = (shift * shift / np.where(rows.served > 0, rows.served, np.inf)).sum(axis=1) + 1e-3
    return doubly_robust(ratio, value, guess[index, rows.action], (shift * guess).sum(axis=1), stabilising(spread))


def _means_before(rows: Rows, value: Array, prior: float = 5.0) -> Array:
    """Give each model's mean over the rows before, [n, M], held to the mean of all by so many rows' worth."""
    n, count = len(rows), len(rows.models)
    guess = np.zeros((n, count))
    sums, seen = np.zeros(count), np.zeros(count)
    total = 0.0
    for row in range(n):
        overall = total / row if row else 0.0
        guess[row] = (sums + prior * overall) / (seen + prior)
        sums[rows.action[row]] += value[row]
        seen[rows.action[row]] += 1
        total += value[row]
    return guess


def people_of(rows: Rows, hits: Sequence[int] | NDArray[np.intp]) -> int:
    """Count the people behind some rows."""
    return len({rows.people[int(row)] for row in hits})
