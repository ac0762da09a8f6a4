"""Counts of calls and attempts, kept as plain numbers and turned into Prometheus families only when somebody asks.

A call touches seven of them. Prometheus' own counters take a lock and a validation each, which together cost a call more than
reading its body; the gateway is one thread, and needs neither.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from meliora.telemetry.records import CallFinished

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
_OVERHEAD = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25)
_RESULTS = frozenset(
    (
        "ok",
        "cancelled",
        "upstream_unreachable",
        "upstream_timeout",
        "upstream_broken",
        "overloaded",
        "rate_limit_exceeded",
        "insufficient_quota",
        "overloaded_error",
        "rate_limit_error",
        "api_error",
        "server_error",
    )
)
"""Results of attempts that have a label of their own; every other error of a provider is `refused`."""
MOST = 1000
"""Models, and endpoints, that have a label of their own. Where a provider passes any name on, a client's word becomes a label; past
this many all others are counted as `other`."""


class _Buckets:
    """A histogram: how many values fell at or below each bound and above the one before, and their sum."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def cumulated(self) -> list[tuple[str, float]]:
        """Give the exposition's buckets: upper bound and how many are at or below it."""
        total = 0
        found: list[tuple[str, float]] = []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self.counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


class _Model:
    """What is counted of one model."""

    __slots__ = ("calls", "cost_micros", "input", "latency", "name", "output", "ttft", "unpriced")

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: dict[tuple[str, str, int], int] = {}
        self.latency = _Buckets(_SECONDS)
        self.ttft = _Buckets(_SECONDS)
        self.input = self.output = 0
        self.cost_micros = 0
        self.unpriced = 0


class Tally(Collector):
    """Count finished calls."""

    def __init__(self) -> None:
        self._models: dict[str, _Model] = {}
        self._overhead = _Buckets(_OVERHEAD)
        self._attempts: dict[tuple[str, str], int] = {}

    def attempt(self, endpoint: str, result: str) -> None:
        """Count an attempt; `result` is `ok` or an error's code."""
        key = (endpoint, result if result in _RESULTS else "refused")
        count = self._attempts.get(key)
        if count is None:
            key = (endpoint if len(self._attempts) < 4 * MOST else "other", key[1])
            count = self._attempts.get(key, 0)
        self._attempts[key] = count + 1

    def finished(self, record: CallFinished) -> None:
        """Count a finished call."""
        of = self._models.get(record.model or "none") or self._add(record.model or "none")
        key = (record.dialect, record.outcome, record.status)
        of.calls[key] = of.calls.get(key, 0) + 1
        of.latency.observe((record.ended_us - record.started_us) / 1e6)
        if record.ttft_us is not None:
            of.ttft.observe(record.ttft_us / 1e6)
        usage = record.usage
        if usage is not None:
            of.input += usage.input or 0
            of.output += usage.output or 0
        if record.cost_micros is not None:
            of.cost_micros += record.cost_micros
        elif record.outcome == "ok":
            of.unpriced += 1
        if record.overhead_us is not None:
            self._overhead.observe(record.overhead_us / 1e6)

    def collect(self) -> Iterable[Metric]:
        """Give everything that was counted, as Prometheus wants it."""
        models = list(dict.fromkeys(self._models.values()))
        calls = CounterMetricFamily(
            "meliora_calls", "Calls by outcome.", labels=["model", "dialect", "outcome", "status"]
        )
        tokens = CounterMetricFamily("meliora_tokens", "Tokens by direction.", labels=["model", "direction"])
        cost = CounterMetricFamily("meliora_cost_dollars", "Cost in US dollars, where it is known.", labels=["model"])
        unpriced = CounterMetricFamily(
            "meliora_unpriced_calls", "Answered calls whose cost is unknown.", labels=["model"]
        )
        for of in models:
            for (dialect, outcome, status), count in of.calls.items():
                calls.add_metric([of.name, dialect, outcome, str(status)], count)
            tokens.add_metric([of.name, "input"], of.input)
            tokens.add_metric([of.name, "output"], of.output)
            cost.add_metric([of.name], of.cost_micros / 1e6)
            unpriced.add_metric([of.name], of.unpriced)
        attempts = CounterMetricFamily("meliora_attempts", "Attempts at endpoints.", labels=["endpoint", "result"])
        for (endpoint, result), count in self._attempts.items():
            attempts.add_metric([endpoint, result], count)
        yield from (calls, tokens, cost, unpriced, attempts)
        yield from self._histograms(models)

    def _histograms(self, models: list[_Model]) -> Iterator[Metric]:
        latency = HistogramMetricFamily("meliora_call_seconds", "Duration of calls.", labels=["model"])
        ttft = HistogramMetricFamily(
            "meliora_first_token_seconds", "Time to the first content of a stream.", labels=["model"]
        )
        for of in models:
            latency.add_metric([of.name], of.latency.cumulated(), of.latency.sum)
            ttft.add_metric([of.name], of.ttft.cumulated(), of.ttft.sum)
        yield latency
        yield ttft
        yield HistogramMetricFamily(
            "meliora_overhead_seconds",
            "Time that the gateway itself added.",
            buckets=self._overhead.cumulated(),
            sum_value=self._overhead.sum,
        )

    def _add(self, name: str) -> _Model:
        """Begin a model; past `MOST` its counts go to one that stands for all others."""
        if len(self._models) >= MOST:
            others = self._models.get("other") or _Model("other")
            if len(self._models) < 2 * MOST:  # remembered, so that the look-up is not missed each time
                self._models["other"] = self._models[name] = others
            return others
        of = self._models[name] = _Model(name)
        return of
