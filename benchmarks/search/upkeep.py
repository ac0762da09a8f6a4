"""The figures of upkeep: near-duplicates of 100,000 entries, merges that would lose a fact, and how many true doubles are found."""

from __future__ import annotations

import random
import resource
import time
from collections import Counter

from benchmarks.intervals import Estimate
from benchmarks.report import Figure, Report, figure
from benchmarks.search.doubles import DRESSES, adversarial, entry, twins
from meliora.knowledge.documents import Document, Kept
from meliora.knowledge.upkeep.redundancy import Redundancy, redundant
from meliora.stats.proportion import wilson

ENTRIES, ENTRIES_QUICK = 100_000, 5_000
ADVERSARIAL = 1_000
TWINS = 700
BOILERPLATE = 10_000


def measure(report: Report, seed: int, quick: bool = False) -> None:
    """Add the figures of upkeep."""
    rng = random.Random(seed)
    _merges(report, rng)
    _large(report, rng, ENTRIES_QUICK if quick else ENTRIES)
    if quick:
        report.miss("dedup_100k_s", "not with --quick")
    _boilerplate(report, rng, BOILERPLATE // 10 if quick else BOILERPLATE)


def _merges(report: Report, rng: random.Random) -> None:
    wrong = adversarial(rng, ADVERSARIAL)
    right = twins(rng, TWINS)
    texts = [text for _, *both in (*wrong, *right) for text in both]
    found = redundant(_kept(texts))
    merged = {frozenset((pair.kept, pair.archived)) for pair in found.pairs}
    false = Counter(kind for at, (kind, *_) in enumerate(wrong) if _ids(at) in merged)
    elsewhere = sum(len({int(one) // 2 for one in pair}) > 1 for pair in merged)
    note = "beside: pairs merged that were made apart"
    n = len(wrong)
    low, high = wilson(false.total(), n)
    share = Estimate(false.total(), n * low, n * high, n)
    kinds = {kind: float(many) for kind, many in false.items()}
    report.add(figure("dedup_false_merges", "pairs", share, beside={"made apart": float(elsewhere)} | kinds, note=note))
    queued = {frozenset((one.a, one.b)) for one in found.queued}
    looked = sum(_ids(at) in queued for at in range(n))
    report.add(figure("dedup_queued_share", "share", Estimate(looked / n, *wilson(looked, n), n)))
    hits = Counter(dress for at, (dress, *_) in enumerate(right, n) if _ids(at) in merged)
    total = Counter(dress for dress, *_ in right)
    every = hits.total()
    beside = {dress: hits[dress] / total[dress] for dress in DRESSES}
    report.add(
        figure("dedup_found_share", "share", Estimate(every / TWINS, *wilson(every, TWINS), TWINS), beside=beside)
    )


def _large(report: Report, rng: random.Random, count: int) -> None:
    texts = [entry(rng) for _ in range(count * 9 // 10)]
    planted = rng.sample(range(len(texts)), count - len(texts))
    dresses = [DRESSES[rng.choice(("greeting", "marks", "copy", "spaces"))] for _ in planted]
    texts += [dress(rng, texts[at]) for dress, at in zip(dresses, planted, strict=True)]
    took, found = _timed(texts)
    merged = {frozenset((pair.kept, pair.archived)) for pair in found.pairs}
    hits = sum(frozenset((str(at), str(count * 9 // 10 + number))) in merged for number, at in enumerate(planted))
    beside = {
        "planted found": hits / len(planted),
        "compared": float(found.compared),
        "queued": float(len(found.queued)),
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    report.add(
        Figure(f"dedup_{count // 1000}k_s", took, "s", n=count, beside=beside, note="one core; 4 sentences an entry")
    )


def _boilerplate(report: Report, rng: random.Random, count: int) -> None:
    common = " ".join(entry(rng, 7) for _ in range(2))
    times = {}
    for many in (count // 2, count):
        texts = [f"{common} {entry(rng, 1)}" for _ in range(many)]
        times[many], found = _timed(texts)
    beside = {"half as many": times[count // 2], "compared": float(found.compared)}
    report.add(Figure("dedup_boilerplate_s", times[count], "s", n=count, beside=beside, note="all share 14 sentences"))


def _timed(texts: list[str]) -> tuple[float, Redundancy]:
    kept = _kept(texts)
    start = time.perf_counter()
    found = redundant(kept)
    return time.perf_counter() - start, found


def _kept(texts: list[str]) -> list[Kept]:
    return [Kept(document=Document(id=str(at), text=text), seq=at, hash="") for at, text in enumerate(texts)]


def _ids(at: int) -> frozenset[str]:
    return frozenset((str(2 * at), str(2 * at + 1)))
