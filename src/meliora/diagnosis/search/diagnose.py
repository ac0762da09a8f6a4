"""From two windows of searches to a finding with the repairs to try."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from meliora.diagnosis.search.choose import choose
from meliora.diagnosis.search.finding import SearchFinding
from meliora.diagnosis.search.latency import by_stage, slower
from meliora.diagnosis.search.losses import losses
from meliora.diagnosis.search.parts import corpus_change, drifted, moment_of, sliced, sourced
from meliora.diagnosis.search.queries import worst_queries
from meliora.diagnosis.search.seen import SearchSeen, Seen, Vocabulary, usable
from meliora.diagnosis.search.weak import weak_tokens
from meliora.diagnosis.search.words import Words, unknown_words


def diagnose_search(
    seen: Seen, vocabulary: Vocabulary, *, id: str, at_us: int, trigger: str = "search_gain"
) -> SearchFinding:
    """Find why searches got worse. Works on whatever is known: without judgments only shares and audits speak."""
    before, now = usable(seen.before), usable(seen.now)
    told_before, told_now = (tuple(one for one in side if one.worded) for side in (before, now))
    words = Words.of(told_before, told_now, vocabulary)
    weak = weak_tokens(words, told_before, told_now)
    finding = SearchFinding(
        id=id,
        at_us=at_us,
        trigger=trigger,
        gain_now=_mean(now),
        gain_before=_mean(before),
        judged=(_judged(before), _judged(now)),
        looked_at=(len(before), len(now)),
        weak=weak,
        unknown=unknown_words(words, told_before, told_now),
        losses=losses(words, weak, told_before, told_now),
        queries=worst_queries(before, now),
        explanation=sliced(before, now),
        sources=sourced(before, now),
        moment=moment_of(seen, before, now),
        corpus=corpus_change(seen.corpus_before, seen.corpus_now),
        features=drifted(seen.features),
        slower=slower(before, now),
        stages=by_stage(before, now),
    )
    return msgspec.structs.replace(finding, recommended=choose(finding))


def _mean(searches: Sequence[SearchSeen]) -> float | None:
    judged = [(one.gain, one.weight) for one in searches if one.gain is not None]
    total = sum(weight for _, weight in judged)
    return sum(gain * weight for gain, weight in judged) / total if total else None


def _judged(searches: Sequence[SearchSeen]) -> int:
    return sum(one.gain is not None for one in searches)
