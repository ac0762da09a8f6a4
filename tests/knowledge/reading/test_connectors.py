"""Exports of other memories become documents."""

from __future__ import annotations

import json

import pytest

from meliora.errors import InvalidRequest
from meliora.knowledge.documents import Document
from meliora.knowledge.reading.base import Refused
from meliora.knowledge.reading.connectors import read_qdrant, read_source


def test_passages_of_letta_are_documents_without_their_vectors(tmp_path):
    file = tmp_path / "memories.json"
    passages = [
        {"id": "passage-1", "text": "likes tea", "tags": ["a"], "embedding": [0.1]},
        {"id": "p2", "text": "x", "is_deleted": True},
    ]
    file.write_text(json.dumps(passages))
    (one,) = read_source("letta_archival", file)
    assert isinstance(one, Document)
    assert (one.id, one.text, one.metadata) == ("passage-1", "likes tea", {"tags": ("a",)})


def test_a_collection_of_qdrant_is_read_page_by_page():
    asked = []

    def fetch(url, limits, body=None):
        asked.append((url, json.loads(body)))
        offset = json.loads(body).get("offset")
        points = [{"id": offset or 1, "payload": {"text": "words"}}]
        return json.dumps(
            {"result": {"points": points, "next_page_offset": None if offset else 2}}
        ).encode(), "application/json"

    found = list(read_qdrant("http://q:6333/", "my docs", fetch))
    assert [one.id for one in found if isinstance(one, Document)] == ["1", "2"]
    assert asked[0][0] == "http://q:6333/collections/my%20docs/points/scroll"


def test_turns_of_a_session_are_documents_and_broken_lines_are_told(tmp_path):
    file = tmp_path / "s.jsonl"
    turn = {
        "type": "user",
        "sessionId": "s1",
        "uuid": "u1",
        "message": {"role": "user", "content": [{"type": "text", "text": "hi"}]},
    }
    file.write_text(json.dumps(turn) + "\nbroken\n" + json.dumps({"role": "assistant", "content": "hello"}))
    first, second, third = read_source("session_memory", file)
    assert isinstance(first, Document)
    assert (first.id, first.text, first.metadata["session"]) == ("u1", "user: hi", "s1")
    assert isinstance(second, Refused)
    assert isinstance(third, Document)
    assert third.id == "s#3"


def test_each_learning_is_a_document_that_keeps_its_id_when_another_is_added(tmp_path):
    file = tmp_path / "LEARNINGS.md"
    file.write_text("# Learnings\n\n## Deploys\n\n- 2026-01-02: run migrations first\n- never on Friday\n")
    before = {one.id for one in read_source("learnings_md", file) if isinstance(one, Document)}
    file.write_text(file.read_text().replace("- 2026", "- 2026-02-03: newer\n- 2026"))
    after = {one.id for one in read_source("learnings_md", file) if isinstance(one, Document)}
    assert len(before) == 2
    assert before < after


def test_a_kind_that_is_none_is_refused(tmp_path):
    with pytest.raises(InvalidRequest, match="letta"):
        read_source("nothing", tmp_path)
