"""H27: relevance comes of use; of a document that was never shown it is unknown, not 1."""

from __future__ import annotations

from pathlib import Path

from meliora.knowledge.upkeep import relevance
from meliora.knowledge.upkeep.relevance import Shown
from tests.acceptance.knowing import kept, used
from tests.server.house import control_house


def test_h27_a_used_document_is_more_relevant_than_one_passed_over_and_one_never_shown_is_unknown() -> None:
    shown = [Shown(document=name, used=name == "good", at_us=0) for name in ("good", "bad") for _ in range(20)]
    found = relevance.relevance(shown, now_us=0)
    assert found["good"].score > 0.7 > 0.3 > found["bad"].score
    assert "never shown" not in found


def test_h27_what_people_use_of_searches_is_what_a_collection_is_told_to_be_worth(
    tmp_path: Path, switched: None
) -> None:
    """Null before anybody searched, which is not well; then from what was shown and clicked."""
    with control_house(tmp_path) as house:
        client = kept(house, [{"id": "hours", "text": "The harbour opens at six"}])
        before = client.get("/knowledge/health").json()
        assert (before["relevance"], before["unknown"]) == (None, ["relevance"])
        for _ in range(5):
            used(house, client, "harbour", "hours")
        house.clock.advance(600)
        after = client.get("/knowledge/health").json()
        assert after["relevance"] > 0.9 and after["unknown"] == []
