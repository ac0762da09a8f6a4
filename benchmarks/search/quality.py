"""How good searches of judged collections are, as the product serves them: fused, and by words alone, beside bm25s."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from benchmarks.intervals import Estimate, quantile
from benchmarks.report import ControlFailed, Report, figure
from benchmarks.search.served import COUNTED, Asking, Served
from benchmarks.search.sets import Judged
from meliora.knowledge.config import Fusion, SearchConfig
from meliora.stats.ranking import ndcg

WORDS = SearchConfig(fusion=Fusion(grams=0.0, dense=0.0))
ROUNDS = 2000
SAME = 1e-6
"""How far a figure may be from trec_eval's."""
Lists = Mapping[str, Sequence[str]]


def measure(report: Report, served: Served, seed: int) -> None:
    """Add `SET.rrf_ndcg10` and `SET.bm25_ndcg10`. Fails where they are not those of trec_eval."""
    judged = served.judged
    fused, ms = _lists(served, SearchConfig())
    words, words_ms = _lists(served, WORDS)
    for lists in (fused, words):
        _control(judged, lists)
    beside = {
        "recall 100": _recall(judged, fused),
        "bm25": float(np.mean(_scores(judged, words))),
        "documents": float(len(judged.documents)),
        "indexed": float(served.view.documents),
        "passages": float(served.view.passages),
        "left out": float(judged.left_out),
    } | ms
    note = "three legs fused; left out: queries without a relevant document; ms of a search for 100 results"
    report.add(
        figure(f"{judged.name}.rrf_ndcg10", "ndcg", interval(_scores(judged, fused), seed), beside=beside, note=note)
    )
    beside = {"bm25s": float(np.mean(_scores(judged, _bm25s(judged))))} | words_ms
    report.add(figure(f"{judged.name}.bm25_ndcg10", "ndcg", interval(_scores(judged, words), seed), beside=beside))


def interval(scores: Sequence[float], seed: int) -> Estimate:
    """Give the mean with a bootstrap interval over queries (Efron and Tibshirani, 1993)."""
    kept = np.asarray(scores, dtype=float)
    rng = np.random.default_rng(seed)
    again = [float(kept[rng.integers(0, len(kept), len(kept))].mean()) for _ in range(ROUNDS)]
    low, high = np.quantile(again, (0.025, 0.975))
    return Estimate(float(kept.mean()), float(low), float(high), len(kept))


def _lists(served: Served, config: SearchConfig) -> tuple[dict[str, Sequence[str]], dict[str, float]]:
    ask = Asking(served, config)
    for text in list(served.judged.queries.values())[:20]:
        ask(text, COUNTED)
    found: dict[str, Sequence[str]] = {}
    ms: list[float] = []
    for query, text in served.judged.queries.items():
        began = time.perf_counter()
        found[query] = ask(text, COUNTED)
        ms.append((time.perf_counter() - began) * 1e3)
    ms.sort()
    return found, {"p50_ms": quantile(ms, 0.5), "p99_ms": quantile(ms, 0.99)}


def _scores(judged: Judged, lists: Lists) -> list[float]:
    return [ndcg(found, judged.grades[query], 10) for query, found in lists.items()]


def _recall(judged: Judged, lists: Lists) -> float:
    def share(query: str, found: Sequence[str]) -> float:
        relevant = {one for one, grade in judged.grades[query].items() if grade > 0}
        return len(relevant.intersection(found)) / len(relevant)

    return float(np.mean([share(query, found) for query, found in lists.items()]))


def _control(judged: Judged, lists: Lists) -> None:
    """Fail where trec_eval scores the same lists otherwise. It knows whole grades only; others are taken times 100."""
    import pytrec_eval

    scale = 1 if all(float(grade).is_integer() for own in judged.grades.values() for grade in own.values()) else 100
    grades = {
        query: {one: max(0, round(grade * scale)) for one, grade in judged.grades[query].items()} for query in lists
    }
    runs = {query: {one: float(-place) for place, one in enumerate(found)} for query, found in lists.items()}
    theirs = pytrec_eval.RelevanceEvaluator(grades, {"ndcg_cut.10"}).evaluate(runs)
    for query, found in lists.items():
        own = ndcg(found, grades[query], 10)
        other = theirs.get(query, {}).get("ndcg_cut_10", 0.0)
        if abs(own - other) > SAME:
            raise ControlFailed(f"{judged.name}, query {query}: NDCG@10 is {own:.7f}, by trec_eval {other:.7f}")


def _bm25s(judged: Judged) -> Lists:
    """Search with bm25s over whole documents: its own English stop words, Snowball's stemmer."""
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("english")

    def cut(texts: list[str]):
        return bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)

    names = list(judged.documents)
    index = bm25s.BM25(k1=1.2, b=0.75)
    index.index(cut([f"{title} {text}" for title, text in judged.documents.values()]), show_progress=False)
    answer: Callable[..., object] = index.retrieve
    found: dict[str, Sequence[str]] = {}
    for query, text in judged.queries.items():
        rows, _ = answer(cut([text]), k=min(10, len(names)), show_progress=False, n_threads=1)  # pyright: ignore[reportGeneralTypeIssues]
        found[query] = [names[at] for at in rows[0]]
    return found
