"""The reranker against the fusion that it stands on: by cross-validation over queries, from one collection to another, and in time.

How the reranker is grown was chosen on the folds of seed 11; the seeds that are reported are others.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.intervals import mean, quantile
from benchmarks.report import ControlFailed, Figure, Report
from benchmarks.report import figure as described
from benchmarks.search.memory_view import Judged, MemoryView, load
from meliora.knowledge.config import SearchConfig
from meliora.knowledge.index.base import View
from meliora.knowledge.ranking.batch import Rarity
from meliora.knowledge.ranking.examples import DEPTH, pool
from meliora.knowledge.ranking.features import features
from meliora.knowledge.ranking.model import Reranker
from meliora.knowledge.ranking.ranker import ModelRanker
from meliora.knowledge.ranking.train import Example, Folded, cross_validate, figure, train
from meliora.knowledge.search.parts import Pool
from meliora.stats.paired import PairedResult, compare
from meliora.stats.ranking import ndcg

COLLECTIONS = ("cranfield", "cisi")
SEEDS, SEEDS_QUICK = 5, 2
"""Dealings of the queries to folds: `seed`, `seed` + 100, and so on, never 11."""
Pools = dict[str, Pool]


def measure(report: Report, data: Path, seed: int, quick: bool) -> None:
    """Add `ltr_over_rrf_p`, `rerank50_ms` and what the reranker is worth from one collection to the other."""
    sets = {name: load(data / name) for name in COLLECTIONS if (data / name / "corpus.jsonl.gz").is_file()}
    if not sets:
        for name in ("ltr_over_rrf_p", "rerank50_ms"):
            report.miss(name, f"none of {', '.join(COLLECTIONS)} under --data")
        return
    views = {name: MemoryView(judged.documents) for name, judged in sets.items()}
    pools = {name: _pools(views[name], judged) for name, judged in sets.items()}
    examples = {name: _examples(name, pools[name], sets[name]) for name in sets}
    _over_fusion(report, [one for own in examples.values() for one in own], seed, SEEDS_QUICK if quick else SEEDS)
    _across(report, pools, examples, seed)
    everything = [one for own in examples.values() for one in own]
    _speed(report, pools, train(everything, seed=seed))


def _pools(view: View, judged: Judged) -> Pools:
    return {query: pool(text, view, SearchConfig()) for query, text in judged.queries.items()}


def _examples(name: str, pools: Pools, judged: Judged) -> list[Example]:
    rarity = Rarity()
    return [
        Example(
            query=f"{name}/{query}",
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
    """Train on one collection, test on the other."""
    for test in examples:
        learned = [one for name, own in examples.items() if name != test for one in own]
        if not learned:
            report.miss(f"{test}.ltr_from_other_ndcg10", "there is no other collection under --data")
            continue
        model = train(learned, seed=seed)
        scores = [figure(one, model) for one in examples[test]]
        words = (one.view.retrieve("words", one.asked, 100) for one in pools[test].values())
        bm25 = [
            ndcg([hit.passage.rpartition("#")[0] for hit in hits], one.grades, 10)
            for hits, one in zip(words, examples[test], strict=True)
        ]
        beside = {"bm25": float(np.mean(bm25)), "rrf": float(np.mean([figure(one, None) for one in examples[test]]))}
        report.add(
            described(
                f"{test}.ltr_from_other_ndcg10",
                "ndcg",
                mean(scores),
                beside=beside,
                note="trained on the other collection",
            )
        )


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
