"""The record of a gate: which metric must stay on which side of what, over which time, and how sure one has to be."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from meliora.errors import InvalidRequest
from meliora.loop.change import Environment
from meliora.loop.gates.metrics import GateMetric, SourceKind, metric, nearest

Direction = Literal["min", "max"]
"""`min`: the least that is allowed; `max`: the most."""
Severity = Literal["info", "warning", "critical"]
DIMENSIONS = ("model", "endpoint", "task", "feature")


class Slice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which calls count; None: all."""

    model: str | None = None
    endpoint: str | None = None
    task: str | None = None
    feature: str | None = None


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate is compared with, frozen: figures of a time, under an id of their own. Nothing changes it but freezing another."""

    id: str
    metric: str
    value: float
    n: int
    since_us: int
    until_us: int
    per_query: dict[str, float] = {}
    """Of a paired metric: the value of each frozen query."""


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold. Exactly one of `threshold` and `change` is given."""

    name: str
    metric: str
    direction: Direction
    threshold: float | None = None
    """In the metric's unit."""
    change: float | None = None
    """Relative to the frozen baseline: -0.03 with `min` fails when it is more than 3% below."""
    source: SourceKind | None = None
    """None: where the metric comes from by itself."""
    query: str = ""
    """Of Prometheus: the PromQL; of a function: `module:function`; of a pushed metric: its name, where that is another."""
    window_seconds: float = 3600.0
    every_seconds: float = 300.0
    minimum: int = 100
    """Requests (or observations) in the window, below which there is no data."""
    fail_after: int = 2
    """Evaluations in a row that must find it broken."""
    pass_after: int = 3
    """Evaluations in a row that must find it within bounds before it passes again."""
    near: float = 0.1
    """Within this share of the threshold, or of the change that is allowed, it is near."""
    severity: Severity = "warning"
    environments: tuple[Environment, ...] = ()
    """Empty: everywhere."""
    where: Slice = Slice()

    def of(self) -> GateMetric:
        """Give the metric it is on."""
        return metric(self.metric, self.source)

    @property
    def kind(self) -> SourceKind:
        """Where its figures come from."""
        return self.source or self.of().source

    def bound(self, baseline: Baseline | None) -> float | None:
        """Give the value that must not be passed, None where the baseline it is relative to was never frozen."""
        if self.threshold is not None:
            return self.threshold
        return None if baseline is None else baseline.value * (1 + (self.change or 0.0))

    def beyond(self, value: float, bound: float) -> bool:
        """Tell whether a value is on the wrong side. nan is."""
        return not (value >= bound if self.direction == "min" else value <= bound)

    def close(self, value: float, bound: float) -> bool:
        """Tell whether a value is beyond, or within the band before the bound."""
        allowed = bound if self.change is None else bound / (1 + self.change) * self.change
        band = abs(allowed) * self.near
        return self.beyond(value, bound + band if self.direction == "min" else bound - band)


def check(gate: Gate, environment: Environment) -> Gate:
    """Give the gate, its metric under the name it is known by. Raises `InvalidRequest` for one that cannot be judged, or not here."""
    if not gate.name or not gate.name.isprintable():
        raise InvalidRequest("A gate needs a name.", field="name")
    found = metric(gate.metric, gate.source)
    if not -1 < (gate.change or 0.0) < math.inf:
        raise _wrong(gate, f"has change = {gate.change}", "Write a share above -1, e.g. -0.03.", "change")
    if gate.direction not in ("min", "max"):
        raise _wrong(gate, "has no direction", "Write direction = 'max' (the most allowed) or 'min'.", "direction")
    given = [one for one in (gate.threshold, gate.change) if one is not None]
    if len(given) != 1 or not math.isfinite(given[0]):
        raise _wrong(gate, "takes one finite threshold or change", "Write one of the two.", "threshold")
    if gate.threshold is not None and not _fits(found, gate, gate.threshold):
        raise _wrong(gate, f"has a threshold that {found.name} cannot pass: {gate.threshold}", "", "threshold")
    numbers = {"window_seconds": gate.window_seconds, "every_seconds": gate.every_seconds}
    for name, seconds in numbers.items():
        if not 0 < seconds < math.inf:
            raise _wrong(gate, f"has {name} = {seconds}", "Write a number above 0.", name)
    for name, count in {"minimum": gate.minimum, "fail_after": gate.fail_after, "pass_after": gate.pass_after}.items():
        if count < 1:
            raise _wrong(gate, f"has {name} = {count}", "Write 1 or more.", name)
    if not 0 <= gate.near < 1:
        raise _wrong(gate, f"has near = {gate.near}", "Write a share from 0 to 1.", "near")
    kind = gate.source or found.source
    if kind == "simulated" and environment != "dev":
        raise _wrong(gate, f"is on a simulated signal in {environment}", "Only dev may simulate.", "source")
    if kind in ("prometheus", "function") and not gate.query:
        what = "PromQL" if kind == "prometheus" else "module:function"
        raise _wrong(gate, f"comes from {kind} and has no query", f"Write query = '{what}'.", "query")
    if kind == "telemetry" and found.source != "telemetry":
        raise _wrong(gate, f"is on {found.name}, which no call tells", 'Write source = "pushed".', "source")
    return msgspec.structs.replace(gate, metric=found.name)


def check_all(gates: Iterable[Gate], environment: Environment) -> tuple[Gate, ...]:
    """Check gates and give those that hold in this environment. Raises `InvalidRequest`, also for two of one name."""
    found: dict[str, Gate] = {}
    for gate in gates:
        if gate.name in found:
            raise InvalidRequest(f"There are two gates {gate.name!r}.", hint="Rename one.", field="name")
        found[gate.name] = check(gate, environment)
    return tuple(gate for gate in found.values() if not gate.environments or environment in gate.environments)


def named(gates: Iterable[Gate], name: str) -> Gate:
    """Give the gate of a name. Raises `InvalidRequest` with the nearest."""
    known = {gate.name: gate for gate in gates}
    if name not in known:
        raise InvalidRequest(f"There is no gate {name!r}.", hint=nearest(name, known), field="gate")
    return known[name]


def defaults() -> tuple[Gate, ...]:
    """Give the gates of the documents: thresholds, and the relative ones that triggers speak of."""
    day = 86_400.0
    quality: dict[str, Any] = {"direction": "min", "window_seconds": day, "minimum": 30, "near": 0.02}
    searched: dict[str, Any] = {**quality, "minimum": 100}
    return (
        Gate(name="ndcg", metric="ndcg@10", threshold=0.75, severity="critical", **quality),
        Gate(name="ndcg_drop", metric="ndcg@10", change=-0.03, **quality),
        Gate(name="recall_drop", metric="recall@20", change=-0.05, **quality),
        Gate(name="search_success", metric="search_success", change=-0.05, **searched),
        Gate(name="latency", metric="latency_mean", direction="max", threshold=500.0),
        Gate(name="latency_p95", metric="latency_p95", direction="max", threshold=800.0),
        Gate(name="errors", metric="error_rate", direction="max", threshold=0.01, severity="critical"),
        Gate(name="cost", metric="cost_per_1k", direction="max", threshold=0.5),
        Gate(name="budget", metric="budget_share", direction="max", threshold=0.8, minimum=1, fail_after=1),
        Gate(name="satisfaction", metric="satisfaction", threshold=4.0, **quality),
        Gate(name="ingest", metric="ingest_lag", direction="max", threshold=60.0, every_seconds=60.0, minimum=1),
        Gate(name="gpu", metric="gpu_utilisation", direction="max", threshold=0.85, minimum=1, fail_after=3),
        Gate(
            name="vector_store",
            metric="vector_store_errors",
            direction="max",
            threshold=3.0,
            every_seconds=60.0,
            minimum=1,
            fail_after=1,
            severity="critical",
        ),
    )


def _fits(found: GateMetric, gate: Gate, threshold: float) -> bool:
    """Tell whether values can lie on either side of a threshold."""
    if found.form == "rate":
        return 0 < threshold < 1
    sampled = found.form == "quantile" or (found.form == "mean" and gate.direction == "max")
    return threshold > 0 or not sampled


def _wrong(gate: Gate, what: str, hint: str, field: str) -> InvalidRequest:
    return InvalidRequest(f"The gate {gate.name!r} {what}.", hint=hint, field=field)
