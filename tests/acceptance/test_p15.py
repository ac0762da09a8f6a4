"""P15: queries are made by seven methods, and none is made that is nearly one of the test set."""

from __future__ import annotations

from meliora.knowledge.augment import make
from meliora.knowledge.augment.examples import METHODS, Source
from meliora.knowledge.augment.make import Means
from meliora.knowledge.augment.quality import ForbiddenQueries


def test_p15_methods_without_a_model_make_queries_and_those_of_the_test_set_are_refused() -> None:
    assert set(METHODS) >= {
        "typo",
        "eda",
        "synonyms",
        "query_from_document",
        "paraphrase",
        "back_translation",
        "query_generation",
    }
    sources = [Source(document="d", query="frozen water pipes burst", text="Frozen water pipes burst in winter.")]
    free = make.make(sources, ("typo", "eda"), ForbiddenQueries([]), Means(), seed=3, least=0.0)
    assert {one.method for one in free.examples} == {"typo", "eda"}
    held = make.make(sources, ("eda",), ForbiddenQueries(["frozen water pipes burst"]), Means(), seed=3, least=0.0)
    assert held.examples == () and held.refused["test_set"] > 0
