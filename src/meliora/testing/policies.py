"""Learned policies that know what they are told, for tests: no data, no fit. Brings numpy in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from meliora.routing.learned.features import HAND, IDS
from meliora.routing.learned.ladder import Ladders
from meliora.routing.learned.policy import Costs, Curve, Forest, Heads, Policy, Trunk

_NO_FOREST = Forest(np.zeros((1, 1), np.int32), np.zeros((1, 1), np.float32), np.zeros((1, 2, 0), np.float32))

Known = tuple[float, float | None]
"""Quality in [0, 1], and US dollars a call (None: not known)."""


def planted(
    models: Mapping[str, Known],
    *,
    number: int = 1,
    spread: float = 0.05,
    reference: str | None = None,
    curve: Sequence[tuple[float, float]] = ((0.001, 0.9), (0.01, 0.95), (0.05, 0.98), (1.0, 1.0)),
    longer: Mapping[str, float] | None = None,
) -> Policy:
    """Give a policy that foresees the same of every prompt: `spread` is the standard error of each quality.

    `curve` are pairs of willingness to pay and the share of the reference's quality that it held. `longer` adds to a model's
    quality for each standard deviation by which a prompt is longer than some thirty characters.
    """
    names = tuple(models)
    size = 1 + HAND + 1
    quality = np.zeros((len(names), size), np.float32)
    cost = np.zeros((len(names), size), np.float32)
    for index, (good, dollars) in enumerate(models.values()):
        quality[index, 0] = good
        quality[index, 1] = (longer or {}).get(names[index], 0.0)
        cost[index, 0] = math.nan if dollars is None else math.log(dollars)
    centre, scale = np.zeros(HAND, np.float32), np.zeros(HAND, np.float32)
    centre[0], scale[0] = math.log1p(30), 1.0
    factor = np.zeros((1, size, size), np.float32)
    factor[0, 0, 0] = 1.0
    pays, held = zip(*curve, strict=True)
    return Policy(
        number=number,
        models=names,
        reference=reference or max(names, key=lambda name: models[name][0]),
        embedding=Trunk(
            "planted", centre, scale, np.zeros(IDS, np.float32), np.zeros((IDS, 1), np.float32), _NO_FOREST
        ),
        quality=Heads(quality, factor, np.full(len(names), spread**2, np.float32)),
        costs=Costs(cost, np.full(len(names), np.nan, np.float32), np.ones(len(names), np.float32)),
        curve=Curve(np.array(pays), np.array(held), np.array(held)),
    )


def laddered(
    policy: Policy,
    ladders: Mapping[tuple[str, ...], tuple[float, float]],
    *,
    curve: Sequence[tuple[float, float]] = ((0.001, 0.9), (0.005, 1.0)),
) -> Policy:
    """Give a planted policy with cascades of which it foresees the same on every prompt: quality, and how often the strong one is asked.

    The names are in the order in which they are asked; a tie-breaker is asked half again as often as the strong one. Each model alone
    is among them, as good as the policy has it.
    """
    alone = {(name,): (float(policy.quality.mean[place, 0]), 0.0) for place, name in enumerate(policy.models)}
    legs, quality, asked, stood = [], [], [], []
    for names, (good, often) in {**alone, **ladders}.items():
        places = [policy.models.index(name) for name in names]
        third = places[2] if len(places) == 4 else -1
        legs.append((places[0], -1, -1, -1) if len(places) == 1 else (places[0], places[1], third, places[-1]))
        quality.append([good])
        asked.append([[min(1.0, 1.5 * often)], [often]])
        share = np.zeros(len(policy.models))
        share[places[0]] += 1 - often
        share[places[-1]] += often
        stood.append(share)
    pays, held = zip(*curve, strict=True)
    made = Ladders(
        np.array(legs, np.int32),
        np.array(quality, np.float32),
        np.array(asked, np.float32),
        np.ones((len(legs), 2), np.float32),
        np.array(stood, np.float32),
        policy.quality.mean,
        Curve(np.array(pays), np.array(held), np.array(held)),
    )
    return replace(policy, ladders=made)
