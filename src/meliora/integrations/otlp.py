"""Recorded calls as OpenTelemetry spans and metrics, sent over HTTP by the worker. Off by default, needs the extra `otlp`.

A collector that is away stops nothing and loses nothing: the cursor moves once the spans were accepted, so a call is sent at
least once, and always under the same ids. The metrics are sums that only grow: what one request lacked, the next one brings.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import structlog

from meliora import __version__
from meliora.clock import SystemClock
from meliora.errors import MissingExtra, NotFound, UpstreamUnreachable
from meliora.integrations.genai import Attributes, attributes, content_attributes, error_type, ids, labels, operation
from meliora.settings.models import Otlp, Settings
from meliora.settings.secret import resolve_secret
from meliora.store.calls.calls import Call, CallContent, Tail

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import Metric
    from opentelemetry.sdk.trace import ReadableSpan

    from meliora.store import Store

log = structlog.get_logger(__name__)

CURSOR = "otlp_cursor"
"""Deployment value: how far the calls of each tenant were sent."""
INGESTED = "ingest_seq"
"""Deployment value: the number of the call that was ingested last, over all tenants."""
BATCH = 200
"""Most calls of one request; halved while the collector refuses, in case it is their size."""
SECONDS = 10.0
"""How long one request may take, its repetitions included."""
LONGEST_PAUSE = 128
"""Most steps that metrics wait after they were refused."""
SERIES = 2000
"""Most series of one metric; what comes later is counted under `other`."""
SECONDS_BOUNDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKEN_BOUNDS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
"""Both as the conventions advise."""
_SCOPE = "meliora"


class Recorded(Protocol):
    """Where the calls are."""

    def tail(self, tenant: str, after: int | None = None, *, limit: int = 100) -> Tail:
        """Give what was ingested after `after`, in that order."""
        ...

    def content(self, tenant: str, call_id: str) -> CallContent:
        """Give request and answer. Raises `NotFound` where they are not kept."""
        ...


class Values(Protocol):
    """Where the cursor is kept."""

    def value(self, name: str) -> str | None:
        """Give a value."""
        ...

    def put(self, name: str, value: str) -> None:
        """Set a value."""
        ...


class Cursor(msgspec.Struct):
    """How far each tenant's calls were sent; one that is not named begins at `start`."""

    start: int
    tenants: dict[str, int] = {}


@dataclass(slots=True)
class Source:
    """What is exported."""

    calls: Recorded
    values: Values
    tenants: Callable[[], Sequence[str]]
    now_us: Callable[[], int]


@dataclass(slots=True)
class _Series:
    """One series of a histogram, cumulative since the exporter began."""

    counts: list[int]
    total: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")

    def add(self, value: float, bounds: Sequence[float]) -> None:
        self.counts[bisect_left(bounds, value)] += 1
        self.total += value
        self.least = min(self.least, value)
        self.most = max(self.most, value)


_Key = tuple[tuple[str, Any], ...]


@dataclass(slots=True)
class _Sums:
    """All series of the two metrics."""

    duration: dict[_Key, _Series] = field(default_factory=dict)
    tokens: dict[_Key, _Series] = field(default_factory=dict)

    def add(self, call: Call) -> None:
        named = labels(call)
        if call.ended_us is not None:
            _add(self.duration, named, max(0, call.ended_us - call.started_us) / 1e6, SECONDS_BOUNDS)
        for kind, count in (("input", call.tokens_in), ("output", call.tokens_out)):
            if count is not None:
                _add(self.tokens, {**named, "gen_ai.token.type": kind}, count, TOKEN_BOUNDS)


def _add(series: dict[_Key, _Series], named: Attributes, value: float, bounds: Sequence[float]) -> None:
    key: _Key = tuple(sorted(named.items()))
    if key not in series and len(series) >= SERIES:
        key = (("gen_ai.operation.name", "other"),)
    found = series.get(key)
    if found is None:
        found = series[key] = _Series([0] * (len(bounds) + 1))
    found.add(value, bounds)


class Exporter:
    """Send finished calls, a batch a step."""

    def __init__(self, settings: Otlp, source: Source, *, seconds: float = SECONDS) -> None:
        """Prepare to send. Raises `MissingExtra` without OpenTelemetry, `SettingsError` where a header does not resolve."""
        self._source = source
        self._content = settings.content
        self._wire = _Wire(settings, seconds)
        self._sums = _Sums() if settings.metrics else None
        self._unsent = False
        """Whether the sums hold something that the collector has not got."""
        self._refused = self._pause = 0
        """How often in a row the metrics were refused, and for how many steps they wait now."""
        self._began_us = source.now_us()
        self._size = BATCH
        self._sent: str | None = None
        """The newest call when everything had been sent."""

    @classmethod
    def of(cls, settings: Settings, store: Store, *, seconds: float = SECONDS) -> Exporter:
        """Give the exporter over a store. Raises as the constructor."""

        def tenants() -> list[str]:
            # Calls without a key, where they are allowed, belong to the tenant `default`.
            return sorted({*store.keys.tenants(), "default"})

        return cls(settings.otlp, Source(store.calls, store.deployment, tenants, SystemClock().now_us), seconds=seconds)

    def step(self) -> bool:
        """Send one batch of each tenant; say whether there is more.

        Raises `UpstreamUnreachable` where the collector did not take it, having moved nothing, and `StoreError`.
        """
        cursor = self._cursor()
        newest = self._source.values.value(INGESTED)
        if newest == self._sent:
            if self._unsent:
                self._send_sums()
            return False
        more = False
        for tenant in self._source.tenants():
            after = cursor.tenants.get(tenant, cursor.start)
            tail = self._source.calls.tail(tenant, after, limit=self._size)
            if tail.after <= after:
                continue
            self._send([call for call in tail.calls if call.state == "finished"])
            cursor.tenants[tenant] = tail.after
            self._source.values.put(CURSOR, msgspec.json.encode(cursor).decode())
            more = more or len(tail.calls) == self._size
            self._size = min(BATCH, self._size * 2)
        self._sent = None if more else newest
        if self._unsent and not more:
            self._send_sums()
        return more

    def _cursor(self) -> Cursor:
        text = self._source.values.value(CURSOR)
        if text is not None:
            return msgspec.json.decode(text, type=Cursor)
        # The first time: begin with what comes from now on, not with the whole past.
        cursor = Cursor(int(self._source.values.value(INGESTED) or 0))
        self._source.values.put(CURSOR, msgspec.json.encode(cursor).decode())
        return cursor

    def _send(self, calls: list[Call]) -> None:
        if not calls:
            return
        spans = [self._wire.span(call, self._content_of(call)) for call in calls]
        if not self._wire.send_spans(spans):
            self._size = max(1, self._size // 2)
            raise UpstreamUnreachable(
                "The OTLP collector did not take the calls; they will be sent again.",
                hint="Check [otlp] in the settings.",
            )
        if self._sums is not None:
            for call in calls:
                self._sums.add(call)
            self._unsent = True

    def _send_sums(self) -> None:
        """Send the sums. Where the collector takes none, calls go on to be sent and the sums are tried ever more seldom."""
        assert self._sums is not None
        if self._pause:
            self._pause -= 1
            return
        moment = (self._began_us * 1000, self._source.now_us() * 1000)
        metrics = [
            self._wire.histogram("gen_ai.client.operation.duration", "s", self._sums.duration, SECONDS_BOUNDS, moment),
            self._wire.histogram("gen_ai.client.token.usage", "{token}", self._sums.tokens, TOKEN_BOUNDS, moment),
        ]
        if self._wire.send_metrics(metrics):
            self._unsent, self._refused = False, 0
            return
        self._refused += 1
        self._pause = min(2**self._refused, LONGEST_PAUSE)
        log.warning(
            "the OTLP collector did not take the metrics; calls are sent all the same",
            refused=self._refused,
            hint="Set otlp.metrics = false if it takes traces only.",
        )

    def _content_of(self, call: Call) -> Attributes:
        if not self._content:
            return {}
        try:
            return content_attributes(self._source.calls.content(call.tenant, call.id))
        except NotFound:
            return {}


class _Wire:
    """OpenTelemetry's own encoding and transport. Everything that imports it is in here."""

    def __init__(self, settings: Otlp, seconds: float) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        except ModuleNotFoundError as error:
            raise MissingExtra(
                "The OTLP export needs OpenTelemetry.",
                hint="Run `make setup EXTRAS=otlp`, or `pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http`.",
            ) from error
        base = settings.endpoint.rstrip("/")
        headers = {name: resolve_secret(value) for name, value in settings.headers.items()}
        self._spans = OTLPSpanExporter(endpoint=f"{base}/v1/traces", headers=headers, timeout=seconds)
        self._metrics = OTLPMetricExporter(endpoint=f"{base}/v1/metrics", headers=headers, timeout=seconds)
        self._resource = Resource({"service.name": "meliora", "service.version": __version__})
        self._scope = InstrumentationScope(_SCOPE, __version__)

    def span(self, call: Call, content: Attributes) -> ReadableSpan:
        """Make the span of a call, with its recorded ids and times."""
        from opentelemetry.sdk.trace import Event, ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        trace, span, parent = ids(call)
        sampled = TraceFlags(TraceFlags.SAMPLED)
        error = error_type(call)
        return ReadableSpan(
            name=f"{operation(call)} {call.model_asked}",
            context=SpanContext(trace, span, is_remote=False, trace_flags=sampled),
            parent=SpanContext(trace, parent, is_remote=True, trace_flags=sampled) if parent is not None else None,
            resource=self._resource,
            attributes={**attributes(call), **content},
            events=[
                Event(
                    "meliora.attempt",
                    {name: value for name, value in attempt.items() if value is not None},
                    attempt["started_us"] * 1000,
                )
                for attempt in call.attempts or ()
            ],
            kind=SpanKind.CLIENT,
            status=Status(StatusCode.UNSET) if error is None else Status(StatusCode.ERROR, call.error_message or error),
            start_time=call.started_us * 1000,
            end_time=(call.started_us if call.ended_us is None else call.ended_us) * 1000,
            instrumentation_scope=self._scope,
        )

    def histogram(
        self, name: str, unit: str, series: dict[_Key, _Series], bounds: Sequence[float], moment: tuple[int, int]
    ) -> Metric:
        """Make a metric of all series, cumulative."""
        from opentelemetry.sdk.metrics.export import AggregationTemporality, Histogram, HistogramDataPoint, Metric

        points = [
            HistogramDataPoint(
                attributes=dict(key),
                start_time_unix_nano=moment[0],
                time_unix_nano=moment[1],
                count=sum(one.counts),
                sum=one.total,
                bucket_counts=one.counts,
                explicit_bounds=bounds,
                min=one.least,
                max=one.most,
            )
            for key, one in series.items()
        ]
        return Metric(name, "", unit, Histogram(points, AggregationTemporality.CUMULATIVE))

    def send_spans(self, spans: list[ReadableSpan]) -> bool:
        """Send spans; tell whether they were taken."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        return self._spans.export(spans) is SpanExportResult.SUCCESS

    def send_metrics(self, metrics: list[Metric]) -> bool:
        """Send metrics; tell whether they were taken."""
        from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, ResourceMetrics, ScopeMetrics

        scoped = ScopeMetrics(self._scope, [metric for metric in metrics if metric.data.data_points], "")
        data = MetricsData([ResourceMetrics(self._resource, [scoped], "")])
        return self._metrics.export(data) is MetricExportResult.SUCCESS
