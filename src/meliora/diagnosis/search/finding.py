"""The record of why searches got worse, and its report. What was not measured is null in both."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from meliora.diagnosis.kinds import words
from meliora.diagnosis.records import Explained, FoundSlice, Moment
from meliora.diagnosis.search.records import (
    CorpusChange,
    Drifted,
    Loss,
    QueryLoss,
    Repair,
    Slower,
    StageTime,
    Unknown,
    WeakToken,
)

_TYPES = {
    "reindex": "index_fault",
    "reranker": "reranker_drift",
    "fusion_weights": "ranking",
    "spelling": "misspelt_queries",
    "expansion": "vocabulary_shift",
}


class SearchFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What was found; `recommended` is empty where no cause was."""

    id: str
    at_us: int
    trigger: str
    """The metric that a gate saw, such as `search_gain`."""
    gain_now: float | None
    gain_before: float | None
    judged: tuple[int, int]
    looked_at: tuple[int, int]
    """Searches, before and now."""
    weak: tuple[WeakToken, ...]
    unknown: Unknown
    losses: tuple[Loss, ...]
    explanation: Explained | None
    moment: Moment | None
    corpus: CorpusChange | None
    features: tuple[Drifted, ...]
    slower: Slower | None
    queries: tuple[QueryLoss, ...] = ()
    """Single ones that got worse, that first which lost most."""
    sources: tuple[FoundSlice, ...] | None = None
    """By source, category and state of the documents that should answer; None where these are not known."""
    stages: tuple[StageTime, ...] = ()
    """What searches took, whole and by stage; empty where too few were timed."""
    recommended: tuple[Repair, ...] = ()
    people: Mapping[str, tuple[str, ...]] = {}
    """By each word and each query that it names: keyed hashes of who asked with it; an empty one stands for people not known by name."""

    @property
    def named(self) -> frozenset[str]:
        """Give the words of searches that it names."""
        tokens = (token for one in self.recommended for token in one.tokens)
        return frozenset((*(one.term for one in self.weak), *self.unknown.new, *tokens))

    @property
    def asked(self) -> frozenset[str]:
        """Give the queries that it names."""
        return frozenset(one.query for one in self.queries if one.query is not None)


def unnamed(finding: SearchFinding, words: Collection[str], people: Mapping[str, tuple[str, ...]]) -> SearchFinding:
    """Give a finding that names these words and queries no more; its figures stay. `people` stand behind those that it still names."""
    return msgspec.structs.replace(
        finding,
        weak=tuple(one for one in finding.weak if one.term not in words),
        unknown=msgspec.structs.replace(
            finding.unknown, new=tuple(one for one in finding.unknown.new if one not in words)
        ),
        queries=tuple(
            msgspec.structs.replace(one, query=None) if one.query in words else one for one in finding.queries
        ),
        recommended=tuple(less(one, words) for one in finding.recommended),
        people=people,
    )


def less(one: Repair, words: Collection[str]) -> Repair:
    """Give a recommendation that names these words no more."""
    return msgspec.structs.replace(one, tokens=tuple(token for token in one.tokens if token not in words))


def report(finding: SearchFinding, cycle_id: str) -> dict[str, Any]:
    """Give the finding as `diagnostic_report.json` of a cycle."""
    first = finding.recommended[0] if finding.recommended else None
    known = finding.gain_now is not None and finding.gain_before is not None
    worded = finding.unknown.share_now is not None
    slices = (*(finding.explanation.slices if finding.explanation is not None else ()), *(finding.sources or ()))
    weak = [one for one in finding.weak if one.believed]
    lost = {one.term: one.expected - one.gain for one in weak if one.expected is not None and one.gain is not None}
    return {
        "cycle_id": cycle_id,
        "timestamp": datetime.fromtimestamp(finding.at_us / 1e6, UTC).isoformat(),
        "trigger": finding.trigger,
        "current_value": finding.gain_now,
        "baseline": finding.gain_before,
        "delta": (finding.gain_now or 0.0) - (finding.gain_before or 0.0) if known else None,
        "root_cause_analysis": {
            "type": None if first is None else _TYPES[first.method or first.kind],
            "affected_categories": [words(one.attributes) for one in slices],
            "distribution_change": {
                "new_tokens": list(finding.unknown.new) if worded else None,
                "coverage": finding.unknown.coverage,
            },
        },
        "xai_insights": {
            "low_coverage_tokens": [one.term for one in weak] if weak or (worded and finding.judged[1]) else None,
            "importance_scores": lost or None,
            "suggested_action": None if first is None else first.reason,
        },
        "recommended_actions": [_action(one) for one in finding.recommended],
        "latency": _latency(finding),
    }


def _latency(finding: SearchFinding) -> dict[str, Any] | None:
    if not finding.stages:
        return None
    times = {
        one.stage: {"p95_before_ms": _ms(one.p95_before_us), "p95_now_ms": _ms(one.p95_now_us)}
        for one in finding.stages
    }
    named = None if finding.slower is None else finding.slower.stage
    return times.pop(None) | {"slower_stage": named, "stages": times}


def _ms(us: int | None) -> float | None:
    return None if us is None else us / 1000


def _action(one: Repair) -> dict[str, Any]:
    if one.kind == "query_repair":
        return {
            "type": one.kind,
            "method": one.method,
            "target_tokens": list(one.tokens) or None,
            "estimated_examples": one.searches,
        }
    return {"type": one.kind, "target": one.reason, "expected_improvement": one.expected}
