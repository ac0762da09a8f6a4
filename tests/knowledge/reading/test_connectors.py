"""Exports of other memories become documents."""

from __future__ import annotations

import json

import pytest

from meliora.errors import InvalidRequest, UpstreamBroken
from meliora.knowledge.documents import Document
from meliora.knowledge.reading.base import Refused
from meliora.knowledge.reading.connectors import read_source
from meliora.knowledge.reading.services import read_qdrant, read_service


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


def texts(found):
    return [(one.id, one.text) if isinstance(one, Document) else one.reason for one in found]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_session_that_is_one_value_gives_its_turns_too(tmp_path, indent):
    file = tmp_path / "export.json"
    turns = [{"role": "user", "content": "hi"}, "none", {"role": "assistant", "content": [{"type": "tool_use"}]}]
    file.write_text(json.dumps({"session_id": "s9", "user": "ann", "messages": turns}, indent=indent))
    found = list(read_source("session_memory", file))
    assert texts(found) == [("s9#1", "user: hi"), "it is no turn"]
    assert isinstance(found[0], Document) and found[0].user == "ann"
    file.write_text(json.dumps([{"id": "s1", "messages": [{"role": "user", "content": "a"}]}, turns[0]], indent=indent))
    assert texts(read_source("session_memory", file)) == [("s1#1", "user: a"), ("export#2", "user: hi")]


def test_an_export_without_any_turn_is_told(tmp_path):
    file = tmp_path / "s.jsonl"
    file.write_text('{"question": "hi"}\n')
    assert texts(read_source("session_memory", file)) == ["it has no turn with words"]


class Service:
    """Answers as a service does, by page; notes what it was asked."""

    def __init__(self, *pages):
        self.pages, self.asked = list(pages), []

    def __call__(self, url, limits, body=None):
        self.asked.append(url)
        page = self.pages.pop(0)
        if isinstance(page, Exception):
            raise page
        return (page if isinstance(page, bytes) else json.dumps(page).encode()), "application/json"


def test_the_archive_of_an_agent_is_read_page_by_page():
    first = [{"id": f"passage-{at}", "text": "words", "embedding": [0.1]} for at in range(100)]
    letta = Service(first, [{"id": "passage-100", "text": "the last"}])
    found = list(read_service("letta_archival", "http://letta:8283/v1/agents/agent-1/archival-memory/", letta))
    assert len(found) == 101 and texts(found)[-1] == ("passage-100", "the last")
    assert [url.partition("&after=")[2] for url in letta.asked] == ["", "passage-99"]
    assert letta.asked[0].startswith("http://letta:8283/v1/agents/agent-1/archival-memory?limit=100&ascending=true")


def test_a_service_that_fails_midway_or_goes_round_is_told_and_what_came_before_stays():
    full = [{"id": f"passage-{at}", "text": "words"} for at in range(100)]
    broken = list(read_service("letta_archival", "http://l/v1/agents/a", Service(full, UpstreamBroken("It is down."))))
    assert len(broken) == 101 and "It is down" in texts(broken)[-1]
    round_and_round = list(read_service("letta_archival", "http://l/v1/agents/a", Service(full, full)))
    assert texts(round_and_round)[-1] == "it gives the same page again and again"


def test_an_address_is_read_by_its_kind_and_one_that_names_nothing_is_refused():
    scrolled = {"result": {"points": [{"id": 7, "payload": {"text": "an otter"}}], "next_page_offset": None}}
    qdrant = Service(scrolled)
    assert texts(read_service("qdrant_vector", "http://q:6333/collections/my%20docs", qdrant)) == [("7", "an otter")]
    assert qdrant.asked == ["http://q:6333/collections/my%20docs/points/scroll"]
    learned = Service(b"# Deploys\n\n- run migrations first\n")
    (one,) = read_service("learnings_md", "http://h/notes/LEARNINGS.md?raw=1", learned)
    assert isinstance(one, Document) and one.source == "LEARNINGS.md"
    assert texts(read_service("session_memory", "http://h/s.jsonl", Service(OSError("gone")))) == [
        "it cannot be had: gone"
    ]
    for kind, wrong in (("qdrant_vector", "http://q:6333/"), ("letta_archival", "http://l/"), ("other", "http://h/")):
        with pytest.raises(InvalidRequest):
            read_service(kind, wrong, Service())


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
