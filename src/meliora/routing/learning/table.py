"""Outcomes as a table: prompts by models, the reward and the cost of each, nan where nobody saw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meliora.errors import InvalidRequest
from meliora.routing.learned.features import NOTHING, Context


@dataclass(frozen=True)
class Outcomes:
    """What models did on prompts. Raises `InvalidRequest` for shapes that do not fit, and for rewards outside 0..1."""

    prompts: tuple[str, ...]
    models: tuple[str, ...]
    rewards: NDArray[np.float64]
    """[n, M] in 0..1; nan where the model was not tried."""
    costs: NDArray[np.float64]
    """[n, M] US$ a call; nan where it is not known."""
    contexts: tuple[Context, ...] = ()
    """One a prompt, or none at all."""
    said: NDArray[np.int64] | None = None
    """[n, M] what each model said: equal numbers on a prompt are answers that agree, -1 is none. None: not known."""

    def __post_init__(self) -> None:
        shape = (len(self.prompts), len(self.models))
        if self.rewards.shape != shape or self.costs.shape != shape:
            raise InvalidRequest(
                f"{len(self.prompts)} prompts and {len(self.models)} models, but rewards of {self.rewards.shape} and"
                f" costs of {self.costs.shape}",
                hint="Give one row a prompt and one column a model.",
            )
        if self.said is not None and self.said.shape != shape:
            raise InvalidRequest(f"answers of {self.said.shape} do not fit rewards of {shape}")
        if self.contexts and len(self.contexts) != len(self.prompts):
            raise InvalidRequest(
                f"{len(self.contexts)} contexts for {len(self.prompts)} prompts: give one each, or none"
            )
        if len(set(self.models)) != len(self.models):
            raise InvalidRequest("a model is named twice in the outcomes")
        if ((self.rewards < 0) | (self.rewards > 1) | np.isinf(self.rewards)).any():
            raise InvalidRequest("a reward lies outside 0..1", hint="Scale the scores before they are learned from.")
        if (self.costs < 0).any() or np.isinf(self.costs).any():
            raise InvalidRequest("a cost is negative or infinite", hint="Give US$ a call, nan where it is not known.")

    def __len__(self) -> int:
        return len(self.prompts)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Outcomes:
        """Give the table of these rows."""
        chosen = [int(row) for row in rows]
        return Outcomes(
            tuple(self.prompts[row] for row in chosen),
            self.models,
            self.rewards[chosen],
            self.costs[chosen],
            tuple(self.contexts[row] for row in chosen) if self.contexts else (),
            None if self.said is None else self.said[chosen],
        )

    def context(self, row: int) -> Context:
        """Give the context of a row."""
        return self.contexts[row] if self.contexts else NOTHING

    def best(self) -> int:
        """Give the index of the model with the greatest mean reward; of equal ones the first."""
        seen = ~np.isnan(self.rewards)
        counts = seen.sum(axis=0)
        if not counts.any():
            raise InvalidRequest("no reward was seen", hint="Score some answers first.")
        means = np.where(counts > 0, np.where(seen, self.rewards, 0).sum(axis=0) / np.maximum(counts, 1), -np.inf)
        return int(means.argmax())
