"""How far and how fast the loop may go: its environment, its gates and triggers, trials, watches, approvals."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from meliora.settings.section import Name, Seconds, Section, Share

Environment = Literal["dev", "staging", "production"]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]

RECORDED_METRICS = (
    "error_rate",
    "latency_mean",
    "avg_latency_ms",
    "latency_p50",
    "latency_p95",
    "latency_p99",
    "cost_per_1k",
    "cost_per_1k_requests",
    "satisfaction",
    "nps",
    "budget_share",
    "ingest_lag",
    "etl_lag",
    "gpu_utilisation",
    "gpu_utilization",
    "ndcg@10",
    "ndcg_at_10",
    "search_success",
    "ndcg10",
    "recall@20",
    "recall_at_20",
    "vector_store_errors",
)
"""Names of metrics that a gate may be on without saying where they come from."""


class LoopGate(Section):
    """What must hold. A gate of a shipped one's name takes its place; see docs/gates.md for the metrics."""

    name: Name = Field(description="Name it is known by.")
    metric: Name = Field(
        description="Metric it is on, e.g. `error_rate`; any name where `source` is not the recorded calls."
    )
    direction: Literal["min", "max"] = Field(
        description="`max`: the threshold is the most that is allowed; `min`: the least."
    )
    threshold: float = Field(description="Bound, in the metric's unit.")
    relative: bool = Field(
        default=False,
        description="The threshold is a change relative to the frozen baseline: -0.03 with `min` is 3% below it.",
    )
    source: Literal["telemetry", "pushed", "prometheus", "function", "simulated"] | None = Field(
        default=None,
        description="Recorded calls, `record_metric`, Prometheus, a function of yours, or (in dev only) a simulation.",
    )
    query: str = Field(
        default="", description="prometheus: the PromQL. function: `module:function`. pushed: the metric's name."
    )
    window_seconds: Positive = Field(default=3600, description="Seconds that the value is of.")
    every_seconds: Positive = Field(default=300, description="Seconds between two evaluations.")
    minimum: Count = Field(
        default=100, description="Requests (or observations) in the window, below which there is no data."
    )
    fail_after: Count = Field(default=2, description="Evaluations in a row that must find it broken.")
    pass_after: Count = Field(default=3, description="Evaluations in a row within bounds before it passes again.")
    near: float = Field(default=0.1, ge=0, lt=1, description="Share of the bound within which it is near.")
    severity: Literal["info", "warning", "critical"] = Field(default="warning", description="How bad it is.")
    environments: list[Environment] = Field(default=[], description="Where it holds; empty: everywhere.")
    model: str = Field(default="", description="Only calls of this model.")
    endpoint: str = Field(default="", description="Only calls of this endpoint (`PROVIDER/MODEL`).")
    task: str = Field(default="", description="Only calls of this task.")
    feature: str = Field(default="", description="Only calls of this feature.")

    @model_validator(mode="after")
    def _has_what_it_takes(self) -> LoopGate:
        if self.source in ("prometheus", "function") and not self.query:
            raise ValueError(f"a gate from {self.source} takes a query")
        return self


class LoopTrigger(Section):
    """What to do when a gate breaks. A trigger of a shipped one's name takes its place."""

    name: Name = Field(description="Name it is known by.")
    gate: Name = Field(description="Gate that sets it off.")
    kinds: list[Name] = Field(description="Kinds of change to try, in this order.", min_length=1)
    diagnosis: Literal[
        "none", "quality", "corpus", "latency", "ingest", "cost", "store", "errors", "feedback", "capacity"
    ] = Field(default="none", description="What is looked into for the cause.")
    threshold: float | None = Field(
        default=None, description="Value from which it acts; empty: whenever the gate fails."
    )
    response_seconds: Positive = Field(default=3600, description="Seconds within which a change must be proposed.")
    rollback_at: float | None = Field(
        default=None, description="Undo a delivered change when the metric is worse than this; empty: never by itself."
    )
    rollback_relative: bool = Field(
        default=False,
        description="`rollback_at` is a share of the baseline that it may be worse by: 0 undoes what is worse at all.",
    )
    enabled: bool = Field(default=True, description="Whether it takes part.")


class Durations(Section):
    """Least seconds of a whole trial, by environment."""

    dev: Seconds = Field(default=60, description="In dev.")
    staging: Seconds = Field(default=3600, description="In staging.")
    production: Seconds = Field(default=604_800, description="In production: seven days.")
    kinds: dict[Name, Seconds] = Field(default={}, description="For a kind of change, whatever the environment.")


class Shadowing(Section):
    """What a shadow may take: calls that nobody is shown, made by Meliora and paid by it."""

    share: float = Field(
        default=0.2, gt=0, le=1, description="Share of users (sessions, keys) whose calls are shadowed."
    )
    most: Count = Field(default=4, description="Shadow calls of one gateway at a time.")
    budget_usd: float = Field(
        default=1.0,
        ge=0,
        description="US dollars a day (UTC), over all gateways; within `loop.budget_usd` where that is set.",
    )
    timeout: Positive = Field(default=120, description="Seconds a shadow call may take; then it counts as failed.")
    tools: bool = Field(default=False, description="Shadow calls with tools too. Nothing is executed either way.")
    only: bool = Field(
        default=False, description="What wins in the shadow is delivered without a live stage, as policies permit."
    )


class Trial(Section):
    """How candidates are tried on live traffic, where the kind of change does not say otherwise."""

    ab_testing: bool = Field(default=True, description="Try a change on part of the traffic before it is delivered.")
    ab_split_ratio: float = Field(
        default=0.2, gt=0, le=0.5, description="Largest share of the candidate's arm: 80/20 by default."
    )
    stages: list[Annotated[float, Field(gt=0, le=0.5)]] = Field(
        default=[0.01, 0.05], description="Shares before that one, in ascending order; those above it are left out."
    )
    stage_seconds: Seconds = Field(default=600, description="Least seconds in each stage but the last.")
    maximum_seconds: Positive = Field(
        default=1_209_600, description="Without a decision until then it pauses as inconclusive."
    )

    shadow: bool = Field(
        default=False, description="Begin with a shadow: the candidate's answers are scored and never shown."
    )
    shadow_kinds: dict[Name, bool] = Field(default={}, description="For a kind of change, whatever `shadow` says.")
    shadowing: Shadowing = Shadowing()
    minimum_seconds: Durations = Durations()

    @field_validator("stages")
    @classmethod
    def _ascends(cls, stages: list[float]) -> list[float]:
        if stages != sorted(set(stages)):
            raise ValueError("stages are shares in ascending order")
        return stages


class Watch(Section):
    """How a delivered change is watched: twelve checks, ten minutes apart, against a holdback."""

    checks: Count = Field(default=12, description="Checks before it is kept.")
    every_seconds: Positive = Field(default=600, description="Seconds between two of them.")
    holdback: float = Field(default=0.2, ge=0, le=0.5, description="Share of traffic that stays on the baseline.")
    minimum_calls: Count = Field(default=100, description="Calls a check waits for.")
    latency_ratio: float = Field(default=1.5, gt=1, description="Latency over the baseline's at which it is undone.")
    consecutive_failures: Count = Field(default=2, description="Failed checks in a row at which it is undone.")
    total_failures: Count = Field(default=3, description="Failed checks in all at which it is undone.")
    errors: Count = Field(default=3, description="Checks in a row that could not be made, after which it pauses.")
    rollback_on_degrade: bool = Field(
        default=True, description="Undo by itself what degrades; otherwise it pauses and asks."
    )


class Margins(Section):
    """By how much a metric may get worse, in a trial or a watch, and still count as no worse."""

    reward: float = Field(default=0.02, ge=0, le=1, description="Of the mean reward, which lies in 0..1.")
    error_rate: float = Field(default=0.01, ge=0, le=1, description="Of the share of calls that fail.")
    cost_per_call: float = Field(default=0.1, ge=0, description="As a share of the baseline's cost.")
    latency_p95: float = Field(default=0.2, ge=0, description="As a share of the baseline's latency.")


class Approval(Section):
    """When a person is asked."""

    required: bool = Field(
        default=False, description="Every delivery waits for a person, whatever the environment and the kind."
    )
    auto_promote: bool = Field(
        default=True,
        description="In production, deliver by itself what won its trial. In staging a person always approves.",
    )
    expires_seconds: Positive = Field(default=604_800, description="Seconds after which a request lapses.")


class LoopPrometheus(Section):
    """Prometheus as a source of gates (`source = "prometheus"`)."""

    url: str = Field(default="", description="Address, e.g. `http://prometheus:9090`; empty: none is asked.")
    token: str = Field(default="", description="Reference (`env:NAME`, `file:PATH`) to a bearer token.")
    ca_file: str = Field(default="", description="PEM file of the authority that signs it, besides the system's.")
    timeout: Positive = Field(default=10, description="Seconds an answer may take; then there is no data.")


class Alerts(Section):
    """What is told, and where to."""

    on_degrade: bool = Field(default=True, description="Tell of gates that fail and changes that are undone.")
    slack_webhook: str = Field(default="", description="Reference (`env:NAME`, `file:PATH`) to a Slack webhook's URL.")
    apprise: list[str] = Field(
        default=[], description="References to addresses of Apprise (mail, Teams, ...). Takes the extra `apprise`."
    )
    alertmanager: str = Field(
        default="", description="Address of an Alertmanager, e.g. `http://alertmanager:9093`; empty: none is told."
    )
    alertmanager_token: str = Field(default="", description="Reference to a bearer token for it.")
    ca_file: str = Field(default="", description="PEM file of the authority that signs it, besides the system's.")
    severity: Literal["info", "warning", "critical"] = Field(default="warning", description="The least that is told.")
    quiet_seconds: Seconds = Field(default=3600, description="Seconds for which the same alert is not told again.")
    repeat_seconds: Positive = Field(default=86_400, description="Seconds after which what still holds is told again.")
    per_hour: Count = Field(
        default=20, description="Alerts told an hour, at most. Critical ones and ends are always told; the rest waits."
    )
    timeout: Positive = Field(default=10, description="Seconds a sink may take; then it is tried again.")


class Tracking(Section):
    """Where cycles are known besides their files. Each takes its extra: `meliora[mlflow]`, `meliora[dvc]`."""

    mlflow: str = Field(default="", description="MLflow's tracking URI, e.g. `http://mlflow:5000`; empty: no runs.")
    experiment: str = Field(default="meliora", min_length=1, description="MLflow's experiment.")
    dvc: bool = Field(default=False, description="Keep data sets in a DVC repository, `dvc` beside the artifacts.")


class Loop(Section):
    """The loop. Out of the box it stands in `staging`: it finds, proves and tries, and a person delivers."""

    enabled: bool = Field(default=True, description="Look at gates and take changes through their lifecycle.")
    environment: Environment = Field(
        default="staging",
        description=(
            "`dev`: signals may be simulated, nothing is delivered. `staging`: changes are tried, a person delivers. "
            "`production`: what wins is delivered, and undone when it degrades."
        ),
    )
    interval: Positive = Field(default=900, description="Seconds between two cycles.")
    max_cycles_per_day: Count = Field(default=6, description="Cycles a day (UTC), at most.")
    max_changes_per_day: Count = Field(default=10, description="Changes delivered a day (UTC), at most.")
    cooldown_seconds: Seconds = Field(default=3600, description="Seconds a target is left alone after a change of it.")
    budget_usd: float | None = Field(
        default=None, ge=0, description="US dollars a day that the loop's own model calls and training may cost."
    )
    budget_alert: Share = Field(default=0.8, description="Share of a budget from which it is told.")
    lease_seconds: Positive = Field(default=60, description="Seconds a worker holds what it takes up.")
    gateway_lease_seconds: float = Field(
        default=60,
        ge=5,
        description="A gateway that hears nothing of the control process for longer serves the baselines, not what is on trial.",
    )
    artifacts: str = Field(
        default="", description="Folder of artifacts and reports; empty: `artifacts` in the state directory."
    )
    retrain: str = Field(
        default="0 2 * * 0",
        description="When policies are fitted again whatever the gates say, as cron has it (UTC); empty: never.",
    )
    searches: str = Field(
        default="30 3 * * *",
        description=(
            "When searches of the last day are looked into whatever the gates say, as cron has it (UTC); empty: never. Where the"
            " diagnosis names no cause, nothing is proposed."
        ),
    )
    policies: Path | None = Field(
        default=None,
        description="Directory of your own Cedar policies (`*.cedar`), asked besides Meliora's. They may only forbid.",
    )
    replace_policies: bool = Field(
        default=False, description="Let the policies of `loop.policies` replace Meliora's, and permit too."
    )
    protected: list[str] = Field(
        default=[], description="Targets that are tried and changed only with a person's approval, e.g. `routing`."
    )
    audit_key: str = Field(
        default="",
        description="Reference (`env:NAME`, `file:PATH`) to the key that signs the audit's head. Empty: the deployment's secret.",
    )
    kill_switch: bool = Field(
        default=False, description="Start with everything on its baselines and nothing moving but rollbacks."
    )
    mock_signals: bool = Field(
        default=False, description="dev only: gates on recorded and pushed figures read a healthy simulation."
    )
    shipped_gates: bool = Field(default=True, description="Whether the gates of the documents hold.")
    reading_days: Positive = Field(default=30, description="Days that evaluations of gates are kept.")
    gates: list[LoopGate] = Field(default=[], description="Gates, besides or in place of the shipped.")
    triggers: list[LoopTrigger] = Field(default=[], description="Triggers, besides or in place of the shipped.")
    trial: Trial = Trial()
    watch: Watch = Watch()
    margins: dict[Name, Margins] = Field(
        default={}, description="By kind of change, in place of 0.02 reward, 0.01 errors, 10% cost and 20% latency."
    )
    approval: Approval = Approval()
    prometheus: LoopPrometheus = LoopPrometheus()
    alerts: Alerts = Alerts()
    tracking: Tracking = Tracking()

    @field_validator("retrain", "searches")
    @classmethod
    def _is_cron(cls, text: str) -> str:
        if text and not _is_cron(text):
            raise ValueError("a schedule has five fields, as cron has them: minute hour day month weekday")
        return text

    @model_validator(mode="after")
    def _simulates_in_dev_only(self) -> Loop:
        if self.mock_signals and self.environment != "dev":
            raise ValueError(f"signals are not simulated in {self.environment}; only dev may")
        for gate in self.gates:
            if gate.source == "simulated" and self.environment != "dev":
                raise ValueError(f"the gate {gate.name!r} is on a simulated signal in {self.environment}; only dev may")
        for kind, things in (("gates", self.gates), ("triggers", self.triggers)):
            names = [one.name for one in things]
            if len(set(names)) != len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise ValueError(f"there are two {kind} {twice!r}")
        return self


_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_PART = re.compile(r"(\*|\d+(?:-\d+)?)(?:/(\d+))?")


def _is_cron(text: str) -> bool:
    fields = text.split()
    if len(fields) != len(_RANGES):
        return False
    for field, (least, most) in zip(fields, _RANGES, strict=True):
        for part in field.split(","):
            found = _PART.fullmatch(part)
            if found is None or (found[2] is not None and int(found[2]) < 1):
                return False
            ends = [int(end) for end in found[1].split("-")] if found[1] != "*" else [least]
            if not all(least <= end <= most for end in ends) or ends != sorted(ends):
                return False
    return True
