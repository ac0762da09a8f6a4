"""Test collections as they lie in a folder, in the layout of BEIR: documents, queries, and grades of documents for queries."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CORPUS = ("corpus.jsonl.gz", "corpus.jsonl")


@dataclass(frozen=True)
class Judged:
    """A test collection."""

    name: str
    documents: Mapping[str, tuple[str, str]]
    """Title and text."""
    queries: Mapping[str, str]
    """Those that have a relevant document among the documents."""
    grades: Mapping[str, Mapping[str, float]]
    left_out: int
    """Queries without a judgment above 0 on a document that is there."""


def folders(data: Path | None) -> list[Path]:
    """Give the folders of collections under `data`, or under `data`/ir, by name; a folder that is one itself stands alone."""
    if data is None:
        return []
    root = data / "ir" if (data / "ir").is_dir() else data
    return [one for one in (root, *sorted(root.iterdir() if root.is_dir() else ())) if _is_set(one)]


def conversations(data: Path | None) -> Path | None:
    """Give the LoCoMo file under `data`: locomo*.json or locomo*.json.gz, there or in a folder of it; None where there is none."""
    if data is None or not data.is_dir():
        return None
    found = (one for depth in ("", "*/", "*/*/") for one in sorted(data.glob(f"{depth}locomo*.json*")) if one.is_file())
    return next((one for one in found if one.name.endswith((".json", ".json.gz"))), None)


def load(folder: Path) -> Judged:
    """Read a collection. Grades of documents that are not there stay: they count for the best possible order."""
    documents = {str(row["_id"]): (row.get("title") or "", row.get("text") or "") for row in _rows(_corpus(folder))}
    grades = _grades(folder / "qrels.tsv")
    texts = {str(row["_id"]): row.get("text") or "" for row in _rows(folder / "queries.jsonl")}
    queries = {
        query: text
        for query, text in texts.items()
        if text.strip() and any(grade > 0 and one in documents for one, grade in grades.get(query, {}).items())
    }
    return Judged(folder.name, documents, queries, grades, len(texts) - len(queries))


def _is_set(folder: Path) -> bool:
    return (
        folder.is_dir()
        and all((folder / name).is_file() for name in ("queries.jsonl", "qrels.tsv"))
        and any((folder / name).is_file() for name in CORPUS)
    )


def _corpus(folder: Path) -> Path:
    return next(folder / name for name in CORPUS if (folder / name).is_file())


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def _grades(file: Path) -> dict[str, dict[str, float]]:
    """Read query, document, grade; or query, a column that says nothing, document, grade. A first line without a number is a header."""
    found: dict[str, dict[str, float]] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
        cells = line.split("\t") if "\t" in line else line.split()
        if not line.strip() or (number == 0 and not _is_number(cells[-1])):
            continue
        if len(cells) not in (3, 4):
            raise ValueError(f"{file}, line {number + 1}: {len(cells)} columns; there should be 3 or 4")
        found.setdefault(cells[0], {})[cells[-2]] = float(cells[-1])
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
