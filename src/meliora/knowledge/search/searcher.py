"""A search: the stages in their order over one view of an index, by one snapshot. Each is timed; what could not run is told.

Words are what a search cannot do without. Any other stage that fails is left out, its reason stands in `skipped`, and the rest answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any, TypeVar

import structlog

from meliora.errors import InvalidRequest, MelioraError
from meliora.knowledge.answers import Answer, Explanation, Result
from meliora.knowledge.config import LEGS, Leg, Reranking, Snapshot
from meliora.knowledge.filters import Filter
from meliora.knowledge.index.base import Hit, Stored, View
from meliora.knowledge.search.asking import Question, as_it_is, question, read
from meliora.knowledge.search.fusion import Candidate, fuse, weight_of
from meliora.knowledge.search.parts import Parts, Pool, Ranked, Rewritten
from meliora.knowledge.text.analysis import Analysed

_T = TypeVar("_T")
log = structlog.get_logger(__name__)

MOST_RESULTS = 100
ENOUGH = 10
"""Documents among the candidates from which on it is looked no deeper."""
DEEPEST = 6_400
"""Passages of a leg that are looked at, where a few documents have all the first ones."""
_UNLEARNED = Reranking(model="")
"""How many candidates a ranker gets that no snapshot names."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is searched for."""

    text: str
    limit: int = 10
    where: Filter | None = None
    language: str = ""
    explain: bool = False

    def __post_init__(self) -> None:
        """Raise `InvalidRequest` for a limit that is none."""
        if not 1 <= self.limit <= MOST_RESULTS:
            raise InvalidRequest(f"A search gives 1 to {MOST_RESULTS} results, not {self.limit}.", field="limit")


@dataclass(slots=True)
class _Course:
    """How one search went."""

    us: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = perf_counter_ns()
        try:
            yield
        finally:
            self.us[name] = self.us.get(name, 0) + (perf_counter_ns() - began) // 1000

    def attempt(self, name: str, do: Callable[[], _T], otherwise: _T) -> _T:
        """Run a stage that the search can do without."""
        try:
            with self.stage(name):
                return do()
        except InvalidRequest:
            raise
        except Exception as error:  # noqa: BLE001 - a model from a file may raise anything; the search stands without it, and says so
            self.skipped[name] = str(error) if isinstance(error, MelioraError) else f"{type(error).__name__}: {error}"
            log.warning("a stage of a search was left out", stage=name, why=self.skipped[name])
            return otherwise


def search(request: Request, view: View, snapshot: Snapshot, parts: Parts) -> Answer:
    """Give the documents that answer a query, each by its best passage. An empty query has no answer, which is no error."""
    return searched(request, view, snapshot, parts)[0]


def searched(request: Request, view: View, snapshot: Snapshot, parts: Parts) -> tuple[Answer, Ranked | None]:
    """Search; with the answer give the ranker's word on the first candidates of the fusion, None where it had none."""
    course = _Course(skipped=dict(parts.missing))
    with course.stage("analyse"):
        query, cut = read(request.text, view, request.language)
    asked = question(query, _repaired(query, parts, course), view, cut)
    candidates = _candidates(request, view, snapshot, asked, course)
    ranked, order = _reranked(request, view, snapshot, parts, (query, asked, candidates), course)
    with course.stage("results"):
        results = _results(request, view, asked, candidates, ranked, order)
    answer = Answer(
        results=results,
        rewrites=asked.rewrites,
        snapshot=snapshot.number,
        generation=view.generation,
        watermark=view.watermark,
        candidates=_documents(candidates),
        stages_us=course.us,
        skipped=course.skipped,
        unknown=asked.unknown,
        terms=query.terms,
        written=query.written,
        notes=_notes(request, query, cut),
    )
    return answer, ranked


def _notes(request: Request, query: Analysed, cut: int) -> dict[str, Any]:
    if cut:
        return {"words_left_out": cut}
    common = not query.terms and any(map(str.isalnum, request.text[:1_000]))
    return {"only_common_words": True} if common else {}


def _repaired(query: Analysed, parts: Parts, course: _Course) -> Rewritten:
    rewritten = as_it_is(query)
    for name, repairer in parts.repairers:
        rewritten = course.attempt(name, lambda one=repairer: one(query), rewritten)
    return rewritten


def _candidates(request: Request, view: View, snapshot: Snapshot, asked: Question, course: _Course) -> list[Candidate]:
    """Give the passages that any leg found, the best first.

    Where long documents take all the places, and others may have words of the query too, it is looked deeper: by a number that is
    no part of the request, so that who asks for more results gets the same ones first.
    """
    rules, wanted = snapshot.config.fusion, min(ENOUGH, view.documents)
    depth, before = max(rules.depth, request.limit), 0
    while True:
        found = _retrieved(request, view, snapshot, asked, depth, course)
        with course.stage("fusion"):
            candidates = fuse(found, rules, fitted=view.fitted)
            documents = _documents(candidates)
        more = any(len(hits) >= depth for leg, hits in found.items() if leg == "words" or not rules.words)
        if documents >= wanted or not more or depth >= DEEPEST or (request.where and documents == before):
            return candidates
        depth, before = min(depth * 8, DEEPEST), documents


def _documents(candidates: Sequence[Candidate]) -> int:
    return len({one.passage.rpartition("#")[0] for one in candidates})


def _retrieved(
    request: Request, view: View, snapshot: Snapshot, asked: Question, depth: int, course: _Course
) -> dict[Leg, Sequence[Hit]]:
    rules = snapshot.config.fusion
    found: dict[Leg, Sequence[Hit]] = {}
    for leg in LEGS:
        if not weight_of(rules, leg):
            continue
        if leg == "words":
            with course.stage(leg):
                found[leg] = view.retrieve(leg, asked.asked, depth, request.where)
        else:
            found[leg] = course.attempt(leg, lambda leg=leg: view.retrieve(leg, asked.asked, depth, request.where), ())
    return found


def _reranked(
    request: Request,
    view: View,
    snapshot: Snapshot,
    parts: Parts,
    seen: tuple[Analysed, Question, list[Candidate]],
    course: _Course,
) -> tuple[Ranked | None, list[int]]:
    query, asked, candidates = seen
    order = list(range(len(candidates)))
    rules = snapshot.config.reranking or _UNLEARNED
    if parts.ranker is None or not candidates:
        return None, order
    ranker, first = parts.ranker, candidates[: rules.depth]

    def rank() -> Ranked | None:
        stored = view.stored([one.passage for one in first])
        here = [(one, kept) for one, kept in zip(first, stored, strict=True) if kept is not None]
        if len(here) < len(first):
            return None  # an index that lost a passage is told by an audit; the fusion's order is as good as before
        pool = Pool(view, query, asked.asked, first, [kept for _, kept in here])
        return ranker(pool, explain=request.explain)

    ranked = course.attempt("reranking", rank, None)
    if ranked is None:
        return None, order
    course.skipped.update(ranked.skipped)
    best = sorted(range(len(first)), key=lambda at: (-ranked.scores[at], at))
    return ranked, best + order[len(first) :]


def _results(
    request: Request,
    view: View,
    asked: Question,
    candidates: list[Candidate],
    ranked: Ranked | None,
    order: list[int],
) -> tuple[Result, ...]:
    taken: dict[str, int] = {}
    for at in order:
        taken.setdefault(candidates[at].passage.rpartition("#")[0], at)
        if len(taken) == request.limit:
            break
    stored = view.stored([candidates[at].passage for at in taken.values()])
    results: list[Result] = []
    for at, kept in zip(taken.values(), stored, strict=True):
        if kept is not None:
            scored = ranked is not None and at < len(ranked.scores)
            score = ranked.scores[at] if ranked is not None and scored else candidates[at].score
            why = explained(asked, candidates, at, kept, ranked) if request.explain else None
            results.append(_result(kept, len(results) + 1, score, why))
    return tuple(results)


def _result(kept: Stored, position: int, score: float, why: Explanation | None) -> Result:
    return Result(
        document=kept.document,
        passage=kept.number,
        position=position,
        score=score,
        title=kept.title,
        text=kept.text,
        start=kept.start,
        end=kept.end,
        source=kept.source,
        metadata=kept.metadata,
        marks=kept.marks,
        explanation=why,
    )


def explained(
    asked: Question, candidates: Sequence[Candidate], at: int, kept: Stored, ranked: Ranked | None
) -> Explanation:
    """Tell what each stage contributed to a result."""
    one = candidates[at]
    scored = ranked is not None and at < len(ranked.scores)
    return Explanation(
        places=one.places,
        fused=one.score,
        fused_rank=at + 1,
        matched=asked.matched(frozenset((*kept.terms, *kept.title_terms))),
        features=dict(ranked.features[at]) if ranked is not None and scored and ranked.features else {},
        contributions=dict(ranked.contributions[at]) if ranked is not None and scored and ranked.contributions else {},
        reranked=ranked.scores[at] if ranked is not None and scored else None,
    )
