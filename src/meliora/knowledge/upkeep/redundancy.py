"""Near-duplicates of a collection: which may be consolidated without losing a fact, and which a person has to look at.

A pair is a candidate by its word 3-grams (containment; Broder 1997) and its letters (token-sort ratio); it may be consolidated where
besides both say the same to the last number and name (`agreement`) and belong to the same person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import msgspec
import numpy as np

from meliora.knowledge.documents import Kept
from meliora.knowledge.upkeep.agreement import Disagreement, disagreement
from meliora.knowledge.upkeep.joining import pairs
from meliora.knowledge.upkeep.ratio import most, token_sort_ratio
from meliora.knowledge.upkeep.shingles import WORD, Shingled, shingled
from meliora.knowledge.upkeep.tokens import read

_CACHED = 50_000
_FIELDS = ("user", "category", "language", "metadata")


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From when on two documents are near-duplicates."""

    containment: float = 0.5
    """Share of the shorter one's 3-grams that the other has."""
    ratio: float = 0.78
    """Of sorted words, letter by letter."""
    look: float = 0.6
    """Ratio from which on a person is asked, where 3-grams are contained."""
    surely: float = 0.9
    """Ratio from which on a person is asked, whatever the 3-grams."""
    each: int = 3
    """Pairs of one document that are queued; further ones are counted."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two documents that say the same: one stays, the other may be archived."""

    kept: str
    archived: str
    containment: float
    ratio: float


class Queued(msgspec.Struct, frozen=True, kw_only=True):
    """Two documents that are alike, and why they were not consolidated."""

    a: str
    b: str
    containment: float
    ratio: float
    why: str
    said: str
    """What differs."""


class Redundancy(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a collection."""

    documents: int
    pairs: tuple[Pair, ...]
    queued: tuple[Queued, ...]
    left_out: int
    """Alike pairs beyond `each` of a document, of those that were compared to the end."""
    compared: int


def redundant(kept: Sequence[Kept], thresholds: Thresholds | None = None) -> Redundancy:
    """Find near-duplicates among live documents. The one that was used most stays; of equals the one used or changed last."""
    limits = thresholds or Thresholds()
    live = sorted((one for one in kept if one.state == "live"), key=_worth)
    texts = [f"{_title(one)}\n{one.document.text}" for one in live]
    grams = shingled(texts)
    candidates = pairs(grams, np.arange(len(live)))
    consolidated: dict[int, Pair] = {}
    alike: list[tuple[int, int, float, float, Disagreement]] = []
    compare = _Comparison(live)
    had: Counter[int] = Counter()

    def wanted(a: int, b: int) -> bool:
        enough = had[a] >= limits.each or had[b] >= limits.each
        return a not in consolidated and b not in consolidated and not (enough and grams.facts[a] != grams.facts[b])

    for a, b, containment, ratio in _measured(candidates, texts, grams, limits, wanted):
        found = compare(a, b)
        had.update((a, b) if found is not None else ())
        if found is not None:
            alike.append((a, b, containment, ratio, found))
        elif containment < limits.containment or ratio < limits.ratio:
            alike.append((a, b, containment, ratio, Disagreement("words", "less alike than consolidation asks for")))
        else:
            ids = live[a].document.id, live[b].document.id
            consolidated[b] = Pair(kept=ids[0], archived=ids[1], containment=containment, ratio=ratio)
    queued, left_out = _queued(live, [row for row in alike if not {row[0], row[1]} & consolidated.keys()], limits.each)
    return Redundancy(
        documents=len(live),
        pairs=tuple(consolidated.values()),
        queued=queued,
        left_out=left_out,
        compared=len(candidates),
    )


def _worth(one: Kept) -> tuple[int, int, int, str]:
    return -one.accesses, -(one.accessed_us or 0), -one.updated_us, one.document.id


def _measured(
    candidates: np.ndarray,
    texts: Sequence[str],
    grams: Shingled,
    limits: Thresholds,
    wanted: Callable[[int, int], bool],
) -> Iterator[tuple[int, int, float, float]]:
    """Give the alike ones, those of the worthiest documents first: what is archived is never what another was archived for."""
    least = min(limits.look, limits.surely)
    near = np.minimum(*grams.letters[candidates].T) / np.maximum(grams.letters[candidates].max(axis=1), 1)
    candidates = candidates[_most_of(near) >= least - 0.15]
    of = lru_cache(_CACHED)(grams.of)
    words: Callable[[int], tuple[str, ...]] = lru_cache(_CACHED)(
        lambda at: tuple(WORD.findall(_text(texts, at).lower()))
    )
    for a, b in candidates.tolist():
        if not wanted(a, b):
            continue
        one, other = of(a), of(b)
        containment = len(one & other) / min(len(one), len(other))
        if containment < limits.containment / 2 and grams.bags[a] != grams.bags[b]:
            continue
        lengths = [sum(map(len, words(at))) + len(words(at)) for at in (a, b)]
        enough = limits.look if containment >= limits.containment else limits.surely
        if most(*lengths) < enough:
            continue
        ratio = token_sort_ratio(words(a), words(b), enough)
        if ratio >= enough:
            yield a, b, containment, ratio


def _most_of(shares: np.ndarray) -> np.ndarray:
    """Give the highest ratios that texts of such relative lengths can have."""
    return 2 * shares / (1 + shares)


def _title(kept: Kept) -> str:
    """Give what a document calls itself; where it is called by its place, that says nothing of what it says."""
    document = kept.document
    return "" if document.title in (document.source[:500], document.id) else document.title


def _text(texts: Sequence[str], at: int) -> str:
    return texts[at]


class _Comparison:
    """Compares documents field by field; each is read once."""

    def __init__(self, live: Sequence[Kept]) -> None:
        self._live = live
        self._read = lru_cache(_CACHED)(lambda at: read(_title(live[at]), live[at].document.text))

    def __call__(self, a: int, b: int) -> Disagreement | None:
        one, other = self._live[a], self._live[b]
        differing = [name for name in _FIELDS if getattr(one.document, name) != getattr(other.document, name)]
        if one.marks != other.marks:
            differing.append("marks")
        if differing:
            return Disagreement("fields", ", ".join(differing))
        return disagreement(self._read(a), self._read(b))


def _queued(
    live: Sequence[Kept], alike: Sequence[tuple[int, int, float, float, Disagreement]], each: int
) -> tuple[tuple[Queued, ...], int]:
    had: Counter[int] = Counter()
    queued: list[Queued] = []
    for a, b, containment, ratio, found in sorted(alike, key=lambda row: (-row[3], row[0], row[1])):
        if had[a] >= each or had[b] >= each:
            continue
        had.update((a, b))
        ids = live[a].document.id, live[b].document.id
        queued.append(Queued(a=ids[0], b=ids[1], containment=containment, ratio=ratio, why=found.why, said=found.said))
    return tuple(queued), len(alike) - len(queued)
