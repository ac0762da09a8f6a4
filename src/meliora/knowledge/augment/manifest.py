"""A data set as files: a manifest, and its rows as JSON lines or CSV, named by what they hold. What is unknown is null."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec

from meliora.errors import InvalidRequest
from meliora.knowledge.augment.examples import Example
from meliora.knowledge.augment.make import Made

MANIFEST = "dataset_manifest.yaml"
DATASET = "augmented_dataset.csv"
EXAMPLES = "examples.jsonl"
COLUMNS = ("query", "document", "made_of", "method", "quality")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_MADE_OF = 300


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Why a data set was made, and of what."""

    type: str
    collection: str | None = None
    trigger: str | None = None
    base_documents: tuple[str, ...] = ()


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of the rows."""

    total_examples: int
    avg_length: float | None
    """Words of a query."""
    diversity_score: float | None


class Tracked(msgspec.Struct, frozen=True, kw_only=True):
    """Where DVC has it."""

    path: str | None = None
    hash: str | None = None


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """Which run of MLflow it belongs to."""

    run_id: str | None = None
    artifact_uri: str | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A data set, as it is told."""

    dataset_id: str
    """`ds_` and the beginning of `version`; where the collection is known, of its hash with that."""
    cycle_id: str | None
    created_at: str
    source: Origin
    method: tuple[str, ...]
    target_tokens: tuple[str, ...]
    statistics: Statistics
    version: str
    """SHA-256 of the rows as JSON lines, in one order."""
    refused: dict[str, int] = {}
    dvc: Tracked = Tracked()
    mlflow: Logged = Logged()


def describe(
    made: Made, source: Origin, created_us: int, *, cycle: str | None = None, targets: Sequence[str] = ()
) -> Manifest:
    """Describe a data set: the same rows, the same version, in whatever order they were made."""
    rows = _ordered(made.examples)
    version = sha256(to_jsonl(rows)).hexdigest()
    named = version if source.collection is None else sha256(f"{source.collection}\0{version}".encode()).hexdigest()
    lengths = [len(one.query.split()) for one in rows]
    statistics = Statistics(
        total_examples=len(rows),
        avg_length=sum(lengths) / len(lengths) if lengths else None,
        diversity_score=made.diversity,
    )
    return Manifest(
        dataset_id=f"ds_{named[:16]}",
        cycle_id=cycle,
        created_at=datetime.fromtimestamp(created_us / 1e6, UTC).isoformat(),
        source=source,
        method=tuple(sorted({one.method for one in rows})),
        target_tokens=tuple(targets),
        statistics=statistics,
        version=version,
        refused=dict(sorted(made.refused.items())),
    )


def files(
    manifest: Manifest, examples: Iterable[Example], to_yaml: Callable[[Mapping[str, Any]], bytes]
) -> dict[str, bytes]:
    """Give the files by name."""
    rows = _ordered(examples)
    return {MANIFEST: to_yaml(msgspec.to_builtins(manifest)), DATASET: to_csv(rows), EXAMPLES: to_jsonl(rows)}


def to_jsonl(examples: Iterable[Example]) -> bytes:
    """Give rows as JSON lines, in one order: the same rows, the same bytes."""
    return b"".join(msgspec.json.encode(one) + b"\n" for one in _ordered(examples))


def from_jsonl(body: bytes) -> tuple[Example, ...]:
    """Read them again. Raises `InvalidRequest` naming the line."""
    found: list[Example] = []
    for number, line in enumerate(body.splitlines(), 1):
        try:
            found.append(msgspec.json.decode(line, type=Example))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"Line {number} is no example: {error}") from error
    return tuple(found)


def to_csv(examples: Iterable[Example]) -> bytes:
    """Give rows as CSV (RFC 4180). A cell that a spreadsheet would compute begins with `'`; `from_cell` takes it off."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for one in _ordered(examples):
        writer.writerow(
            [*map(_cell, (one.query, one.document, one.made_of[:_MADE_OF], one.method)), f"{one.quality:.4f}"]
        )
    return out.getvalue().encode("utf-8", "replace")


def _cell(text: str) -> str:
    text = text.replace("\0", " ")
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or text.startswith(("'", *_FORMULA)) else text


def from_cell(text: str) -> str:
    """Give a text as it was before it was made a cell."""
    return text.removeprefix("'")


def _ordered(examples: Iterable[Example]) -> list[Example]:
    return sorted(examples, key=lambda one: (one.query, one.document, one.method, one.made_of))
