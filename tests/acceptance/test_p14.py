"""P14: `explain_search_results` tells what each stage contributed, also of a document that is not found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.knowing import kept
from tests.server.house import control_house

URL = "/api/v1/knowledge/explain"


def test_p14_the_parts_of_each_stage_sum_to_the_score_and_a_document_out_of_sight_has_its_reasons(
    tmp_path: Path, switched: None
) -> None:
    with control_house(tmp_path) as house:
        documents = [{"id": f"d{n}", "text": f"The harbour of town {n} opens at six"} for n in range(20)]
        client = kept(house, [*documents, {"id": "bananas", "text": "Bananas ripen in a bag"}])
        answer = client.post(URL, json={"query": "harbour opens", "document": "d19"}).json()
        for one in answer["answer"]["results"]:
            why = one["explanation"]
            assert sum(place["contribution"] for place in why["places"]) == pytest.approx(one["score"])
            assert {term["written"] for term in why["matched"]} == {"harbour", "opens"}
        assert answer["document"]["position"] == 20 or answer["document"]["position"] > 10
        assert {leg["leg"] for leg in answer["document"]["legs"] if leg["rank"]} >= {"words", "grams"}
        none = client.post(URL, json={"query": "harbour", "document": "bananas"}).json()["document"]
        assert (none["position"], none["lacking"]) == (None, ["harbour"])
        assert "No leg finds it" in none["said"]
        assert client.post(URL, json={"query": "harbour", "document": "nothing"}).status_code == 404
