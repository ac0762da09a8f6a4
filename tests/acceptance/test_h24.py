"""H24: what lies in other memories is read as documents, by the names of the kinds of source."""

from __future__ import annotations

import json
from pathlib import Path

from meliora.knowledge.documents import Document
from meliora.knowledge.reading.connectors import read_source


def test_h24_each_kind_of_source_becomes_documents(tmp_path: Path) -> None:
    files = {
        "letta_archival": ("letta.json", json.dumps([{"id": "p1", "text": "likes tea"}])),
        "qdrant_vector": ("scroll.json", json.dumps({"result": {"points": [{"id": 7, "payload": {"text": "tea"}}]}})),
        "knowledge_files": ("notes.md", "# Tea\n\nHow tea is made."),
        "session_memory": ("session.jsonl", json.dumps({"role": "user", "content": "tea, please"})),
        "learnings_md": ("LEARNINGS.md", "# Learnings\n\n- 2026-01-02: tea needs water\n"),
    }
    for kind, (name, text) in files.items():
        (tmp_path / name).write_text(text)
        found = [one for one in read_source(kind, tmp_path / name) if isinstance(one, Document)]
        assert found and all("tea" in one.text.lower() for one in found), kind
