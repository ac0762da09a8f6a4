"""Several orders into one: reciprocal rank fusion with a weight for each leg (Cormack, Clarke, Buettcher, SIGIR 2009).

Vectors that are fitted to short texts find what has little to do with a query, and two middling ranks outweigh a first one. How far
their first results are also those by words tells, query by query, how far they are to be believed. A model's vectors are believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from meliora.knowledge.answers import Place
from meliora.knowledge.config import Fusion, Leg
from meliora.knowledge.index.base import Hit

FIRST = 10
"""Results of a leg by which it is held against another."""
COMMON = 0.5
"""Part of them in common from which the vectors have their whole weight."""
LEAST = 0.2
"""Part of their weight that they always have."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that some leg found."""

    passage: str
    score: float
    """The sum of what its places contribute."""
    places: tuple[Place, ...]


def fuse(found: Mapping[Leg, Sequence[Hit]], rules: Fusion, *, fitted: bool = True) -> list[Candidate]:
    """Give the passages that any leg found, the best first; ties by id, so that equal queries get equal answers."""
    places: dict[str, list[Place]] = {}
    weights = weights_of(rules, found, fitted=fitted)
    for leg, hits in found.items():
        weight = weights[leg]
        for rank, hit in enumerate(hits, start=1):
            places.setdefault(hit.passage, []).append(Place(leg, rank, hit.score, weight / (rules.k + rank)))
    fused = (Candidate(name, sum(one.contribution for one in own), tuple(own)) for name, own in places.items())
    return sorted(fused, key=lambda one: (-one.score, one.passage))


def weight_of(rules: Fusion, leg: Leg) -> float:
    """Give a leg's weight."""
    return {"words": rules.words, "grams": rules.grams, "dense": rules.dense}[leg]


def weights_of(rules: Fusion, found: Mapping[Leg, Sequence[Hit]], *, fitted: bool) -> dict[Leg, float]:
    """Give the weights of legs for one query: those of fitted vectors by the square of how far words agree with them."""
    weights: dict[Leg, float] = {leg: weight_of(rules, leg) for leg in found}
    words, dense = found.get("words", ()), found.get("dense", ())
    first = min(FIRST, len(words), len(dense))
    if fitted and first:
        common = {one.passage for one in words[:first]} & {one.passage for one in dense[:first]}
        weights["dense"] *= max(LEAST, min(1.0, len(common) / first / COMMON) ** 2)
    return weights
