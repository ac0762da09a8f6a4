"""How fast the shipped index is, and what memory it takes: built and searched each in a process of its own, like its rivals."""

from __future__ import annotations

import gc
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is loaded: a search has one core

import msgspec
import numpy as np

from benchmarks.intervals import Estimate, quantile
from benchmarks.report import Figure, Report
from benchmarks.search.collection import Made, whole
from meliora.clock import SystemClock
from meliora.knowledge.config import SearchConfig, Snapshot
from meliora.knowledge.index.embedded import Embedded
from meliora.knowledge.search.parts import Parts
from meliora.knowledge.search.searcher import Request, search

_T = TypeVar("_T")
QUICK, SMALL, LARGE = 5_000, 50_000, 500_000
QUERIES, QUERIES_QUICK = 2_000, 400
WARM = 50
"""Queries before the clock counts."""


class Built(msgspec.Struct):
    """How a build went."""

    seconds: float
    peak_mb: float
    disk_mb: float


class Asked(msgspec.Struct):
    """How queries went."""

    ms: list[float]
    first_ms: float
    """To open the index, and the first query."""
    rss_mb: float
    """What the process has more than before it opened the index, mapped pages included."""
    own_mb: float
    """Of these, pages of no file."""


def measure(report: Report, seed: int, quick: bool) -> None:
    """Add index_docs_per_s, p50_ms_50k, p99_ms_50k and p99_ms_500k; with `quick` of 5,000 documents, and named so."""
    queries, documents = (QUERIES_QUICK, QUICK) if quick else (QUERIES, SMALL)
    size = f"{documents // 1000}k"
    with tempfile.TemporaryDirectory(prefix="meliora-search-") as folder:
        small = Path(folder) / "small"
        built = alone(build, small, seed, documents)
        peer = alone(tantivy_build, Path(folder) / "peer", seed, documents)
        report.add(_rate("index_docs_per_s", built, documents, peer))
        peers = {
            "tantivy words": alone(ask_tantivy, Path(folder) / "peer", seed, queries),
            "bm25s": alone(ask_bm25s, seed, documents, queries),
        }
        asked = alone(ask, small, seed, queries)
        for name, share in ((f"p50_ms_{size}", 0.5), (f"p99_ms_{size}", 0.99)):
            report.add(
                _quantile(name, asked, share, {who: quantile(sorted(one.ms), share) for who, one in peers.items()})
            )
        if quick:
            for name in ("p50_ms_50k", "p99_ms_50k", "p99_ms_500k"):
                report.miss(name, "not with --quick")
            return
        large = Path(folder) / "large"
        built = alone(build, large, seed, LARGE)
        asked = alone(ask, large, seed, queries)
        beside = {
            "p50": quantile(sorted(asked.ms), 0.5),
            "docs_per_s": LARGE / built.seconds,
            "build_peak_mb": built.peak_mb,
        }
        report.add(_quantile("p99_ms_500k", asked, 0.99, beside))


def alone(function: Callable[..., _T], *given: Any) -> _T:
    """Call a function in a new process, so that neither memory nor threads of others count."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *given).result()


def build(folder: Path, seed: int, count: int) -> Built:
    """Build and switch, vectors included; making the documents is not counted."""
    made = Made(seed)
    index = Embedded(folder, chunk=whole, clock=SystemClock())
    clock = _Paused()
    index.build(clock.without(made.changes(count)), "1")
    index.switch("1")
    return Built(clock.seconds(), _peak_mb(), _disk_mb(folder))


def ask(folder: Path, seed: int, count: int) -> Asked:
    """Search with the configuration that a new collection has."""
    queries = Made(seed).queries(count + WARM)
    before = _rss_mb()
    index = Embedded(folder, chunk=whole, clock=SystemClock())
    snapshot, parts = Snapshot(number=0, config=SearchConfig()), Parts()
    return _asked(lambda query: search(Request(text=query), index.view(), snapshot, parts), queries, before)


def tantivy_build(folder: Path, seed: int, count: int) -> Built:
    """Index the same texts with tantivy alone: its own English analysis, words only."""
    import tantivy

    made = Made(seed)
    folder.mkdir(parents=True)
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("body", stored=True, tokenizer_name="en_stem", index_option="freq")
    clock = _Paused()
    writer = tantivy.Index(builder.build(), path=str(folder)).writer(128_000_000, 1)
    for text in clock.without(made.texts(count)):
        document = tantivy.Document()
        document.add_text("body", text)
        writer.add_document(document)
    writer.commit()
    writer.wait_merging_threads()
    return Built(clock.seconds(), _peak_mb(), _disk_mb(folder))


def ask_tantivy(folder: Path, seed: int, count: int) -> Asked:
    """Search words with tantivy alone, ten results with their text."""
    import tantivy

    queries = Made(seed).queries(count + WARM)
    before = _rss_mb()
    index = tantivy.Index.open(str(folder))
    searcher = index.searcher()

    def one(query: str) -> object:
        hits = searcher.search(index.parse_query(query, ["body"]), 10, count=False).hits
        return [searcher.doc(address) for _, address in hits]

    return _asked(one, queries, before)


def ask_bm25s(seed: int, documents: int, count: int) -> Asked:
    """Search words with bm25s, ten results."""
    import bm25s
    import Stemmer

    made = Made(seed)
    queries = made.queries(count + WARM)
    before = _rss_mb()
    stemmer = Stemmer.Stemmer("english")
    retriever = bm25s.BM25(k1=1.2, b=0.75)
    kept = bm25s.tokenize(list(made.texts(documents)), stopwords="en", stemmer=stemmer, show_progress=False)
    retriever.index(kept, show_progress=False)

    def one(query: str) -> object:
        terms = bm25s.tokenize(query, stopwords="en", stemmer=stemmer, show_progress=False)
        return retriever.retrieve(terms, k=10, show_progress=False, n_threads=1)

    return _asked(one, queries, before)


def _asked(one: Callable[[str], object], queries: Sequence[str], before: float) -> Asked:
    began = time.perf_counter()
    one(queries[0])
    first = (time.perf_counter() - began) * 1e3
    for query in queries[:WARM]:
        one(query)
    gc.collect()
    times: list[float] = []
    for query in queries[WARM:]:
        began = time.perf_counter()
        one(query)
        times.append((time.perf_counter() - began) * 1e3)
    return Asked(times, first, _rss_mb() - before, _rss_mb("RssAnon"))


class _Paused:
    """A stopwatch that stands still while the documents are made."""

    def __init__(self) -> None:
        self._began, self._out = time.perf_counter(), 0.0

    def without(self, made: Iterable[_T]) -> Iterator[_T]:
        iterator = iter(made)
        while True:
            began = time.perf_counter()
            one = next(iterator, None)
            self._out += time.perf_counter() - began
            if one is None:
                return
            yield one

    def seconds(self) -> float:
        return time.perf_counter() - self._began - self._out


def _rate(name: str, built: Built, count: int, peer: Built) -> Figure:
    beside = {"tantivy words": count / peer.seconds, "peak_mb": built.peak_mb, "disk_mb": built.disk_mb}
    return Figure(name, count / built.seconds, "/s", n=count, beside=beside, note="one build, vectors included")


def _quantile(name: str, asked: Asked, share: float, beside: dict[str, float]) -> Figure:
    estimate = _bootstrapped(asked.ms, share)
    memory = {"first_ms": asked.first_ms, "rss_mb": asked.rss_mb, "own_mb": asked.own_mb}
    return Figure(name, estimate.value, "ms", estimate.low, estimate.high, estimate.n, beside | memory)


def _bootstrapped(times: Sequence[float], share: float) -> Estimate:
    rng = np.random.default_rng(0)
    kept = np.array(times)
    again = np.quantile(kept[rng.integers(len(kept), size=(500, len(kept)))], share, axis=1)
    return Estimate(
        float(np.quantile(kept, share)), float(np.quantile(again, 0.025)), float(np.quantile(again, 0.975)), len(kept)
    )


def _rss_mb(field: str = "VmRSS") -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) / 1000 for line in status if line.startswith(f"{field}:"))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def _disk_mb(folder: Path) -> float:
    seen = {one.stat().st_ino: one.stat().st_size for one in folder.rglob("*") if one.is_file()}
    return sum(seen.values()) / 1e6
