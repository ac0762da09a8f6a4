"""Terms of a text: the same for what a person writes and what a document has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.knowledge.text.analysis import analyse, spans
from meliora.knowledge.text.languages import UNKNOWN, language_of


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("getUserName", {"getusername", "get", "user", "name"}),
        ("snake_case", {"snakecase", "snake", "case"}),
        ("kebab-case", {"kebabcase", "kebab", "case"}),
        ("HTTPServer2", {"httpserver2", "http", "server"}),
        ("v1.2.3", {"v1.2.3", "1.2.3", "1.2"}),
        ("E1234", {"e1234", "1234"}),
        ("0x80070057", {"0x80070057", "80070057"}),
        ("/usr/local/bin", {"usr/local/bin", "usr", "local", "bin"}),
        ("jane@example.com", {"jane@example.com", "jane", "example", "com"}),
        ("C++", {"c++"}),
        ("U.S.A.", {"usa"}),
        ("3.14", {"3.14"}),
    ],
)
def test_an_identifier_is_found_whole_and_by_its_parts(written, parts):
    assert set(analyse(written, "en").written) == parts


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("fr", "aimée", "aimee"),
        ("es", "configuración", "configuracion"),
        ("de", "Häuser", "hauser"),
        ("en", "naïve", "naive"),
    ],
)
def test_a_word_is_the_same_with_and_without_its_accents(language, one, other):
    assert analyse(one, language).terms == analyse(other, language).terms


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("how do I restart the server", "en"),
        ("wie konfiguriere ich den Server", "de"),
        ("comment configurer le serveur dans un réseau", "fr"),
        ("hur startar jag om servern", "sv"),
        ("перезапустить сервер", "ru"),
        ("les paul guitar", "en"),
        ("東京都の設定", UNKNOWN),
    ],
)
def test_a_language_is_told_by_common_words_and_script_and_not_guessed(text, language):
    assert language_of(text) == language


def test_scripts_without_spaces_give_pairs_of_letters():
    assert analyse("東京都").terms == ("東京", "京都")


def test_what_cannot_be_seen_changes_no_word_and_control_characters_are_none():
    assert analyse("zero\u200bwidth \x00 \ud800 e\u0301te", "und").terms == ("zerowidth", "ete")


def test_a_word_of_a_million_letters_is_cut():
    assert analyse("a" * 1_000_000).terms == ("a" * 64,)


@given(st.text(), st.sampled_from(["", "en", "fr", "ru", "xx"]))
def test_any_text_has_parallel_terms_and_words_and_spans_that_stand_in_it(text, language):
    analysed = analyse(text, language)
    found = spans(text, language)
    assert len(analysed.terms) == len(analysed.written)
    assert tuple(one[0] for one in found) == analysed.terms
    assert all(0 <= start < end <= len(text) for *_, start, end in found)
    assert all(term and len(term) <= 64 for term in analysed.terms)
