"""P6: a deployment that is slow or fails heals itself: another policy or model, and not only a line in the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.lives import living


@pytest.mark.parametrize(("gate", "value"), [("latency_p95", 1200.0), ("errors", 0.2), ("budget", 0.9)])
def test_p06_a_breach_ends_with_another_version_in_service(
    gate: str, value: float, tmp_path: Path, switched: None
) -> None:
    """Latency, errors and cost: what proved and won is what serves."""
    with living(tmp_path) as life:
        life.breach(gate, value)
        assert life.run().state == "kept"
        assert life.kind.serves["routing_policy"] == "v1+"
        assert [what for what, _ in life.kind.effects] == ["deliver"]
