"""What was diagnosed: the findings as they were told, and the diagnostic report of a cycle. Diagnoses nothing itself."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from msgspec import UNSET, UnsetType

from meliora.diagnosis.finding import Finding, report
from meliora.errors import NotFound
from meliora.server.again import Again
from meliora.server.auth import HereControl, ReadCaller
from meliora.server.inputs import Cursor, PageLimit
from meliora.server.shapes import Answer, says

router = APIRouter(tags=["findings"], route_class=Again)


class FindingList(msgspec.Struct, frozen=True):
    """Findings, the newest first."""

    items: tuple[Finding, ...]
    next: str | None = None


class DistributionChange(msgspec.Struct, frozen=True, kw_only=True):
    """How the words of searches moved; null where words were not looked at."""

    new_tokens: tuple[str, ...] | None
    """That no passage has, and that recur."""
    coverage: float | None
    """Part of the words now that the passages have."""


class RootCause(msgspec.Struct, frozen=True, kw_only=True):
    """The largest cause; its type is null where none was found beyond chance."""

    type: str | None
    affected_categories: tuple[str, ...]
    distribution_change: DistributionChange


class Insights(msgspec.Struct, frozen=True, kw_only=True):
    """What the cause is told by; null where it was not measured."""

    low_coverage_tokens: tuple[str, ...] | None
    importance_scores: dict[str, float | None] | None
    """Of words, the gain that each lost; of slices of calls, the part of the excess that each explains."""
    suggested_action: str | None


class RecommendedAction(msgspec.Struct, frozen=True, kw_only=True):
    """What to try: a repair of queries with its words, or a change of something else with what it could bring."""

    type: str
    method: str | UnsetType | None = UNSET
    target_tokens: tuple[str, ...] | UnsetType | None = UNSET
    estimated_examples: int | UnsetType | None = UNSET
    target: str | UnsetType | None = UNSET
    expected_improvement: float | UnsetType | None = UNSET


class StageLatency(msgspec.Struct, frozen=True, kw_only=True):
    """The 95th percentile of a stage where it ran; null for a window in which too few searches ran it."""

    p95_before_ms: float | None
    p95_now_ms: float | None


class SearchLatency(msgspec.Struct, frozen=True, kw_only=True):
    """What searches took, whole and by stage."""

    p95_before_ms: float | None
    p95_now_ms: float | None
    slower_stage: str | None
    """That made searches slower beyond chance; null where none did, or all did alike."""
    stages: dict[str, StageLatency]


class DiagnosticReport(msgspec.Struct, frozen=True, kw_only=True):
    """The same as a cycle's artifact `diagnostic_report.json`."""

    cycle_id: str
    timestamp: str
    trigger: str
    """The metric that was looked into."""
    current_value: float | None
    baseline: float | None
    delta: float | None
    root_cause_analysis: RootCause
    xai_insights: Insights
    recommended_actions: tuple[RecommendedAction, ...]
    latency: SearchLatency | None
    """Null for a finding about calls, and where too few searches were timed."""


@router.get("/api/v1/findings", **says(FindingList))
def listed(
    caller: ReadCaller,
    control: HereControl,
    metric: Annotated[str | None, Query(max_length=100, description="Only those of this metric.")] = None,
    limit: PageLimit = 50,
    cursor: Cursor = None,
) -> Answer:
    """List what was diagnosed, the newest first."""
    page = control.store.findings.list(caller.tenant, metric=metric, limit=limit, cursor=cursor)
    return Answer(FindingList(page.items, page.next))


@router.get("/api/v1/findings/{finding_id}", **says(Finding, 404))
def show(finding_id: str, caller: ReadCaller, control: HereControl) -> Answer:
    """Show a finding: slices, moment, words, losses, corpus, reranker, latency, and the repairs in their order."""
    return Answer(control.store.findings.get(caller.tenant, finding_id))


@router.get("/api/v1/optimizer/cycles/{cycle_id}/diagnosis", **says(DiagnosticReport, 404))
def diagnosed(cycle_id: str, caller: ReadCaller, control: HereControl) -> Answer:
    """Give the diagnostic report of a cycle, also while it is open."""
    cycle = control.store.cycles.get(caller.tenant, cycle_id)
    changes = control.store.changes.of_cycle(caller.tenant, cycle.id)
    finding = next((one.finding for one in changes if one.finding is not None), None)
    if finding is None:
        raise NotFound(
            f"Nothing was diagnosed in cycle {cycle.id}.", hint="Look again once a change of it is `diagnosed`."
        )
    told = report(control.store.findings.get(caller.tenant, finding), cycle.id)
    return Answer(msgspec.convert(told, DiagnosticReport))
