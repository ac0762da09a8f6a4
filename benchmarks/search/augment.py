"""Whether made queries help a reranker: trained on half of the judged queries, with and without a data set, and held to the other half.

The data set is made as the loop makes it, but about all words: of the documents and of the half that is trained on, nothing in it like a
query of the other half. Each query that is held out counts once, by its mean over the dealings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from benchmarks.intervals import mean
from benchmarks.report import Report, figure
from benchmarks.search.served import TENANT, Served
from meliora.clock import SystemClock
from meliora.knowledge.augment.examples import Method
from meliora.knowledge.augment.workshop import FREE, ForTraining, Wish
from meliora.knowledge.config import SearchConfig
from meliora.knowledge.quality.evidence import JudgedQuery, half
from meliora.knowledge.ranking.examples import examples
from meliora.knowledge.ranking.train import LEAST_QUERIES, Example, train
from meliora.knowledge.ranking.train import figure as ndcg_of
from meliora.runtime.knowledge.augmenting import workshop_of
from meliora.settings import Settings

DEALINGS = 5
"""Times that the queries are dealt into halves; with --quick once."""
WAYS: dict[str, tuple[Method, ...]] = {"all": FREE, "documents": ("query_from_document",)}
COUNT = 200
"""Examples of a data set."""


def measure(report: Report, sets: Sequence[Served], seed: int, quick: bool) -> None:
    """Add `SET.made_queries_gain`, by all methods that need no model, and beside it by queries of documents alone."""
    if not sets:
        report.miss("SET.made_queries_gain", "no judged collection under --data")
    for one in sets:
        _measure(report, one, seed, 1 if quick else DEALINGS)


def _measure(report: Report, served: Served, seed: int, dealings: int) -> None:
    name, judged = f"{served.judged.name}.made_queries_gain", served.judged
    queries = [
        JudgedQuery(id=id, text=text, grades=judged.grades[id], origin="judged")
        for id, text in sorted(judged.queries.items())
    ]
    known = {one.query: one for one in examples(queries, served.view, SearchConfig())}
    gains: dict[str, dict[str, list[float]]] = {label: defaultdict(list) for label in WAYS}
    plain: list[float] = []
    for number in range(seed, seed + dealings):
        fitted = [one for one in queries if one.id in known and half(one.text, str(number)) == "fitted"]
        held = [one for one in queries if one.id in known and half(one.text, str(number)) == "held"]
        if sum(known[one.id].telling for one in fitted) < LEAST_QUERIES or not held:
            report.miss(name, f"{len(fitted)} queries are too few to train on")
            return
        bare = train([known[one.id] for one in fitted], seed=seed)
        before = {one.id: ndcg_of(known[one.id], bare) for one in held}
        plain += before.values()
        for label, methods in WAYS.items():
            added = _made(served, fitted, held, Wish(methods=methods, tokens=(), count=COUNT, seed=number))
            model = train([*(known[one.id] for one in fitted), *added], seed=seed)
            for one in held:
                gains[label][one.id].append(ndcg_of(known[one.id], model) - before[one.id])
    found = {label: mean([sum(own) / len(own) for own in by.values()]) for label, by in gains.items()}
    only = found["documents"]
    beside = {"without": sum(plain) / len(plain), "of documents alone": only.value, "low": only.low, "high": only.high}
    note = f"difference of NDCG@10 by {COUNT} made queries; {dealings} dealings into halves"
    report.add(figure(name, "ndcg", found["all"], beside=beside, note=note))


def _made(served: Served, fitted: Sequence[JudgedQuery], held: Sequence[JudgedQuery], wish: Wish) -> list[Example]:
    workshop = workshop_of(Settings(), served.store, SystemClock(), served.indexes, None)
    purpose = ForTraining(queries=tuple(fitted), held=tuple(one.text for one in held), config=SearchConfig())
    made = workshop.make(TENANT, served.name, wish, "benchmark", purpose)
    rows = workshop.sets.examples(TENANT, made.dataset.id)
    queries = [
        JudgedQuery(id=f"made:{at}", text=one.query, grades={one.document: 1.0}, origin="used", weight=one.quality)
        for at, one in enumerate(rows)
    ]
    return list(examples(queries, served.view, SearchConfig()))
