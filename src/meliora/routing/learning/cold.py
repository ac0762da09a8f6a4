"""The policy of a tenant about whose models nothing is known but what they cost: it serves the reference until outcomes say more."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from meliora.errors import InvalidRequest
from meliora.routing.learned.policy import Costs, Curve, Heads, Policy, Trunk

QUALITY = 0.7
"""Expected of every model, the reference too: none is preferred for it."""

DOUBT = 0.25
"""Standard deviation of a model's mean quality."""

SLOPE = 0.017
"""Standard deviation of what one unit of a feature does to it: strong shrinkage, a ridge penalty of 700."""

_NOISE = 0.2


def cold(
    models: tuple[str, ...], reference: str, costs: Mapping[str, float | None], trunk: Trunk, number: int = 0
) -> Policy:
    """Give a policy that knows nothing yet. `costs` are US$ of a usual call by the price list; None: not known.

    Its handicap keeps it with the reference, for by itself it takes all models for equally good; learning lowers that by its own
    guard. Raises `InvalidRequest` where the reference is none of the models.
    """
    if reference not in models:
        raise InvalidRequest(
            f"the reference model {reference!r} is not in the pool", hint=f"Name one of {', '.join(models)}."
        )
    count, size = len(models), trunk.size
    mean = np.zeros((count, size), np.float32)
    mean[:, 0] = QUALITY
    deviation = np.full(size, SLOPE, np.float32)
    deviation[0] = DOUBT
    logs = np.zeros((count, size), np.float32)
    ratio = np.ones(count, np.float32)
    for index, model in enumerate(models):
        cost = costs.get(model)
        if cost is None:
            ratio[index] = np.nan
        else:
            logs[index, 0] = np.log(max(cost, 1e-11))
    return Policy(
        number=number,
        models=models,
        reference=reference,
        embedding=trunk,
        quality=Heads(
            mean, np.diag(deviation / np.sqrt(_NOISE)).astype(np.float32)[None], np.full(count, _NOISE, np.float32)
        ),
        costs=Costs(logs, np.full(count, np.nan, np.float32), ratio),
        curve=Curve(np.array([1.0]), np.array([1.0]), np.array([1.0])),
        notes={"prompts": "0"},
        handicap=1.0,
    )
