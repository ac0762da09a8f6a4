"""Parts of a diagnosis of searches that count alone: slices, moment, corpus, reranker, latency."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from meliora.diagnosis.cube import Cube
from meliora.diagnosis.moment import began
from meliora.diagnosis.records import Explanation, Moment, Point
from meliora.diagnosis.search.records import CorpusChange, Drifted, Slower
from meliora.diagnosis.search.seen import CorpusSeen, FeatureSeen, SearchSeen, Seen
from meliora.diagnosis.slices import scan
from meliora.stats.drift import population_stability, share_rise_z, standardised_difference
from meliora.stats.multiple import benjamini_hochberg
from meliora.stats.special import student_cdf

SPANS = 12
"""Spans of a window that a beginning is sought in."""
DRIFTED = 0.2
"""Standard deviations from which a moved feature is told: small by Cohen, 1988."""
_LEVEL = 0.01
_LEAST_JUDGED, _LEAST_TIMED, _LEAST_SLOW = 20, 40, 4


def sliced(before: Sequence[SearchSeen], now: Sequence[SearchSeen]) -> Explanation | None:
    """Scan for searches by attributes that explain the lost gain; None where a window has no judged search."""
    judged = [[one for one in searches if one.gain is not None] for searches in (before, now)]
    if not all(judged):
        return None
    names = tuple(sorted({"language", *(name for side in judged for one in side for name in one.attributes)}))
    rows = (
        ([_value(one, name) for name in names], window, (1.0, 1.0, 1.0 - (one.gain or 0.0)))
        for window, side in enumerate(judged)
        for one in side
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


def slower(before: Sequence[SearchSeen], now: Sequence[SearchSeen]) -> Slower | None:
    """Tell whether the 95th percentile got slower, and which stage did; None where too few were timed or it is not clearly slower.

    Clearly: so many searches now are above the percentile of before as chance does not bring (z of 3).
    """
    sides = [
        [one.stages_us for one in side if one.stages_us and min(one.stages_us.values()) >= 0] for side in (before, now)
    ]
    if any(len(side) < _LEAST_TIMED for side in sides):
        return None
    totals = [np.array([sum(stages.values()) for stages in side], dtype=float) for side in sides]
    old, new = (float(np.quantile(total, 0.95)) for total in totals)
    above = [float((total > old).sum()) for total in totals]
    risen = share_rise_z(above[1], len(totals[1]), above[0], len(totals[0]))
    if new <= old or risen is None or risen < 3:
        return None
    slowest = [
        [stages for stages, spent in zip(side, total.tolist(), strict=True) if spent >= top]
        for side, total, top in zip(sides, totals, (old, new), strict=True)
    ]
    names = sorted({name for side in slowest for stages in side for name in stages})
    means = {name: [sum(one.get(name, 0) for one in side) / len(side) for side in slowest] for name in names}
    name = max(names, key=lambda each: means[each][1] - means[each][0])
    grown = sum(now_ - old_ for old_, now_ in means.values())
    share = min(1.0, (means[name][1] - means[name][0]) / grown) if grown > 0 else 1.0
    stage = name if share >= 0.5 and _stands_out(name, slowest, len(names)) else None
    return Slower(
        stage=stage,
        p95_before_us=round(old),
        p95_now_us=round(new),
        stage_before_us=None if stage is None else round(means[name][0]),
        stage_now_us=None if stage is None else round(means[name][1]),
        share=None if stage is None else share,
    )


def _stands_out(name: str, slowest: Sequence[Sequence[dict[str, int]]], stages: int) -> bool:
    """Tell whether a stage grew by more than the other ones did: by the logarithm of how they stand to each other (Welch, Biometrika
    34, 1947), at a level that pays for choosing it (Bonferroni)."""
    if stages < 2:
        return True
    sides = [
        np.log1p([one.get(name, 0) for one in side]) - np.log1p([_rest(name, one) for one in side]) for side in slowest
    ]
    if any(len(side) < _LEAST_SLOW for side in sides):
        return False
    errors = [float(side.var(ddof=1)) / len(side) for side in sides]
    moved, error = float(sides[1].mean() - sides[0].mean()), sum(errors)
    if error <= 0:
        return moved > 0
    freedom = error**2 / sum(each**2 / (len(side) - 1) for each, side in zip(errors, sides, strict=True))
    return student_cdf(-moved / error**0.5, freedom) <= _LEVEL / stages


def _rest(name: str, stages: dict[str, int]) -> int:
    return sum(spent for each, spent in stages.items() if each != name)


def _gone(before: float | None, now: float | None) -> float | None:
    return before - now if before is not None and now is not None and math.isfinite(before - now) else None


def _value(one: SearchSeen, name: str) -> str | None:
    return one.language if name == "language" else one.attributes.get(name)


def _share(count: int | None, corpus: CorpusSeen) -> float | None:
    return None if count is None else count / corpus.documents


def _faults(corpus: CorpusSeen) -> float | None:
    counted = [count for count in (corpus.missing, corpus.stale, corpus.quarantined) if count is not None]
    return min(1.0, sum(counted) / corpus.documents) if counted else None
