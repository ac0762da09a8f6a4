"""Several orders into one: reciprocal rank fusion with a weight for each leg (Cormack, Clarke, Buettcher, SIGIR 2009)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from meliora.knowledge.answers import Place
from meliora.knowledge.config import Fusion, Leg
from meliora.knowledge.index.base import Hit


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that some leg found."""

    passage: str
    score: float
    """The sum of what its places contribute."""
    places: tuple[Place, ...]


def fuse(found: Mapping[Leg, Sequence[Hit]], rules: Fusion) -> list[Candidate]:
    """Give the passages that any leg found, the best first; ties by id, so that equal queries get equal answers."""
    places: dict[str, list[Place]] = {}
    for leg, hits in found.items():
        weight = weight_of(rules, leg)
        for rank, hit in enumerate(hits, start=1):
            places.setdefault(hit.passage, []).append(Place(leg, rank, hit.score, weight / (rules.k + rank)))
    fused = (Candidate(name, sum(one.contribution for one in own), tuple(own)) for name, own in places.items())
    return sorted(fused, key=lambda one: (-one.score, one.passage))


def weight_of(rules: Fusion, leg: Leg) -> float:
    """Give a leg's weight."""
    return {"words": rules.words, "grams": rules.grams, "dense": rules.dense}[leg]
