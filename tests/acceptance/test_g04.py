"""G4: measurements with name, value, unit, context and time."""

from __future__ import annotations

import sqlalchemy as sa

from meliora.store.tables import performance_metrics
from meliora.testing.stack import RunningMeliora
from tests.gateway.asking import get, post


def test_g04_a_metric_is_kept_with_the_documented_columns(meliora: RunningMeliora) -> None:
    """What is recorded over HTTP stands in the table under the documented names, to four decimals and more."""
    context = {"layer": "balanced", "model": "gpt-4o"}
    body = {"name": "routing_latency", "value": 156.7891, "unit": "ms", "context": context}
    assert post(meliora.gateway, "/api/v1/metrics", body).status == 201
    with meliora.store.engine.connect() as connection:
        rows = connection.execute(sa.select(performance_metrics)).mappings().all()
    assert [row["metric_name"] for row in rows] == ["routing_latency"]
    (row,) = rows
    assert (row["metric_value"], row["metric_unit"], row["context"]) == (156.7891, "ms", context)
    assert row["recorded_at"] > 0
    (point,) = get(meliora.gateway, "/api/v1/metrics?name=routing_latency").json["items"]
    assert (point["metric_value"], point["metric_unit"], point["context"]) == (156.7891, "ms", context)


def test_g04_a_value_that_no_column_holds_is_refused(meliora: RunningMeliora) -> None:
    """NaN, infinity and numbers past the column are a 400, and nothing is kept."""
    for value in (b"NaN", b"1e400", b"1e15", b'"12"'):
        raw = b'{"name": "a", "unit": "ms", "value": ' + value + b"}"
        assert post(meliora.gateway, "/api/v1/metrics", raw).status == 400, value
    assert get(meliora.gateway, "/api/v1/metrics").json["items"] == []
