"""How often a document that was shown was used, from what people did. Of what nobody saw nothing is known, and nothing is made up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite

import msgspec

HALF_LIFE_US = 90 * 86_400_000_000
"""After which a showing counts half."""
PRIOR = 4.0
"""Showings that the share of the collection counts as, in a document's own."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A document as it was shown once, and whether somebody used it."""

    document: str
    used: bool
    at_us: int
    seen: float = 1.0
    """How likely it was looked at where it stood, in (0, 1]: one that nobody looked at was not passed over."""


class Relevance(msgspec.Struct, frozen=True, kw_only=True):
    """How useful a document is, in [0, 1]."""

    score: float
    evidence: int
    """Times that it was shown."""
    weight: float
    """What they count as, by age and place."""


def relevance(shown: Iterable[Shown], now_us: int) -> Mapping[str, Relevance]:
    """Give the relevance of the documents that were shown; one that is missing here is unknown.

    The share of uses among showings, each showing weighted by how likely it was seen (a use was seen for sure) and halved every 90 days,
    shrunk towards the share of all by 4 showings (the mean of a beta posterior).
    """
    used: dict[str, float] = {}
    seen: dict[str, float] = {}
    times: dict[str, int] = {}
    for one in shown:
        if not (isfinite(one.seen) and 0 < one.seen <= 1):
            continue
        age = 0.5 ** (max(0, now_us - one.at_us) / HALF_LIFE_US)
        used[one.document] = used.get(one.document, 0.0) + age * one.used
        seen[one.document] = seen.get(one.document, 0.0) + age * (1.0 if one.used else one.seen)
        times[one.document] = times.get(one.document, 0) + 1
    total = sum(seen.values())
    share = sum(used.values()) / total if total > 0 else 0.0
    return {
        name: Relevance(
            score=min(1.0, (used[name] + PRIOR * share) / (weight + PRIOR)), evidence=times[name], weight=weight
        )
        for name, weight in seen.items()
    }
