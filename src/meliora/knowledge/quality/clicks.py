"""Judgments from clicks, corrected for the place at which a result was shown: who does not look so far down cannot click there.

A click is taken to be a look and a liking: P(click) = examined(place) x liked(query, document). Both are found by expectation
maximisation (Wang et al., WSDM 2018), and a click counts 1 / examined, clipped (Joachims, Swaminathan & Schnabel, WSDM 2017).
How far people look can only be told where documents were shown at several places; as far as they were not, it is taken as 1 / place.
A person counts once for a query and a document, however often they click.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from meliora.knowledge.quality.evidence import Pair
from meliora.knowledge.quality.judgments import Judgment, JudgmentSet, frozen
from meliora.knowledge.quality.records import Searched
from meliora.stats.proportion import wilson

LEAST_PEOPLE = 3
"""People who must have clicked a document for a query."""
CLIP = 10.0
"""Most that one click counts."""
DEEPEST = 50
"""Places that are looked at."""
NOISE = 0.05
"""Of those who look at a document, so many click whatever it is: what is surely (95%) liked by more is an answer."""
LEVELS = (NOISE, 0.2, 0.4)
"""Lower bounds of the liking from which on the grade is 1, 2, 3."""
_PRIOR_PLACE = 20.0
"""Looks that the guess 1 / place counts as."""
_PRIOR_LIKED = (0.5, 2.0)
_ROUNDS = 100
_TOLERANCE = 1e-5


class Clicked(msgspec.Struct, frozen=True, kw_only=True):
    """A document that people clicked for a query."""

    query: str
    """Its words, in lower case and single blanks."""
    document: str
    people: int
    """Who clicked it."""
    seen_by: float
    """People who looked at it, as far as its places tell."""
    liked: float
    """Estimated share of those who look that click."""
    grade: int
    """0 to 3: by what the liking surely is."""
    weight: float
    """Clicks, each over the chance that its place is looked at, clipped: a mean for each person who clicked."""
    at_us: int
    """Of the last click."""


class FromClicks(msgspec.Struct, frozen=True, kw_only=True):
    """What clicks say."""

    clicked: tuple[Clicked, ...]
    """Those that enough people clicked, by query, the most liked first."""
    examined: tuple[float, ...]
    """How likely each place is looked at, the first as 1."""
    searches: int
    """Searches that were read."""

    def judgments(self, name: str, version: int) -> JudgmentSet:
        """Freeze the graded ones; a query's text is its id."""
        found = [one for one in self.clicked if one.grade > 0]
        queries = {one.query: one.query for one in found}
        graded = (Judgment(one.query, one.document, float(one.grade)) for one in found)
        return frozen(name, version, queries, graded, "clicks")

    def pairs(self) -> list[Pair]:
        """Give the graded ones as evidence, with their weights."""
        return [
            Pair(query=one.query, document=one.document, weight=one.weight, at_us=one.at_us)
            for one in self.clicked
            if one.grade > 0
        ]


class _Looked(msgspec.Struct):
    """What one person did with one document for one query."""

    place: int
    clicked: bool
    at_us: int


def from_clicks(searches: Iterable[Searched], least_people: int = LEAST_PEOPLE) -> FromClicks:
    """Find what people liked. A search that ended with an error, or whose answer was refused, tells nothing of its clicks."""
    told = [one for one in searches if one.error is None and one.shown and one.accepted is not False]
    looked = _looked(told)
    if not looked:
        return FromClicks(clicked=(), examined=(), searches=len(told))
    pairs = sorted(looked)
    pair = np.array([at for at, key in enumerate(pairs) for _ in looked[key]])
    rows = [one for key in pairs for one in looked[key].values()]
    place = np.array([one.place for one in rows])
    click = np.array([one.clicked for one in rows], dtype=float)
    examined, liked = position_model(place, pair, click)
    looks = np.bincount(pair, examined[place], len(pairs))
    clicks = np.bincount(pair, click, len(pairs))
    weights = np.bincount(pair, click * np.minimum(1 / examined[place], CLIP), len(pairs)) / np.maximum(clicks, 1.0)
    found: list[Clicked] = []
    for at in np.flatnonzero(clicks >= max(least_people, 1)).tolist():
        query, document = pairs[at]
        last = max(one.at_us for one in looked[pairs[at]].values() if one.clicked)
        sure, _ = wilson(float(clicks[at]), max(float(looks[at]), float(clicks[at])))
        found.append(
            Clicked(
                query=query,
                document=document,
                people=int(clicks[at]),
                seen_by=float(looks[at]),
                liked=float(liked[at]),
                grade=sum(sure >= level for level in LEVELS),
                weight=float(weights[at]),
                at_us=last,
            )
        )
    found.sort(key=lambda one: (one.query, -one.liked, one.document))
    return FromClicks(clicked=tuple(found), examined=tuple(examined.tolist()), searches=len(told))


def position_model(
    place: NDArray[np.intp], pair: NDArray[np.intp], click: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit examined(place), the first as 1, and liked(pair) by expectation maximisation with priors. Places count from 0."""
    pairs = int(pair.max()) + 1
    lowest, highest = np.full(pairs, len(place)), np.zeros(pairs, dtype=np.intp)
    np.minimum.at(lowest, pair, place)
    np.maximum.at(highest, pair, place)
    telling = (lowest < highest)[pair]  # a pair at one place only says nothing of places: its liking explains all
    guess = 1 / np.arange(1, int(place.max()) + 2)
    examined, liked = guess.copy(), np.full(pairs, 0.3)
    shown, seen = np.bincount(place[telling], minlength=len(guess)), np.bincount(pair, minlength=pairs)
    good, bad = _PRIOR_LIKED
    for _ in range(_ROUNDS):
        looks, likes = examined[place], liked[pair]
        missed = np.maximum(1 - looks * likes, 1e-12)
        looked_at = np.where(click > 0, 1.0, looks * (1 - likes) / missed)
        would_like = np.where(click > 0, 1.0, likes * (1 - looks) / missed)
        liked = (np.bincount(pair, would_like, pairs) + good) / (seen + good + bad)
        looked_at = np.bincount(place[telling], looked_at[telling], len(guess))
        found = (looked_at + guess * _PRIOR_PLACE) / (shown + _PRIOR_PLACE)
        found = np.clip(found / found[0], 1e-3, 1.0)
        moved = float(np.abs(found - examined).max())
        examined = found
        if moved < _TOLERANCE:
            break
    return examined, liked


def _looked(searches: Sequence[Searched]) -> dict[tuple[str, str], dict[str, _Looked]]:
    """Give what each person did, by query and document: clicked where they ever did, else where it was first shown to them."""
    found: dict[tuple[str, str], dict[str, _Looked]] = defaultdict(dict)
    for one in sorted(searches, key=lambda one: (one.at_us, one.id)):
        query, clicked = " ".join(one.query.casefold().split()), frozenset(one.clicked)
        if not query:
            continue
        for place, document in enumerate(dict.fromkeys(one.shown[:DEEPEST])):
            before = found[query, document].get(one.person)
            if before is None or (document in clicked and not before.clicked):
                found[query, document][one.person] = _Looked(place, document in clicked, one.at_us)
    return found
