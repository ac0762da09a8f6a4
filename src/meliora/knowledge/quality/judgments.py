"""Frozen sets of judgments: a query, a document, how well the one answers the other. Named by their content; a change is a new set."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Literal

import msgspec

from meliora.errors import InvalidRequest
from meliora.knowledge.quality.evidence import JudgedQuery, Pair

MOST = 1_000_000
"""Entries of a set."""
GRADES = (-100, 100)
Source = Literal["file", "feedback", "clicks"]


class Judgment(msgspec.Struct, frozen=True, order=True):
    """How well a document answers a query."""

    query: str
    """Id of the query."""
    document: str
    grade: float
    """Above 0: it answers; 0 or less: it does not."""


class JudgmentSet(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen set. Make it by `frozen`, or by one of the readers below."""

    name: str
    version: int
    queries: Mapping[str, str]
    """Text by id, ids in order."""
    judgments: tuple[Judgment, ...]
    """In the order of query and document, each pair once."""
    source: Source = "file"

    @property
    def sha256(self) -> str:
        """Give the name of the content: equal for the same queries and grades, whatever name and version the set has."""
        said = [sorted(self.queries.items()), [[one.query, one.document, one.grade] for one in self.judgments]]
        return sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()

    def grades(self) -> dict[str, dict[str, float]]:
        """Give grades by document, by query."""
        found: dict[str, dict[str, float]] = {query: {} for query in self.queries}
        for one in self.judgments:
            found[one.query][one.document] = one.grade
        return found

    def judged(self) -> list[JudgedQuery]:
        """Give the queries that have an answer, as a proof asks for them."""
        origin = "judged" if self.source == "file" else "used"
        return [
            JudgedQuery(id=query, text=self.queries[query], grades=grades, origin=origin)
            for query, grades in self.grades().items()
            if any(grade > 0 for grade in grades.values())
        ]


def frozen(
    name: str, version: int, queries: Mapping[str, str], judgments: Iterable[Judgment], source: Source = "file"
) -> JudgmentSet:
    """Freeze a set.

    Raises `InvalidRequest` for a judgment of an unknown query, a pair judged twice and differently, a grade that is no number
    from -100 to 100, an empty query or id.
    """
    kept: dict[tuple[str, str], Judgment] = {}
    for one in judgments:
        _checked(one, queries)
        before = kept.setdefault((one.query, one.document), one)
        if before.grade != one.grade:
            raise InvalidRequest(
                f"Document {one.document[:80]!r} has the grades {before.grade:g} and {one.grade:g} for the query {one.query[:80]!r}.",
                hint="Keep one of them.",
            )
        if len(kept) > MOST:
            raise InvalidRequest(f"A set holds {MOST} judgments at most.", hint="Split it by queries.")
    texts = {query: text for query, text in sorted(queries.items()) if query and text.strip()}
    if len(texts) < len(queries):
        raise InvalidRequest("A query has no id or no text.", hint="Give each query both.")
    return JudgmentSet(name=name, version=version, queries=texts, judgments=tuple(sorted(kept.values())), source=source)


def from_qrels(name: str, version: int, queries: str, qrels: str) -> JudgmentSet:
    """Read queries (a JSON line each: `_id` or `id`, `text`) and grades (lines of 3 columns, or of TREC's 4, by tab or blank).

    A first line that has no number where the grade stands is a head. Raises `InvalidRequest` with the line.
    """
    texts: dict[str, str] = {}
    for number, row in json_lines(queries):
        id, text = row.get("_id", row.get("id")), row.get("text")
        if not isinstance(id, (str, int)) or not isinstance(text, str):
            raise InvalidRequest(
                f"Line {number} of the queries has no id or no text.", hint='{"id": "1", "text": "..."}'
            )
        texts[str(id)] = text
    found: list[Judgment] = []
    for number, line in enumerate(qrels.splitlines(), start=1):
        columns = line.split("\t") if "\t" in line else line.split()
        grade = _number(columns[-1]) if len(columns) in (3, 4) else None
        if not line.strip() or (number == 1 and grade is None and len(columns) in (3, 4)):
            continue
        if grade is None:
            raise InvalidRequest(
                f"Line {number} of the judgments is not QUERY DOCUMENT GRADE.", hint="Part them by tabs."
            )
        found.append(Judgment(columns[0], columns[-2], grade))
    return frozen(name, version, texts, found)


def from_jsonl(name: str, version: int, text: str) -> JudgmentSet:
    """Read lines of `{"query": text, "document": id, "grade": number}`, `query_id` where queries have ids of their own.

    Raises `InvalidRequest` with the line.
    """
    texts: dict[str, str] = {}
    found: list[Judgment] = []
    for number, row in json_lines(text):
        query, document, grade = row.get("query"), row.get("document"), row.get("grade", 1)
        id = row.get("query_id", query)
        words = isinstance(query, str) and isinstance(document, str) and isinstance(id, (str, int))
        if not words or isinstance(grade, bool) or not isinstance(grade, (int, float)):
            raise InvalidRequest(
                f"Line {number} is no judgment.", hint='{"query": "...", "document": "id", "grade": 2}'
            )
        if texts.setdefault(str(id), str(query)) != query:
            raise InvalidRequest(
                f"Line {number} has another text for the query {str(id)[:80]!r}.", hint="Give it another id."
            )
        found.append(Judgment(str(id), str(document), float(grade)))
    return frozen(name, version, texts, found)


def from_pairs(name: str, version: int, pairs: Sequence[Pair], source: Source = "feedback") -> JudgmentSet:
    """Make a set of what people used: the weights of a query and a document summed, and cut to 0..1."""
    summed: dict[tuple[str, str], float] = {}
    for pair in pairs:
        key = (" ".join(pair.query.split()), pair.document)
        if key[0]:
            summed[key] = summed.get(key, 0.0) + pair.weight
    texts = {query: query for query, _ in summed}
    found = (Judgment(query, document, min(max(weight, 0.0), 1.0)) for (query, document), weight in summed.items())
    return frozen(name, version, texts, found, source)


def _checked(one: Judgment, queries: Mapping[str, str]) -> None:
    if one.query not in queries:
        raise InvalidRequest(
            f"The query {one.query[:80]!r} is judged, but is not among the queries.", hint="Add its text."
        )
    if not one.document:
        raise InvalidRequest(f"A judgment of the query {one.query[:80]!r} names no document.")
    if not GRADES[0] <= one.grade <= GRADES[1]:
        raise InvalidRequest(f"The grade {one.grade} is no number from {GRADES[0]} to {GRADES[1]}.", field="grade")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def json_lines(text: str) -> Iterable[tuple[int, dict[str, Any]]]:
    """Give the objects of JSON lines, each with the number of its line. Raises `InvalidRequest` with the line."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row: Any = msgspec.json.decode(line)
        except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
            raise InvalidRequest(f"Line {number} is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise InvalidRequest(f"Line {number} is no JSON object.")
        yield number, row
