"""H27: relevance comes of use; of a document that was never shown it is unknown, not 1."""

from __future__ import annotations

from meliora.knowledge.upkeep import relevance
from meliora.knowledge.upkeep.relevance import Shown


def test_h27_a_used_document_is_more_relevant_than_one_passed_over_and_one_never_shown_is_unknown() -> None:
    shown = [Shown(document=name, used=name == "good", at_us=0) for name in ("good", "bad") for _ in range(20)]
    found = relevance.relevance(shown, now_us=0)
    assert found["good"].score > 0.7 > 0.3 > found["bad"].score
    assert "never shown" not in found
