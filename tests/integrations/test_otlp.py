"""Recorded calls arrive at an OpenTelemetry collector: at least once, with their own ids and times."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meliora.errors import MissingExtra, UpstreamUnreachable
from meliora.integrations.genai import ids, labels
from meliora.integrations.otlp import Exporter
from meliora.settings.models import Otlp, Settings
from meliora.telemetry.records import Attempt, Usage
from tests.integrations.collector import Collector, attributes
from tests.server.house import House, control_house, finished

TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with control_house(tmp_path) as made:
        made.key()
        yield made


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


def exporter(house: House, collector: Collector, *, seconds: float = 5.0, **settings: Any) -> Exporter:
    given = Settings(otlp=Otlp(enabled=True, endpoint=collector.url, **settings))
    return Exporter.of(given, house.store, seconds=seconds)


def drain(made: Exporter) -> None:
    while made.step():
        pass


def test_a_call_becomes_a_span_with_its_own_ids_and_times(house: House, collector: Collector) -> None:
    made = exporter(house, collector)
    made.step()
    began = house.clock.now_us()
    call_id = house.call(
        trace_id=TRACE,
        span_id=SPAN,
        parent_span_id=PARENT,
        provider="openai",
        model_asked="auto",
        model="gpt-5",
        response_id="chatcmpl-1",
        finish_reason="stop",
        user="ada",
        session="s1",
        usage=Usage(input=100, output=20, cached=40),
        attempts=(Attempt("openai/gpt-5", "gpt-5", began, began + 9, 200),),
        tags={"team": "red"},
    )
    house.ingest()
    drain(made)
    (span,) = collector.spans
    assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (TRACE, SPAN, PARENT)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (began * 1000, (began + 250_000) * 1000)
    assert span.name == "chat auto"
    found = attributes(span)
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "auto",
        "gen_ai.response.model": "gpt-5",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "meliora.call.id": call_id,
        "meliora.cost_usd": 0.0015,
        "meliora.tag.team": "red",
        "user.id": "ada",
        "session.id": "s1",
    }
    assert {name: found[name] for name in expected} == expected
    assert "error.type" not in found
    assert [event.name for event in span.events] == ["meliora.attempt"]


def test_a_failed_call_is_a_failed_span(house: House, collector: Collector) -> None:
    made = exporter(house, collector)
    made.step()
    house.call(outcome="error", status=502, error_code="upstream_timeout", model=None, usage=None, cost_micros=None)
    house.ingest()
    drain(made)
    (span,) = collector.spans
    found = attributes(span)
    assert found["error.type"] == "upstream_timeout"
    assert span.status.code == 2
    assert "gen_ai.usage.input_tokens" not in found
    assert "meliora.cost_usd" not in found


def test_durations_and_tokens_are_sent_as_histograms_that_only_grow(house: House, collector: Collector) -> None:
    made = exporter(house, collector)
    made.step()
    for _ in range(2):
        house.call(provider="p")
        house.ingest()
        drain(made)
    latest = {metric.name: metric for metric in collector.metrics}
    (duration,) = latest["gen_ai.client.operation.duration"].histogram.data_points
    assert (duration.count, round(duration.sum, 6)) == (2, 0.5)
    assert latest["gen_ai.client.operation.duration"].unit == "s"
    points = latest["gen_ai.client.token.usage"].histogram.data_points
    kinds = {attributes(point)["gen_ai.token.type"]: point.sum for point in points}
    assert kinds == {"input": 200, "output": 40}
    assert latest["gen_ai.client.token.usage"].histogram.aggregation_temporality == 2


def test_what_a_collector_refused_is_sent_again_and_counted_once(house: House, collector: Collector) -> None:
    made = exporter(house, collector, seconds=0.2)
    made.step()
    sent = [house.call() for _ in range(3)]
    house.ingest()
    for collector.status in (500, 400):
        with pytest.raises(UpstreamUnreachable):
            made.step()
    collector.status = 200
    drain(made)
    assert sorted(attributes(span)["meliora.call.id"] for span in collector.spans) == sorted(sent)
    latest = {metric.name: metric for metric in collector.metrics}
    assert latest["gen_ai.client.operation.duration"].histogram.data_points[0].count == 3


def test_a_collector_that_takes_no_metrics_gets_every_span_once(house: House, collector: Collector) -> None:
    made = exporter(house, collector, seconds=0.2)
    made.step()
    collector.metrics_status = 404
    for _ in range(4):
        house.call()
        house.ingest()
        drain(made)
    assert len(collector.spans) == 4
    collector.metrics_status = 200
    for _ in range(10):
        made.step()
    latest = {metric.name: metric for metric in collector.metrics}
    assert latest["gen_ai.client.operation.duration"].histogram.data_points[0].count == 4


def test_metrics_can_be_switched_off(house: House, collector: Collector) -> None:
    made = exporter(house, collector, metrics=False)
    made.step()
    house.call()
    house.ingest()
    drain(made)
    assert len(collector.spans) == 1
    assert collector.metrics == []


def test_a_collector_that_is_away_loses_nothing(house: House) -> None:
    with Collector() as gone:
        made = exporter(house, gone, seconds=0.2)
        made.step()
    call_id = house.call()
    house.ingest()
    with pytest.raises(UpstreamUnreachable):
        made.step()
    with Collector() as back:
        drain(exporter(house, back))
        assert [attributes(span)["meliora.call.id"] for span in back.spans] == [call_id]


def test_another_worker_goes_on_where_the_last_one_stopped(house: House, collector: Collector) -> None:
    exporter(house, collector).step()
    first = house.call()
    house.ingest()
    drain(exporter(house, collector))
    second = house.call(tenant="other")
    house.key("other")
    house.ingest()
    drain(exporter(house, collector))
    assert [attributes(span)["meliora.call.id"] for span in collector.spans] == [first, second]


def test_the_past_is_not_sent_when_the_export_is_switched_on(house: House, collector: Collector) -> None:
    house.call()
    house.ingest()
    made = exporter(house, collector)
    drain(made)
    assert collector.spans == []
    later = house.call()
    house.ingest()
    drain(made)
    assert [attributes(span)["meliora.call.id"] for span in collector.spans] == [later]


def test_more_calls_than_one_request_takes_are_all_sent(house: House, collector: Collector) -> None:
    made = exporter(house, collector)
    made.step()
    house.record(*(finished(house.store.call_ids.new(), house.clock.now_us()) for _ in range(450)))
    house.ingest()
    drain(made)
    assert len({span.span_id for span in collector.spans}) == 450


@pytest.mark.parametrize("wanted", [True, False])
def test_content_is_sent_only_where_that_is_set(house: House, collector: Collector, wanted: bool) -> None:
    made = exporter(house, collector, content=wanted)
    made.step()
    house.call(content="redacted", request_text='{"messages": []}', response_text="an answer")
    house.ingest()
    drain(made)
    found = attributes(collector.spans[0])
    assert (found.get("output.value") == "an answer") is wanted
    assert (found.get("input.mime_type") == "application/json") is wanted


def test_headers_are_sent_and_may_refer_to_the_environment(
    house: House, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTLP_KEY", "open sesame")
    made = exporter(house, collector, headers={"authorization": "env:OTLP_KEY"})
    made.step()
    house.call()
    house.ingest()
    drain(made)
    assert collector.headers[0]["authorization"] == "open sesame"


def test_without_opentelemetry_the_command_that_installs_it_is_named(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(MissingExtra, match="make setup EXTRAS=otlp"):
        Exporter.of(Settings(), house.store)


def test_ids_that_were_not_recorded_are_made_and_stay_the_same(house: House) -> None:
    call_id = house.call()
    house.ingest()
    call = house.store.calls.get("default", call_id)
    assert ids(call) == ids(call)
    assert ids(call)[2] is None
    assert all(ids(call)[:2])


def test_a_model_that_a_client_made_up_is_no_label(house: House) -> None:
    call_id = house.call(model=None, model_asked="made up", outcome="error", status=404, error_code="unknown_model")
    house.ingest()
    assert "made up" not in labels(house.store.calls.get("default", call_id)).values()
