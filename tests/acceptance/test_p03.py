"""P3: the documented gates with their bounds, each in its own direction, and no data is no pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from meliora.loop.gates.gate import defaults
from tests.acceptance.lives import living

DOCUMENTED = {
    "ndcg@10": ("min", 0.75),
    "latency_mean": ("max", 500.0),
    "error_rate": ("max", 0.01),
    "cost_per_1k": ("max", 0.5),
    "satisfaction": ("min", 4.0),
    "gpu_utilisation": ("max", 0.85),
}


@pytest.mark.parametrize("metric", DOCUMENTED)
def test_p03_a_gate_fails_on_its_own_side_of_its_bound_alone(metric: str, switched: None) -> None:
    """A greatest value is not held to as a least, nor the other way round."""
    direction, bound = DOCUMENTED[metric]
    (gate,) = [one for one in defaults() if one.metric == metric and one.threshold is not None]
    assert (gate.direction, gate.threshold) == (direction, bound)
    sides = (bound * 0.9, bound * 1.1)
    assert [gate.beyond(value, bound) for value in sides] == ([True, False] if direction == "min" else [False, True])


def test_p03_what_was_never_measured_neither_fails_nor_passes(tmp_path: Path, switched: None) -> None:
    """Gates without data say so, and a measured breach after some ticks is a failure."""
    with living(tmp_path) as life:
        assert life.tick() is None
        assert life.get("/api/v1/optimizer/quality-gates")["status"] == "no_data"
        for _ in range(4):
            life.house.store.metrics.record("default", "gpu_utilisation", 0.99, "share")
            life.house.clock.advance(300)
            life.tick()
        found = {row["name"]: row for row in life.get("/api/v1/optimizer/quality-gates")["items"]}
        assert found["gpu"]["standing"]["state"] == "fail" and found["errors"]["standing"]["state"] == "no_data"
