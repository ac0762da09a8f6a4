"""P16: several orders become one by reciprocal rank fusion with k = 60, ranks from 1, and a model may order what that gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.knowing import kept
from tests.server.house import control_house


def test_p16_a_result_says_what_each_leg_contributed_to_its_fused_score(tmp_path: Path, switched: None) -> None:
    with control_house(tmp_path) as house:
        client = kept(house, [{"id": name, "text": f"water {name}"} for name in ("pipes", "taps", "boiler")])
        answer = client.post("/api/v1/knowledge/search", json={"query": "water pipes", "explain": True}).json()
        first = answer["results"][0]
        assert first["document"] == "pipes"
        why = first["explanation"]
        weights = {"words": 1.0, "grams": 0.5, "dense": 1.0}
        for place in why["places"]:
            assert place["contribution"] == pytest.approx(weights[place["leg"]] / (60 + place["rank"]))
        assert sum(place["contribution"] for place in why["places"]) == pytest.approx(why["fused"])
        assert min(place["rank"] for place in why["places"]) == 1
