"""P20: what the loop reports was measured, with its interval, or is null; it claims nothing."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.lives import living


def test_p20_a_gain_is_reported_with_its_interval_and_what_was_not_measured_is_null(
    tmp_path: Path, switched: None
) -> None:
    """The difference of the arms of its trial; no latency and no NDCG was measured, so none is said."""
    with living(tmp_path) as life:
        assert life.get("/api/v1/optimizer/report")["success"]["value"] is None
        cycle = life.breach()
        change = life.run()
        (gain,) = [one for one in life.get(f"/api/v1/changes/{change.id}")["gains"] if one["metric"] == "reward"]
        assert gain["low"] < gain["effect"] < gain["high"] and 0.1 < gain["effect"] < 0.2
        shown = life.get(f"/api/v1/optimizer/cycles/{cycle.id}")["improvements"]
        assert shown == {"ndcg_delta": None, "latency_delta": None}
