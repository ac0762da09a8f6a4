"""P12: the environments: nothing reaches traffic in dev, a person promotes in staging, production promotes by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.lives import living

ENDS = {
    "dev": ("rejected", "in dev"),
    "staging": ("trying", "in staging a person promotes"),
    "production": ("kept", ""),
}


@pytest.mark.parametrize("environment", ENDS)
def test_p12_the_same_candidate_gets_as_far_as_its_environment_lets_it(
    environment: str, tmp_path: Path, switched: None
) -> None:
    """One that proved and won."""
    state, reason = ENDS[environment]
    with living(tmp_path, environment) as life:
        life.breach()
        change = life.run()
        assert change.state == state and reason in (change.reason or "")
        assert (life.kind.serves["routing_policy"] == "v1+") is (environment == "production")
