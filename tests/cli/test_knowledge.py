"""`meliora knowledge` and `meliora memory`: from a folder of good, broken, huge and binary files to answers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.governed import Typed, typed_  # noqa: F401
from tests.knowledge.reading.test_addresses import base  # noqa: F401


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


def test_an_address_of_ones_own_network_is_gone_to_only_where_that_is_said(typed: Typed, base: str) -> None:  # noqa: F811
    """And what is refused names the option that allows it."""
    refused = typed("knowledge", "index", f"{base}/tide")[1]
    assert "0 added" in refused and "--own-network" in refused and ".." not in refused
    assert "1 added" in typed("knowledge", "index", "--own-network", f"{base}/tide")[1]


def test_how_large_a_file_may_be_is_a_setting(typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "long.txt").write_text("word " * 300)
    monkeypatch.setenv("MELIORA_KNOWLEDGE__DOCUMENT_BYTES", "1000")
    said = typed("knowledge", "index", str(tmp_path / "long.txt"))[1]
    assert "1,500 bytes" in said and "knowledge.document_bytes" in said


def test_conditions_hold_for_numbers_texts_and_bounds(typed: Typed, tmp_path: Path) -> None:
    """What is typed has no type; a field that is named again may have either value."""
    rows = [
        {
            "id": f"y{year}",
            "text": "a harbour report",
            "year": year,
            "open": year > 2021,
            "code": str(year),
            "on": f"{year}-05-01",
        }
        for year in range(2020, 2024)
    ]
    (tmp_path / "reports.jsonl").write_text("\n".join(map(json.dumps, rows)))
    typed("knowledge", "index", str(tmp_path / "reports.jsonl"))

    def found(*where: str) -> list[str]:
        options = [part for one in where for part in ("--where", one)]
        (answer,) = typed.json("knowledge", "search", "harbour", *options)
        return sorted(one["document"] for one in answer["results"])

    assert found("year=2021") == found("code=2021") == ["y2021"]
    assert found("year=2020", "year=2023") == ["y2020", "y2023"]
    assert found("year>=2021", "year<2023") == ["y2021", "y2022"]
    assert found("on>=2021", "on<2023") == found("code>=2021", "code<2023") == ["y2021", "y2022"], (
        "texts, such as dates"
    )
    assert found("open=true") == ["y2022", "y2023"]
    assert "FIELD=VALUE" in typed("knowledge", "search", "harbour", "--where", "year")[2]


def test_a_result_is_shown_by_its_id_where_its_words_stand(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "tides.jsonl").write_text(
        json.dumps(
            {
                "id": "t1",
                "title": "Tides",
                "text": f"{'filler words ' * 50}the spring tide comes at noon. {'more ' * 50}",
            }
        )
    )
    typed("knowledge", "index", str(tmp_path / "tides.jsonl"))
    said = typed("knowledge", "search", "spring tide at noon")[1]
    assert "Tides  t1" in said
    assert "spring tide comes at noon" in said
    assert "passed over" in typed("knowledge", "search", "the")[1]
    assert "No document has: zeppelins." in typed("knowledge", "search", "zeppelins")[1]


def test_ids_that_several_files_give_are_told(typed: Typed, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in ("a.csv", "b.csv"):
        (folder / name).write_text(f"id,text\n1,from {name}\n")
    (said,) = typed.json("knowledge", "index", str(folder))
    assert (said["added"], said["again"]) == (1, [{"id": "1", "source": "b.csv"}])
    assert "stands as b.csv has it" in typed("knowledge", "index", str(folder))[1]


def test_a_file_whose_name_is_no_text_is_read_and_told(typed: Typed, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in (b"bad\xff.txt", b"bad\xff.bin", b"two\nlines.txt"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(
            bytes(range(256)) if b"bin" in name else b"a lantern"
        )
    (said,) = typed.json("knowledge", "index", str(folder))
    assert said["added"] == 2
    assert [one["id"] for one in said["refused"]] == ["bad\\xff.bin"]
    (answer,) = typed.json("knowledge", "search", "lantern")
    assert {one["document"] for one in answer["results"]} == {"bad\\xff.txt", "two\\nlines.txt"}


def test_conversations_are_remembered_and_erased(typed: Typed) -> None:
    assert typed("memory", "append", "c", "my dog is Rex", "--user", "ann")[:2] == (0, "Turn 1 of c.\n")
    assert "Rex" in typed("memory", "recall", "dog", "--user", "ann")[1]
    assert "Rex" in typed("memory", "window", "c")[1]
    assert typed("memory", "erase", "--user", "ann", "--yes")[0] == 0
    assert typed("memory", "recall", "dog", "--user", "ann")[1] == "Nothing is recalled.\n"


def test_a_data_set_is_made_shown_written_and_deleted(typed: Typed, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "storms.md").write_text(
        "# Storm warnings\n\nA red lantern on the pier means storm. Boats leave the pier.\n"
    )
    typed("knowledge", "index", str(folder), "-c", "docs")
    (made,) = typed.json("knowledge", "augment", "docs", "--token", "lantern", "--token", "zeppelin", "--count", "5")
    id = made["dataset"]["id"]
    assert made["fresh"] and made["lacking"] == ["zeppelin"] and 1 <= made["dataset"]["examples"] <= 5
    said = typed("knowledge", "augment", "docs", "--token", "lantern", "--token", "zeppelin", "--count", "5")[1]
    assert "there already" in said and "nothing has zeppelin" in said and "lantern" in said
    (listed,) = typed.json("knowledge", "datasets", "-c", "docs")
    assert listed["id"] == id and id in typed("knowledge", "datasets")[1]
    assert "quality" in typed("knowledge", "datasets", id)[1]
    assert typed("knowledge", "datasets", id, "--out", str(tmp_path / "set"))[0] == 0
    names = {"dataset_manifest.yaml", "augmented_dataset.csv", "examples.jsonl"}
    assert {file.name for file in (tmp_path / "set").iterdir()} == names
    code, _, error = typed("knowledge", "augment", "docs", "--method", "paraphrase")
    assert code == 2 and "knowledge.augment.model" in error
    assert "There are: typo" in typed("knowledge", "augment", "docs", "--method", "rubbish")[2]
    assert typed("knowledge", "augment", "docs", "--token", "a", "--all-words")[0] == 2
    assert typed("knowledge", "datasets", "--delete")[0] == 2
    assert typed("knowledge", "datasets", id, "--delete")[:2] == (0, f"{id} is deleted.\n")
    assert typed("knowledge", "datasets", id)[0] == 1
