"""P14: `explain_search_results` tells what each stage contributed, also of a document that is not found."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from meliora.knowledge.ranking.features import NAMES
from tests.acceptance.knowing import kept
from tests.acceptance.planted import planted, reranker, served, settled
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


def test_p14_what_each_feature_added_sums_to_a_rerankers_score_and_lime_is_offered_beside_it(
    tmp_path: Path, switched: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By TreeSHAP always; by LIME where it is installed, and by the command that installs it where it is not."""
    with control_house(tmp_path) as house:
        collection = planted()
        client = settled(house, collection)
        asked = {"query": collection.queries["q0"], "document": "t0-0", "limit": 5}
        assert "`shap`" in client.post(URL, json={**asked, "method": "lime"}).json()["error"]["hint"]
        served(house, client, reranker(house, collection, sorted(collection.queries)).write())
        answer = client.post(URL, json=asked).json()
        assert len(answer["answer"]["results"]) == 5
        for one in answer["answer"]["results"]:
            why = one["explanation"]
            assert set(why["contributions"]) == {*NAMES, "bias"} and why["nearby"] is None
            assert sum(why["contributions"].values()) == pytest.approx(one["score"])
        if find_spec("lime") is not None:
            lime = client.post(URL, json={**asked, "method": "lime"}).json()
            for one in lime["answer"]["results"]:
                shap = {name: worth for name, worth in one["explanation"]["contributions"].items() if name != "bias"}
                most = sorted(shap, key=lambda name: -abs(shap[name]))[:5]
                assert len({this["feature"] for this in one["explanation"]["nearby"]["conditions"][:5]} & {*most}) >= 2
            assert set(lime["document"]["words"]["query"]) == set(asked["query"].split())
        monkeypatch.setitem(sys.modules, "lime", None)
        refused = client.post(URL, json={**asked, "method": "lime"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (501, "missing_extra")
        assert "pip install 'meliora[lime]'" in refused.json()["error"]["hint"]
