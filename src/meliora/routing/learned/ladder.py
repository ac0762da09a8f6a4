"""Cascades that were measured: models asked one after the other until two agree, and what that comes to on a prompt.

Refuses to learn: `meliora.routing.learning.ladders` fits them to answers that are known of every model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from meliora.routing.learned.policy import Curve

Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Ladders:
    """Cascades over the models of a policy, and each model alone, all predicted by what the trunk's forest makes of a prompt.

    The models alone are among them to be held against: what is predicted in another way would be favoured, or put back, by the
    way. m are the forest's outputs.
    """

    legs: NDArray[np.integer]
    """[P, 4] of each the two that are asked first, the tie-breaker, the strong one; -1 where there is none. A model alone is first."""
    quality: Floats
    """[P, 1 + m] of the answer."""
    asked: Floats
    """[P, 2, 1 + m] probability that the tie-breaker, and the strong one, is asked."""
    dearer: Floats
    """[P, 2] what either costs where it is asked, as a multiple of what is expected of it on such a prompt."""
    stood: Floats
    """[P, M] share of prompts on which each model's answer was the one that stood."""
    anchor: Floats
    """[M, d] heads of the models' quality when this was measured: a ladder has moved as its models have since."""
    curve: Curve
    """Of a policy that may use these; `Policy.curve` is of one that may not."""

    def at(self, phi: Floats, moved: Floats, cost: Floats) -> tuple[Floats, Floats]:
        """Give each ladder's expected quality and US$ a call on prompts, [n, P] each; nan where a leg has no price.

        `phi` [n, d]; `moved` [n, M] by how much each model's quality is another one than by the anchor; `cost` [n, M] US$ a call.
        """
        outputs = self.outputs(phi)
        quality = np.minimum(np.maximum(outputs @ self.quality.T + moved @ self.stood.T, 0.0), 1.0)
        prices = _prices(cost, self.legs)
        later = self._chances(outputs) * self.dearer * prices[:, :, 2:]
        return quality, prices[:, :, 0] + prices[:, :, 1] + later[:, :, 0] + later[:, :, 1]

    def outputs(self, phi: Floats) -> Floats:
        """Give 1 and what the forest makes of each prompt, [n, 1 + m]."""
        return np.concatenate((phi[:, :1], phi[:, phi.shape[1] - self.quality.shape[1] + 1 :]), axis=1)

    def later(self, outputs: Floats, cost: Floats) -> Floats:
        """Give US$ expected of the tie-breaker and of the strong one, [n, P, 2]."""
        spent: Floats = self._chances(outputs) * self.dearer * _prices(cost, self.legs[:, 2:])
        return spent

    def _chances(self, outputs: Floats) -> Floats:
        asked = outputs @ self.asked.reshape(-1, self.asked.shape[2]).T
        return np.minimum(np.maximum(asked, 0.0), 1.0).reshape(len(outputs), *self.dearer.shape)

    def of(self, place: int) -> tuple[int, ...]:
        """Give the models of a ladder in the order in which they are asked."""
        return tuple(int(leg) for leg in self.legs[place] if leg >= 0)


def _prices(cost: Floats, legs: NDArray[np.integer]) -> Floats:
    """Give US$ of each leg on each prompt; nothing where there is no leg."""
    return np.concatenate((cost, np.zeros((len(cost), 1), cost.dtype)), axis=1).take(legs, axis=1)  # -1 is the last
