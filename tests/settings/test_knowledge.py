"""The settings of documents and searches: they work untouched, and what does not hold together is named."""

from __future__ import annotations

import pytest

from meliora.settings.knowledge import Knowledge
from tests.settings.test_loop import loaded


def test_out_of_the_box_documents_are_kept_on_this_machine_without_any_model() -> None:
    chosen = Knowledge()
    assert (chosen.enabled, chosen.backend, chosen.document_bytes) == (True, "embedded", 20_000_000)
    assert (chosen.embeddings.model, chosen.cross_encoder, chosen.upkeep.prune_confidence) == ("", "", 0.8)
    assert chosen.memory.retention_days == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[knowledge]\nbackend="postgres"', "does not name"),
        ('[knowledge]\nbackend="elastic"', "embedded"),
        ('[knowledge.embeddings]\nmodel="x"', "takes a key"),
        ('[knowledge.embeddings]\nmodel="x"\nkey="env:K"', "served by no provider"),
        ('[knowledge.embeddings]\nmodel="simulated"\nkey="sk-written-out"', "literal value"),
        ("[knowledge]\npassage_words=40\npassage_overlap=21", "half of passage_words"),
        ("[knowledge.upkeep]\nprune_confidence=1.5", "prune_confidence"),
        ("[knowledge.upkeep.stale_days]\nnews=0", "news"),
        ("[knowledge]\ndocument_byte=1", "is not a setting"),
    ],
)
def test_what_does_not_hold_together_is_named(tmp_path, text: str, sentence: str) -> None:
    problems = "\n".join(str(problem) for problem in loaded(tmp_path, text).errors)
    assert sentence in problems
    assert "sk-written-out" not in problems
