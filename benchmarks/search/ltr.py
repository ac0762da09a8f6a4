"""The reranker against the fusion that it stands on: by cross-validation over queries, from one collection to another, and in time.

How the reranker is grown was chosen on the folds of seed 11; the seeds that are reported are others.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.intervals import mean, quantile
from benchmarks.report import ControlFailed, Figure, Report
from benchmarks.report import figure as described
from benchmarks.search.served import Served
from benchmarks.search.sets import Judged
from meliora.knowledge.config import SearchConfig
from meliora.knowledge.ranking.batch import Rarity
from meliora.knowledge.ranking.examples import DEPTH, pool
from meliora.knowledge.ranking.features import features
from meliora.knowledge.ranking.model import Reranker
from meliora.knowledge.ranking.ranker import ModelRanker
from meliora.knowledge.ranking.train import LEAST_QUERIES, Example, Folded, cross_validate, figure, train
from meliora.knowledge.search.parts import Pool
from meliora.stats.paired import PairedResult, compare
from meliora.stats.ranking import ndcg

SEEDS = 5
"""Dealings of the queries to folds: `seed`, `seed` + 100, and so on, never 11; with --quick only the first."""
MOST_QUERIES, MOST_QUERIES_QUICK = 1000, 150
"""Of a collection; of more, so many are drawn."""
Pools = dict[str, Pool]


def measure(report: Report, sets: Sequence[Served], seed: int, quick: bool) -> None:
    """Add `ltr_over_rrf_p`, `rerank50_ms` and `SET.ltr_transfer_over_bm25`, what the reranker is worth on a set that it never saw."""
    if not sets:
        for name in ("ltr_over_rrf_p", "rerank50_ms"):
            report.miss(name, "no judged collection under --data")
        return
    most = MOST_QUERIES_QUICK if quick else MOST_QUERIES
    pools = {one.judged.name: _pools(one, most, seed) for one in sets}
    examples = {one.judged.name: _examples(one.judged, pools[one.judged.name]) for one in sets}
    everything = [one for own in examples.values() for one in own]
    telling = sum(one.telling for one in everything)
    if telling < 2 * LEAST_QUERIES:
        for name in ("ltr_over_rrf_p", "rerank50_ms"):
            report.miss(name, f"{telling} queries have candidates both relevant and not: too few to train on")
        return
    _over_fusion(report, everything, seed, 1 if quick else SEEDS)
    _across(report, pools, examples, seed)
    _speed(report, pools, train(everything, seed=seed))


def _pools(served: Served, most: int, seed: int) -> Pools:
    names = sorted(served.judged.queries)
    if len(names) > most:
        names = sorted(random.Random(seed).sample(names, most))
    found = {query: pool(served.judged.queries[query], served.view, SearchConfig()) for query in names}
    return {query: one for query, one in found.items() if one.candidates}


def _examples(judged: Judged, pools: Pools) -> list[Example]:
    rarity = Rarity()
    return [
        Example(
            query=f"{judged.name}/{query}",
            table=features(one, rarity),
            documents=tuple(stored.document for stored in one.stored),
            grades=judged.grades[query],
        )
        for query, one in pools.items()
    ]


def _over_fusion(report: Report, examples: Sequence[Example], seed: int, seeds: int) -> None:
    """Report the first seed; the others stand beside it."""
    folds = {number: cross_validate(examples, seed=number) for number in range(seed, seed + 100 * seeds, 100)}
    results = {number: _compared(folded) for number, folded in folds.items()}
    p = {number: one.p_different for number, one in results.items() if one.p_different is not None}
    if seed not in p:
        report.miss("ltr_over_rrf_p", f"{results[seed].pairs} judged queries are too few")
        return
    beside = {"rrf": _mean(folds[seed].before)}
    beside |= {f"ltr, seed {number}": _mean(folded.after) for number, folded in folds.items()}
    beside |= {"difference": results[seed].difference or 0.0, "worst p": max(p.values())}
    note = f"sign-flip over queries, two-sided, 5 folds of seed {seed}; worst of {seeds} seeds beside; NDCG@10"
    report.add(Figure("ltr_over_rrf_p", p[seed], "p", n=results[seed].pairs, beside=beside, note=note))
    _control(_mean(folds[seed].after), examples)


def _across(report: Report, pools: Mapping[str, Pools], examples: Mapping[str, list[Example]], seed: int) -> None:
    """Train on all collections but one, test on that one."""
    for test in examples:
        name = f"{test}.ltr_transfer_over_bm25"
        learned = [one for other, own in examples.items() if other != test for one in own]
        if sum(one.telling for one in learned) < LEAST_QUERIES or len(examples[test]) < 2:
            report.miss(name, "the other collections under --data have too few queries to train on")
            continue
        model = train(learned, seed=seed)
        scores = [figure(one, model) for one in examples[test]]
        words = (one.view.retrieve("words", one.asked, 100) for one in pools[test].values())
        bm25 = [
            ndcg(list(dict.fromkeys(hit.passage.rpartition("#")[0] for hit in hits)), one.grades, 10)
            for hits, one in zip(words, examples[test], strict=True)
        ]
        compared = compare(bm25, scores, seed=seed)
        fused = float(np.mean([figure(one, None) for one in examples[test]]))
        beside = {"ltr": float(np.mean(scores)), "bm25": float(np.mean(bm25)), "rrf": fused}
        beside |= {} if compared.p_different is None else {"p": compared.p_different}
        gains = mean([after - before for before, after in zip(bm25, scores, strict=True)])
        note = "difference of NDCG@10; trained on the other collections"
        report.add(described(name, "ndcg", gains, beside=beside, note=note))


def _speed(report: Report, pools: Mapping[str, Pools], model: Reranker) -> None:
    """Time features and model of every query with all its candidates; the second time, as a process that has served before."""
    taken: list[float] = []
    for own in pools.values():
        ranker = ModelRanker(model)
        for one in own.values():
            ranker(one)
        for one in own.values():
            start = time.perf_counter()
            ranker(one)
            taken.append((time.perf_counter() - start) * 1000)
    taken.sort()
    beside = {"p99": quantile(taken, 0.99)}
    note = f"wall time of {DEPTH} candidates, median over queries; low and high hold 95% of them"
    low, high = quantile(taken, 0.025), quantile(taken, 0.975)
    report.add(Figure("rerank50_ms", quantile(taken, 0.5), "ms", low, high, len(taken), beside, note))


def _compared(folded: Folded) -> PairedResult:
    queries = sorted(folded.before)
    return compare([folded.before[query] for query in queries], [folded.after[query] for query in queries])


def _mean(scores: Mapping[str, float]) -> float:
    return float(np.mean(list(scores.values())))


def _control(after: float, examples: Sequence[Example]) -> None:
    """Fail where the reranker does nearly as well as the best order of its candidates: then it saw the judgments."""
    ceiling = float(np.mean([ndcg(_best(one), one.grades, 10) for one in examples]))
    if after > 0.95 * ceiling:
        raise ControlFailed(f"the reranker's {after:.3f} reaches its candidates' ceiling of {ceiling:.3f}")


def _best(example: Example) -> list[str]:
    return sorted(set(example.documents), key=lambda name: (-example.grades.get(name, 0), name))
