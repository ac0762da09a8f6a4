"""A repaired query asks for what was meant, and says what was done to it."""

from __future__ import annotations

from meliora.knowledge.answers import Rewrite
from meliora.knowledge.config import Spelling
from meliora.knowledge.repair.expansion import Table
from meliora.knowledge.repair.spelling import Speller
from meliora.knowledge.repair.stage import repaired
from meliora.knowledge.search.parts import Origin, Rewritten
from meliora.knowledge.text.analysis import Analysed

WRITTEN = {"certificate": 9, "renewal": 4, "fail": 2, "failover": 8, "over": 3}
TABLE = Table(words={"zorblax": {"certificate": 0.8, "renewal": 0.3}})


def plain(text: str) -> Analysed:
    words = tuple(text.split())
    return Analysed(words, words)


def repair(text: str, table: Table | None = None, *, spell: bool = True, weight: float = 1.0) -> Rewritten:
    speller = Speller(WRITTEN, Spelling()) if spell else None
    return repaired(plain(text), speller, table, plain, frequency=lambda term: WRITTEN.get(term, 0), weight=weight)


def test_a_query_without_trouble_stays_as_it_is() -> None:
    found = repair("certificate renewal certificate", TABLE)
    assert found == Rewritten(
        terms={"certificate": 2.0, "renewal": 1.0}, words=("certificate", "renewal", "certificate")
    )


def test_a_misspelled_word_is_asked_for_as_it_was_meant() -> None:
    found = repair("certifcate renewal")
    assert found.terms == {"certificate": 1.0, "renewal": 1.0}
    assert found.words == ("certificate", "renewal")
    assert found.origins == {"certificate": Origin("spelling", "certifcate")}
    assert found.rewrites == (Rewrite("spelling", "certifcate", {"certificate": 1.0}),)


def test_a_learned_word_is_asked_for_as_its_translation() -> None:
    found = repair("zorblax", TABLE, weight=0.5)
    assert found.terms == {"certificate": 0.4, "renewal": 0.15}
    assert found.origins["renewal"] == Origin("expansion", "zorblax")


def test_a_translated_word_that_documents_have_is_asked_for_as_well() -> None:
    table = Table(words={"fail": {"failover": 0.5}})
    assert repair("fail", table).terms == {"fail": 1.0, "failover": 0.5}


def test_a_word_that_nothing_is_known_of_is_kept() -> None:
    assert repair("zzyzxqv").terms == {"zzyzxqv": 1.0}
    assert repair("certifcate", spell=False).terms == {"certifcate": 1.0}


def test_words_written_apart_are_asked_for_together_too() -> None:
    found = repair("fail over")
    assert found.terms == {"fail": 1.0, "over": 1.0, "failover": 0.5}
    assert found.rewrites == (Rewrite("spelling", "fail over", {"failover": 0.5}),)


def test_a_term_of_the_query_keeps_its_origin_beside_a_repair_to_it() -> None:
    found = repair("certificate certifcate")
    assert found.terms == {"certificate": 2.0}
    assert found.origins == {}


def test_an_empty_query_stays_empty() -> None:
    assert repair("", TABLE) == Rewritten(terms={}, words=())
