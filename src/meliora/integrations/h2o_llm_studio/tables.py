"""Queries and documents as two tables in CSV, as `pandas.read_csv(path, lineterminator="\\n")` reads them: learned from, and held out."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

import msgspec

from meliora.errors import InvalidRequest
from meliora.integrations.h2o_llm_studio.settings import DOCUMENT, LABEL, QUERY, Tuning
from meliora.knowledge.augment.learning import Learnable
from meliora.knowledge.quality.evidence import JudgedQuery

LEAST = 10
"""Rows of each table; with fewer nothing is learned or measured."""
LETTERS = 4
"""Of a document for each token that is read: more would be cut, and at its beginning."""
_MISSING = frozenset(
    {"", "#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "-nan", "1.#ind", "1.#qnan", "<na>", "n/a", "na", "nan"}
    | {"none", "null"}
)
"""Texts that pandas takes for no text, in small letters."""


class Shown(msgspec.Struct, frozen=True):
    """A document that a search finds for a query, or that answers it."""

    document: str
    text: str


Show = Callable[[JudgedQuery], Sequence[Shown]]
"""Gives them, those that a search finds first; each document once."""


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """Both tables, and what is in them."""

    train: bytes
    validation: bytes
    rows: tuple[int, int]
    left_out: int
    """Rows whose query or document would be read as nothing."""


def tables(data: Learnable, show: Show, tuned: Tuning) -> Tables:
    """Make both. A family of queries is in one of them; a document that is graded 0, or that is among the first found and not graded
    (`negatives` of a query), is no answer.

    Raises `InvalidRequest` where a table has fewer than `LEAST` rows, or only one label.
    """
    held = _held(sorted(set(data.families.values())), tuned.validation_size, tuned.seed)
    longest = LETTERS * tuned.max_length
    rows: dict[bool, list[tuple[str, str, int]]] = {False: [], True: []}
    left_out = 0
    for query in data.queries:
        for text, label in _labelled(query, show(query), tuned.negatives):
            row = (_flat(query.text), _flat(text)[:longest], label)
            if {row[0].lower(), row[1].lower()} & _MISSING:
                left_out += 1
            else:
                rows[data.family(query) in held].append(row)
    for name, one in (("learned from", rows[False]), ("held out", rows[True])):
        labels = Counter(label for _, _, label in one)
        if len(one) < LEAST or len(labels) < 2:
            raise InvalidRequest(
                f"{labels[1]} answers and {labels[0]} other documents are {name}; {LEAST} rows and some of both are the least.",
                hint="Give more queries, or more negatives.",
                field="data",
            )
    return Tables(
        train=_csv(rows[False]),
        validation=_csv(rows[True]),
        rows=(len(rows[False]), len(rows[True])),
        left_out=left_out,
    )


def _held(families: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """Give the families that are held out: the same ones for the same seed, in whatever order they come."""
    ordered = sorted(families, key=lambda one: sha256(f"{seed}\0{one}".encode("utf-8", "replace")).digest())
    return frozenset(ordered[: max(1, round(len(ordered) * share))])


def _labelled(query: JudgedQuery, shown: Iterable[Shown], negatives: int) -> Iterator[tuple[str, int]]:
    for one in shown:
        grade = query.grades.get(one.document)
        if grade is not None:
            yield one.text, int(grade > 0)
        elif negatives:
            negatives -= 1
            yield one.text, 0


def _flat(text: str) -> str:
    """Give a text on one line: H2O LLM Studio ends a row at every line feed that is not quoted, and keeps carriage returns."""
    return " ".join(text.replace("\0", " ").split())


def _csv(rows: Iterable[tuple[str, str, int]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((QUERY, DOCUMENT, LABEL))
    writer.writerows(rows)
    return out.getvalue().encode("utf-8", "replace")
