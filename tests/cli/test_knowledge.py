"""`meliora knowledge` and `meliora memory`: from a folder of good, broken, huge and binary files to answers."""

from __future__ import annotations

from pathlib import Path

from tests.cli.governed import Typed, typed_  # noqa: F401


def test_a_folder_is_indexed_and_what_cannot_be_read_is_named(typed: Typed, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "good.md").write_text("# Harbour\n\nThe harbour opens at six.\n")
    (folder / "binary.bin").write_bytes(bytes(range(256)) * 4)
    (folder / "huge.txt").write_bytes(b"a" * 20_000_001)
    (folder / "lines.jsonl").write_text('{"id": "x", "text": "Permits on Mondays"}\n{broken\n')
    (said,) = typed.json("knowledge", "index", str(folder))
    assert (said["added"], said["searchable"]) == (2, True)
    refused = {one["id"] for one in said["refused"]}
    assert refused == {"binary.bin", "huge.txt", "lines.jsonl:2"}
    (answer,) = typed.json("knowledge", "search", "harbour")
    assert [one["document"] for one in answer["results"]] == ["good.md"]
    assert "It is result 1" in typed("knowledge", "explain", "permits", "--document", "x")[1]
    assert "0 missing" in typed("knowledge", "audit")[1]
    assert typed("knowledge", "index", str(tmp_path / "nothing"))[0] == 1


def test_conversations_are_remembered_and_erased(typed: Typed) -> None:
    assert typed("memory", "append", "c", "my dog is Rex", "--user", "ann")[:2] == (0, "Turn 1 of c.\n")
    assert "Rex" in typed("memory", "recall", "dog", "--user", "ann")[1]
    assert "Rex" in typed("memory", "window", "c")[1]
    assert typed("memory", "erase", "--user", "ann", "--yes")[0] == 0
    assert typed("memory", "recall", "dog", "--user", "ann")[1] == "Nothing is recalled.\n"
