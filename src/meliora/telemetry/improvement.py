"""The improvement manager: heuristics, metrics and model performance as one desk, and the report over all of it.

Knows no database: what it needs it asks for by the small protocols below. Refuses to call a write a success that was none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from meliora.errors import InvalidRequest

TIERS = ("fast", "balanced", "deep", "code")
TOP_MODELS, RECENT_BUGS = 5, 10


class Heuristic(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A routing rule as an agent sees it. `success_rate` is per cent (0..100), None where nobody said."""

    pattern: str
    id: str = ""
    preferred_layer: str | None = None
    preferred_model: str | None = None
    priority: int = 0
    active: bool = True
    reasoning: str | None = None
    success_rate: float | None = None
    usage_count: int | None = None


class HeuristicChange(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be different about the heuristic of this pattern; None leaves a thing as it stands."""

    pattern: str
    preferred_layer: str | None = None
    preferred_model: str | None = None
    priority: int | None = None
    active: bool | None = None
    reasoning: str | None = None
    success_rate: float | None = None
    usage_count: int | None = None


class ModelScore(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A model at a task. `success_rate` is per cent; a mean is None where nothing stands behind it; `avg_cost` in US dollars."""

    model_id: str
    task_type: str
    success_rate: float | None
    avg_latency_ms: float | None
    avg_cost: float | None
    total_calls: int


class TopModel(msgspec.Struct, frozen=True):
    """A model over all its tasks; `successRate` is per cent."""

    model: str
    successRate: float  # noqa: N815 - the documented name
    calls: int


class RecentBug(msgspec.Struct, frozen=True):
    """A bug pattern and how often it was seen."""

    severity: str
    pattern: str
    occurrences: int


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How far the system has come: counts, the best models, the latest bugs."""

    regression_tests: int
    bug_patterns: int
    routing_heuristics: int
    top_models: tuple[TopModel, ...]
    recent_bugs: tuple[RecentBug, ...]


class Analysis(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the numbers say: models by task, metrics, and the same as text to read."""

    task_type: str | None
    models: tuple[ModelScore, ...]
    metrics: tuple[Any, ...]
    text: str
    report: Report | None


class Heuristics(Protocol):
    """Keeps routing rules as heuristics."""

    def list(self, tenant: str, *, active_only: bool) -> Sequence[Heuristic]:
        """Give them in the order they are tried."""
        ...

    def keep(self, tenant: str, heuristic: Heuristic) -> Heuristic:
        """Make the heuristic of this pattern what is given, and give it as it was kept."""
        ...


class Measured(Protocol):
    """Keeps measurements."""

    def record(self, tenant: str, name: str, value: float, unit: str, context: dict[str, Any] | None = None) -> Any:
        """Keep one observation and give it as it was kept."""
        ...

    def analyze(self, tenant: str, *, task_type: str | None = None) -> Sequence[Any]:
        """Summarise each metric."""
        ...


class Score(Protocol):
    """A row of model performance; `success_rate` is a share."""

    @property
    def model_id(self) -> str: ...
    @property
    def task_type(self) -> str: ...
    @property
    def total_calls(self) -> int: ...
    @property
    def successes(self) -> int: ...
    @property
    def success_rate(self) -> float | None: ...
    @property
    def avg_latency_ms(self) -> float | None: ...
    @property
    def avg_cost(self) -> float | None: ...


class Performances(Protocol):
    """Keeps how models do."""

    def update(
        self,
        tenant: str,
        model_id: str,
        task_type: str,
        *,
        success: bool,
        latency_ms: float | None,
        cost_usd: float | None,
    ) -> Score:
        """Add one outcome; None is unknown."""
        ...

    def list(self, tenant: str, task_type: str | None = None) -> Sequence[Score]:
        """Give all."""
        ...


class Findings(Protocol):
    """Keeps regression tests and bug patterns."""

    def regression_tests(self, tenant: str) -> int:
        """Count the regression tests."""
        ...

    def bug_patterns(self, tenant: str) -> int:
        """Count the bug patterns."""
        ...

    def recent_bugs(self, tenant: str, limit: int) -> Sequence[RecentBug]:
        """Give those seen last."""
        ...


class NoFindings:
    """Stands in for regression tests and bug patterns where nothing keeps any."""

    def regression_tests(self, tenant: str) -> int:
        """Count none."""
        return 0

    def bug_patterns(self, tenant: str) -> int:
        """Count none."""
        return 0

    def recent_bugs(self, tenant: str, limit: int) -> Sequence[RecentBug]:
        """Give none."""
        return ()


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the manager gets and keeps things."""

    heuristics: Heuristics
    metrics: Measured
    performances: Performances
    check_pattern: Callable[[str], None]
    """Raise `InvalidRequest` for a pattern that does not compile."""
    findings: Findings = NoFindings()  # noqa: RUF009 - it has no state
    create_tables: Callable[[], object] = _nothing
    """Bring the schema up to date; safe to repeat."""


class ImprovementManager:
    """Everything that learns from use goes through here. All methods but `initialize_tables` take the tenant."""

    def __init__(self, sources: Sources) -> None:
        self._of = sources

    def initialize_tables(self) -> None:
        """Create what is missing of the tables; repeating it changes nothing."""
        self._of.create_tables()

    def get_routing_heuristics(self, tenant: str, active_only: bool = True) -> tuple[Heuristic, ...]:
        """Give the heuristics in the order they are tried."""
        return tuple(self._of.heuristics.list(tenant, active_only=active_only))

    def update_routing_heuristic(self, tenant: str, change: HeuristicChange) -> Heuristic:
        """Create or change the heuristic of a pattern; what the change leaves out stays as it stands.

        Raises as `wished` does.
        """
        return self._of.heuristics.keep(tenant, self.wished(tenant, change)[1])

    def wished(self, tenant: str, change: HeuristicChange) -> tuple[Heuristic | None, Heuristic]:
        """Give the heuristic of a pattern as it stands (None: there is none), and as it shall be. Changes nothing.

        Raises `InvalidRequest` for a bad pattern, an unknown tier, a rate outside 0..100, a negative count, or no target at all.
        """
        self._of.check_pattern(change.pattern)
        _check_heuristic(change)
        known = {one.pattern: one for one in self._of.heuristics.list(tenant, active_only=False)}
        stands = known.get(change.pattern)
        before = stands or Heuristic(pattern=change.pattern)
        wished = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
        after = msgspec.structs.replace(before, **wished)
        if after.preferred_layer is None and after.preferred_model is None:
            raise InvalidRequest(
                "A heuristic names a preferred layer or a preferred model.", hint="Add one.", field="preferredLayer"
            )
        return stands, after

    def record_metric(
        self, tenant: str, name: str, value: float, unit: str, context: dict[str, Any] | None = None
    ) -> Any:
        """Keep one observation. Raises `InvalidRequest` for a value that is no finite number."""
        if not math.isfinite(value):
            raise InvalidRequest(f"The value of {name!r} is {value}.", hint="Write a finite number.", field="value")
        return self._of.metrics.record(tenant, name, value, unit, context)

    def update_model_performance(
        self,
        tenant: str,
        model_id: str,
        task_type: str,
        *,
        success: bool,
        latency_ms: float | None,
        cost: float | None,
    ) -> ModelScore:
        """Add one outcome. `cost` in US dollars; None is unknown and enters no mean."""
        row = self._of.performances.update(
            tenant, model_id, task_type, success=success, latency_ms=latency_ms, cost_usd=cost
        )
        return _score(row)

    def model_performance(self, tenant: str, task_type: str | None = None) -> tuple[ModelScore, ...]:
        """Give how each model does at each task."""
        return tuple(_score(row) for row in self._of.performances.list(tenant, task_type))

    def analyze_metrics(self, tenant: str, task_type: str | None = None, *, include_report: bool = True) -> Analysis:
        """Summarise models and metrics, of one task if named; with the report unless it is not wanted."""
        models = self.model_performance(tenant, task_type)
        report = self.generate_report(tenant) if include_report else None
        metrics = tuple(self._of.metrics.analyze(tenant, task_type=task_type))
        return Analysis(
            task_type=task_type, models=models, metrics=metrics, text=_as_text(models, report), report=report
        )

    def generate_report(self, tenant: str) -> Report:
        """Count what was learned and name the best models and the latest bugs."""
        findings = self._of.findings
        return Report(
            regression_tests=findings.regression_tests(tenant),
            bug_patterns=findings.bug_patterns(tenant),
            routing_heuristics=len(self._of.heuristics.list(tenant, active_only=False)),
            top_models=_top(self._of.performances.list(tenant)),
            recent_bugs=tuple(findings.recent_bugs(tenant, RECENT_BUGS))[:RECENT_BUGS],
        )


def _check_heuristic(change: HeuristicChange) -> None:
    if change.preferred_layer is not None and change.preferred_layer not in TIERS:
        raise InvalidRequest(
            f"There is no tier {change.preferred_layer[:50]!r}.",
            hint=f"One of {', '.join(TIERS)}.",
            field="preferredLayer",
        )
    rate = change.success_rate
    if rate is not None and not 0 <= rate <= 100:
        raise InvalidRequest(f"A success rate of {rate}.", hint="Write per cent, 0 to 100.", field="successRate")
    if change.usage_count is not None and change.usage_count < 0:
        raise InvalidRequest(f"A usage count of {change.usage_count}.", hint="Write 0 or more.", field="usageCount")


def _score(row: Score) -> ModelScore:
    return ModelScore(
        model_id=row.model_id,
        task_type=row.task_type,
        success_rate=None if row.success_rate is None else row.success_rate * 100,
        avg_latency_ms=row.avg_latency_ms,
        avg_cost=row.avg_cost,
        total_calls=row.total_calls,
    )


def _top(rows: Sequence[Score]) -> tuple[TopModel, ...]:
    """Rank models by their successes over all tasks; the more often called one first where they are equal."""
    sums: dict[str, tuple[int, int]] = {}
    for row in rows:
        calls, successes = sums.get(row.model_id, (0, 0))
        sums[row.model_id] = (calls + row.total_calls, successes + row.successes)
    ranked = [TopModel(model, 100 * good / calls, calls) for model, (calls, good) in sums.items() if calls]
    ranked.sort(key=lambda one: (-one.successRate, -one.calls, one.model))
    return tuple(ranked[:TOP_MODELS])


def _as_text(models: Sequence[ModelScore], report: Report | None) -> str:
    lines = ["Model performance"] if models else ["Model performance: nothing was recorded yet."]
    for one in models:
        lines.append(f"\n{one.model_id} ({one.task_type})")
        lines.append(f"  success rate  {_shown(one.success_rate, '{:.2f}%')}")
        lines.append(f"  mean latency  {_shown(one.avg_latency_ms, '{:.0f} ms')}")
        lines.append(f"  mean cost     {_shown(one.avg_cost, '${:.6f}')}")
        lines.append(f"  calls         {one.total_calls}")
    if report is not None:
        lines.append("\nSelf-improvement")
        lines.append(f"  regression tests    {report.regression_tests}")
        lines.append(f"  bug patterns        {report.bug_patterns}")
        lines.append(f"  routing heuristics  {report.routing_heuristics}")
    return "\n".join(lines)


def _shown(value: float | None, form: str) -> str:
    return "unknown" if value is None else form.format(value)
