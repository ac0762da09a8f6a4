"""Parts of a diagnosis of searches that count alone: slices, moment, sources, corpus, reranker."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from meliora.diagnosis.cube import Cube
from meliora.diagnosis.moment import began
from meliora.diagnosis.records import Explained, FoundSlice, Moment, Point
from meliora.diagnosis.search.records import CorpusChange, Drifted
from meliora.diagnosis.search.seen import CorpusSeen, FeatureSeen, SearchSeen, Seen
from meliora.diagnosis.slices import scan
from meliora.stats.drift import population_stability, standardised_difference
from meliora.stats.multiple import benjamini_hochberg
from meliora.stats.special import student_cdf

SPANS = 12
"""Spans of a window that a beginning is sought in."""
DRIFTED = 0.2
"""Standard deviations from which a moved feature is told: small by Cohen, 1988."""
_LEVEL = 0.01
_LEAST_JUDGED = 20


def sliced(before: Sequence[SearchSeen], now: Sequence[SearchSeen]) -> Explained | None:
    """Scan for searches by attributes that explain the lost gain; None where a window has no judged search."""
    return _scanned(before, now, lambda one: {"language": one.language, **one.attributes})


def sourced(before: Sequence[SearchSeen], now: Sequence[SearchSeen]) -> tuple[FoundSlice, ...] | None:
    """Scan for sources, categories and states of the documents that should answer; None where a window has no judged search of which
    that is known. Where searches of all documents got worse alike, no source is named."""
    sides = [[one for one in side if one.answer] for side in (before, now)]
    found = _scanned(sides[0], sides[1], lambda one: one.answer)
    return None if found is None else tuple(one for one in found.slices if one.attributes)


def _scanned(
    before: Sequence[SearchSeen], now: Sequence[SearchSeen], told: Callable[[SearchSeen], Mapping[str, str | None]]
) -> Explained | None:
    judged = [[(told(one), one.gain) for one in side if one.gain is not None] for side in (before, now)]
    if not all(judged):
        return None
    names = tuple(sorted({name for side in judged for values, _ in side for name in values}))
    rows = (
        ([values.get(name) for name in names], window, (1.0, 1.0, 1.0 - gain))
        for window, side in enumerate(judged)
        for values, gain in side
    )
    return scan(Cube.of(names, rows, ("calls", "judged", "dissatisfied")).problem("dissatisfied"))


def moment_of(seen: Seen, before: Sequence[SearchSeen], now: Sequence[SearchSeen]) -> Moment | None:
    """Find when the gain began to fall; None where too few were judged or no moment stands out."""
    judged = [
        one
        for side, window in ((before, seen.window_before), (now, seen.window_now))
        for one in side
        if one.gain is not None and window.since_us <= one.at_us < window.until_us
    ]
    length = seen.window_now.until_us - seen.window_now.since_us
    if len(judged) < _LEAST_JUDGED or length < SPANS:
        return None
    width = length // SPANS
    spans: dict[int, list[float]] = {}
    for one in judged:
        spans.setdefault(one.at_us // width * width, []).append(1.0 - (one.gain or 0.0))
    return began([Point(start, sum(lost), len(lost)) for start, lost in spans.items()], width, money=True)


def corpus_change(before: CorpusSeen | None, now: CorpusSeen | None) -> CorpusChange | None:
    """Give an audit's counts in shares; None without an audit now or without documents."""
    if now is None or now.documents <= 0:
        return None
    return CorpusChange(
        added=_share(now.added, now),
        deleted=_share(now.deleted, now),
        faults=_faults(now),
        faults_before=None if before is None or before.documents <= 0 else _faults(before),
        extra=_share(now.extra, now),
        lag=now.lag,
    )


def drifted(features: Iterable[FeatureSeen]) -> tuple[Drifted, ...]:
    """Give the features that moved beyond chance and by as much as matters, those first that cost most."""
    found: list[Drifted] = []
    for one in features:
        moved = standardised_difference(one.mean_before, one.mean_now, one.deviation)
        if moved is None or one.n_before < 2 or one.n_now < 1:
            continue
        found.append(
            Drifted(
                name=one.name,
                difference=moved,
                stability=population_stability(one.bins_before, one.bins_now)
                if one.bins_before and len(one.bins_before) == len(one.bins_now)
                else None,
                lost=_gone(one.contribution_before, one.contribution_now),
                p_value=2 * student_cdf(-abs(moved) / (1 / one.n_before + 1 / one.n_now) ** 0.5, one.n_before - 1),
            )
        )
    held = benjamini_hochberg([one.p_value for one in found], _LEVEL) if found else []
    kept = [one for one, told in zip(found, held, strict=True) if told and abs(one.difference) >= DRIFTED]
    return tuple(sorted(kept, key=lambda one: (-(one.lost or 0.0), -abs(one.difference), one.name)))


def _gone(before: float | None, now: float | None) -> float | None:
    return before - now if before is not None and now is not None and math.isfinite(before - now) else None


def _share(count: int | None, corpus: CorpusSeen) -> float | None:
    return None if count is None else count / corpus.documents


def _faults(corpus: CorpusSeen) -> float | None:
    counted = [count for count in (corpus.missing, corpus.stale, corpus.quarantined) if count is not None]
    return min(1.0, sum(counted) / corpus.documents) if counted else None
