"""A policy as bytes: a header, raw little-endian arrays, a checksum. Refuses what is torn, altered or of another version; no pickle."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from meliora.routing.learned.features import FEATURES_VERSION, HAND, IDS
from meliora.routing.learned.framed import BadSnapshot, Form, arrays_at, form, frame, header_of
from meliora.routing.learned.ladder import Ladders
from meliora.routing.learned.policy import DEEPEST, MOST_TREES, Costs, Curve, Forest, Heads, Policy, Trunk

__all__ = ["BadSnapshot", "decode", "encode"]

MAGIC = b"MELPOL2\n"
_WHAT = "routing snapshot"


class _Header(msgspec.Struct, frozen=True):
    features: int
    number: int
    models: tuple[str, ...]
    reference: str
    trunk: str
    notes: dict[str, str]
    arrays: tuple[Form, ...]
    handicap: float = 0.0


_MAY_BE_NAN = frozenset({"costs.price", "costs.ratio", "costs.mean"})
_STORED = {"trunk.table": "<f2"}


def encode(policy: Policy) -> bytes:
    """Give the policy as bytes; `decode` gives it back, the trunk's table rounded to half precision."""
    arrays = _arrays(policy)
    forms = tuple(form(name, array, _STORED) for name, array in arrays.items())
    header = _Header(
        FEATURES_VERSION,
        policy.number,
        policy.models,
        policy.reference,
        policy.trunk,
        dict(policy.notes),
        forms,
        policy.handicap,
    )
    return frame(MAGIC, header, forms, arrays)


def decode(blob: bytes) -> Policy:
    """Give the policy. Raises `BadSnapshot`, which says what is wrong with the bytes."""
    head, at = header_of(blob, MAGIC, _WHAT)
    try:
        header = msgspec.msgpack.decode(head, type=_Header)
    except msgspec.DecodeError as error:
        raise BadSnapshot(f"the routing snapshot's header cannot be read: {error}") from error
    if header.features != FEATURES_VERSION:
        raise BadSnapshot(
            f"the routing snapshot reads features of version {header.features}, this code has {FEATURES_VERSION}",
            hint="Fit the policy again with this release: meliora routing calibrate.",
        )
    policy = _built(header, arrays_at(blob, at, header.arrays, _WHAT, _MAY_BE_NAN))
    _check(policy)
    return policy


def _arrays(policy: Policy) -> dict[str, NDArray[np.floating]]:
    return {
        "trunk.centre": policy.embedding.centre,
        "trunk.scale": policy.embedding.scale,
        "trunk.idf": policy.embedding.idf,
        "trunk.table": policy.embedding.table,
        "trunk.usual": policy.embedding.usual,
        "forest.feature": policy.embedding.forest.feature.astype(np.float32),
        "forest.threshold": policy.embedding.forest.threshold,
        "forest.leaves": policy.embedding.forest.leaves,
        "quality.mean": policy.quality.mean,
        "quality.factor": policy.quality.factor,
        "quality.noise": policy.quality.noise,
        "costs.mean": policy.costs.mean,
        "costs.price": policy.costs.price,
        "costs.ratio": policy.costs.ratio,
        "curve.pay": policy.curve.pay,
        "curve.quality": policy.curve.quality,
        "curve.cost": policy.curve.cost,
        **_ladder_arrays(policy.ladders),
    }


def _ladder_arrays(ladders: Ladders | None) -> dict[str, NDArray[np.floating]]:
    """Give the parts of measured cascades, after all others: a release that knows nothing of them reads the rest."""
    if ladders is None:
        return {}
    return {
        "ladders.legs": ladders.legs.astype(np.float32),
        "ladders.quality": ladders.quality,
        "ladders.asked": ladders.asked,
        "ladders.dearer": ladders.dearer,
        "ladders.stood": ladders.stood,
        "ladders.anchor": ladders.anchor,
        "ladders.pay": ladders.curve.pay,
        "ladders.held": ladders.curve.quality,
        "ladders.spent": ladders.curve.cost,
    }


def _built(header: _Header, found: dict[str, NDArray[np.floating]]) -> Policy:
    def part(of: str, *names: str) -> list[Any]:
        return [found[f"{of}.{name}"] for name in names]

    try:
        feature, threshold, leaves = part("forest", "feature", "threshold", "leaves")
        forest = Forest(feature.astype(np.int32), threshold, leaves)
        centre, scale, idf, table, usual = part("trunk", "centre", "scale", "idf", "table", "usual")
        trunk = Trunk(header.trunk, centre, scale, idf, table, forest, usual)
        quality = Heads(*part("quality", "mean", "factor", "noise"))
        costs = Costs(*part("costs", "mean", "price", "ratio"))
        curve = Curve(*part("curve", "pay", "quality", "cost"))
        ladders = None
        if "ladders.legs" in found:
            legs, *parts = part("ladders", "legs", "quality", "asked", "dearer", "stood", "anchor")
            measured = Curve(*part("ladders", "pay", "held", "spent"))
            ladders = Ladders(_whole(legs), *parts, curve=measured)
    except (KeyError, IndexError) as missing:
        raise BadSnapshot(f"the routing snapshot lacks {missing}") from missing
    except (ValueError, OverflowError) as error:
        raise BadSnapshot(f"the forest of the routing snapshot does not fit together: {error}") from error
    return Policy(
        header.number,
        header.models,
        header.reference,
        trunk,
        quality,
        costs,
        curve,
        header.notes,
        header.handicap,
        ladders,
    )


def _check(policy: Policy) -> None:
    count, size = len(policy.models), policy.embedding.size
    right = (
        policy.reference in policy.models
        and policy.embedding.centre.shape == policy.embedding.scale.shape == (HAND,)
        and policy.embedding.idf.shape == (IDS,)
        and policy.embedding.table.shape[0] == IDS
        and _grown(policy.embedding)
        and policy.quality.mean.shape == policy.costs.mean.shape == (count, size)
        and policy.quality.factor.shape in {(1, size, size), (count, size, size)}
        and policy.quality.noise.shape == policy.costs.price.shape == policy.costs.ratio.shape == (count,)
        and policy.curve.pay.shape == policy.curve.quality.shape == policy.curve.cost.shape
        and len(policy.curve.pay) > 0
        and (policy.ladders is None or _laddered(policy.ladders, count, size))
    )
    if not right:
        raise BadSnapshot("the parts of the routing snapshot do not fit together", hint="Fit the policy again.")


def _laddered(ladders: Ladders, count: int, size: int) -> bool:
    legs, curve = ladders.legs, ladders.curve
    if legs.ndim != 2 or ladders.quality.ndim != 2:
        return False
    rungs, outputs = ladders.quality.shape
    return (
        legs.shape == (rungs, 4)
        and rungs > 0
        and 1 <= outputs <= size
        and all(_asks(row, count) for row in legs.tolist())
        and ladders.asked.shape == (rungs, 2, outputs)
        and ladders.dearer.shape == (rungs, 2)
        and bool((ladders.dearer >= 0).all())
        and ladders.stood.shape == (rungs, count)
        and ladders.anchor.shape == (count, size)
        and curve.pay.shape == curve.quality.shape == curve.cost.shape
        and len(curve.pay) > 0
    )


def _asks(row: list[int], count: int) -> bool:
    """Say whether a row of `Ladders.legs` is a model alone, or two and a strong one with or without a third; nobody is asked twice."""
    first, second, third, strong = row
    asked = [leg for leg in row if leg >= 0]
    shaped = first >= 0 and ((second >= 0 and strong >= 0) or second == third == strong == -1)
    return shaped and len(set(asked)) == len(asked) and min(row) >= -1 and max(row) < count


def _whole(legs: NDArray[np.floating]) -> NDArray[np.int32]:
    """Give places as they were before they were written as numbers of single precision. Raises `BadSnapshot` where one is none."""
    if not ((legs >= -1) & (legs < 1 << 24) & (legs == np.floor(legs))).all():
        raise BadSnapshot("the cascades of the routing snapshot do not fit together: a leg is no model's place")
    return legs.astype(np.int32)


def _grown(trunk: Trunk) -> bool:
    forest, inputs = trunk.forest, HAND + trunk.table.shape[1]
    trees, depth = forest.feature.shape if forest.feature.ndim == 2 else (0, -1)
    return (
        0 <= depth <= DEEPEST
        and trees <= MOST_TREES
        and forest.threshold.shape == (trees, depth)
        and forest.leaves.ndim == 3
        and forest.leaves.shape[:2] == (trees, 1 << depth)
        and bool(((forest.feature >= 0) & (forest.feature < inputs)).all())
        and trunk.usual.shape in {(0, 0), (inputs, inputs)}
    )
