"""What a trainer learns from: a data set's queries with graded documents, without those that are to prove what was learned.

A data set is JSON lines of `{"query": text, "document": id, "grade": number}`; a grade that is not said is 1. `made_of` names the query
that one was made of: both stay on one side wherever something is held out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from meliora.errors import InvalidRequest
from meliora.knowledge.augment.quality import ForbiddenQueries
from meliora.knowledge.quality.evidence import JudgedQuery, normal
from meliora.knowledge.quality.judgments import from_jsonl, json_lines

_OF_TEXT = frozenset({"query_from_document", "query_generation"})
"""Methods whose `made_of` is a document's text."""


class Learnable(msgspec.Struct, frozen=True, kw_only=True):
    """A data set as it is learned from."""

    name: str
    """`ds_` and the beginning of `version`."""
    version: str
    """SHA-256 of all queries and grades, before any was left out."""
    queries: tuple[JudgedQuery, ...]
    families: Mapping[str, str]
    """What a query was made of, normalised, by its id; its own text where it was made of none."""
    left_out: Mapping[str, int]
    """Queries, by reason."""

    def family(self, query: JudgedQuery) -> str:
        """Give a query's family."""
        return self.families[query.id]

    @property
    def texts(self) -> list[str]:
        """Give all that is learned from: the queries, and what they were made of."""
        return [*(one.text for one in self.queries), *self.families.values()]


def learnable(text: str, there: Callable[[str], bool], proving: Iterable[str]) -> Learnable:
    """Read a data set. `there` tells whether a document is in the collection, `proving` gives the queries of the frozen judgments.

    Left out, and counted: queries that are nearly one that proves or were made of one (`test_set`), queries without a document that
    answers them (`no_answer`), and those of which none of the answers is in the collection (`no_document`). Raises `InvalidRequest`
    with the line, and where nothing is left.
    """
    judged = from_jsonl("data", 1, text)
    families = _families(text)
    forbidden = ForbiddenQueries(proving)
    left_out: dict[str, int] = {}
    kept: list[JudgedQuery] = []
    for id, grades in judged.grades().items():
        own = judged.queries[id]
        here = {document: grade for document, grade in grades.items() if there(document)}
        reason = _why_not(own, families.get(id, ""), grades, here, forbidden)
        if reason:
            left_out[reason] = left_out.get(reason, 0) + 1
        else:
            kept.append(JudgedQuery(id=id, text=own, grades=here, origin="judged"))
    if not kept:
        raise InvalidRequest(
            f"Of {len(judged.queries)} queries there is none to learn from: {_told(left_out)}.",
            hint="Documents are named by their ids in the collection; queries of the frozen judgments are not learned from.",
            field="data",
        )
    return Learnable(
        name=f"ds_{judged.sha256[:16]}",
        version=judged.sha256,
        queries=tuple(kept),
        families={one.id: families.get(one.id) or normal(one.text) for one in kept},
        left_out=dict(sorted(left_out.items())),
    )


def _families(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for _, row in json_lines(text):
        source = row.get("made_of")
        if isinstance(source, str) and row.get("method") not in _OF_TEXT:
            found[str(row.get("query_id", row.get("query")))] = normal(source)
    return found


def _why_not(
    text: str, source: str, grades: Mapping[str, float], here: Mapping[str, float], forbidden: ForbiddenQueries
) -> str:
    if not any(grade > 0 for grade in grades.values()):
        return "no_answer"
    if not any(grade > 0 for grade in here.values()):
        return "no_document"
    return "test_set" if forbidden.has(text) or (source and forbidden.has(source)) else ""


def _told(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "it has no line"
