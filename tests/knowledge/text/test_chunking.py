"""Passages of a document: exact, complete, cut where the text pauses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meliora.knowledge.documents import Document
from meliora.knowledge.text.chunking import chunk


def _document(text: str, title: str = "") -> Document:
    return Document(id="d", text=text, title=title)


def test_a_short_document_is_one_passage_and_one_without_text_is_empty():
    assert [one.text for one in chunk(_document("a few words"))] == ["a few words"]
    assert [(one.title, one.text) for one in chunk(_document("", "Only a title"))] == [("Only a title", "")]


def test_a_section_is_a_passage_under_its_headings():
    text = "# Guide\n\n" + "One thing. " * 40 + "\n\n## Install\n\n" + "Another thing. " * 40
    passages = chunk(_document(text, "Doc"), 100, 10)
    assert [one.title for one in passages] == ["Doc > Guide", "Doc > Guide > Install"]


def test_code_is_kept_whole_and_its_remarks_are_no_headings():
    code = "```\n" + "# not a heading\nx = 1\n" * 20 + "```\n"
    passages = chunk(_document("Words here. " * 100 + "\n\n" + code + "\n" + "More words. " * 100), 120, 20)
    assert any(code.strip() in one.text for one in passages)
    assert all("heading" not in one.title for one in passages)


@pytest.mark.parametrize("source", ["src/app.py", "deploy/Dockerfile", "deploy/run", "meliora.toml", "api", "notes.md"])
def test_remarks_in_a_source_are_no_headings(source):
    """A line that begins with `#` heads what follows in a text, and tells of one line in code."""
    text = "#!/bin/sh\n" if source == "deploy/run" else ""
    text += "".join(f"# remark {n}\nsetting_{n} = {n}\n" + f"value of {n}\n" * 40 + "\n" for n in range(9))
    titles = {one.title for one in chunk(Document(id="d", text=text, title="T", source=source), 100, 10)}
    assert (titles == {"T"}) == (source not in ("api", "notes.md"))


def test_a_passage_begins_with_the_last_sentence_of_the_one_before():
    text = " ".join(f"Sentence number {n} is here." for n in range(200))
    first, second, *_ = chunk(_document(text), 50, 10)
    assert second.start < first.end
    assert second.text.startswith("Sentence")


@pytest.mark.parametrize(
    "text", ["a" * 1_000_000, "東" * 300_000, "\n" * 1_000_000 + "x", "# a\n" * 50_000, "```\n" * 50_000]
)
def test_a_text_without_pauses_is_cut_into_small_passages(text):
    passages = chunk(_document(text))
    assert max(len(one.text) for one in passages) <= 20_000


def test_an_overlap_as_large_as_the_passage_is_refused():
    with pytest.raises(ValueError, match="cannot have"):
        chunk(_document("x"), 10, 10)


@given(st.text(alphabet=st.sampled_from(list("ab.# \n`-東\ud800=|")), max_size=600), st.integers(2, 20))
def test_offsets_are_exact_and_no_word_is_left_out(text, size):
    passages = chunk(_document(text), size, size // 3)
    covered = set()
    for number, one in enumerate(passages):
        assert one.number == number
        assert text[one.start : one.end] == one.text
        covered.update(range(one.start, one.end))
    assert all(place in covered for place, letter in enumerate(text) if not letter.isspace())
