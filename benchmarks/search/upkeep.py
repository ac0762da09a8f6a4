"""The figures of upkeep: near-duplicates of 100,000 entries, merges that would lose a fact, and how many true doubles are found."""

from __future__ import annotations

import random
import re
import resource
import time
from collections import Counter
from collections.abc import Callable

from benchmarks.intervals import Estimate
from benchmarks.report import Figure, Report, figure
from benchmarks.search.doubles import DRESSES, adversarial, entry, loose, twins
from benchmarks.search.traps import crowd, traps
from meliora.knowledge.documents import Document, Kept
from meliora.knowledge.upkeep.redundancy import Redundancy, redundant
from meliora.stats.proportion import wilson

ENTRIES, ENTRIES_QUICK = 100_000, 5_000
ADVERSARIAL = 1_000
TWINS = 700
LOOSE = 480
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
    """Compare all pairs as one collection: those that differ in what they say, and those that do not."""
    wrong = adversarial(rng, ADVERSARIAL) + traps(rng)
    right = twins(rng, TWINS)
    other = loose(rng, LOOSE)
    texts = [text for _, *both in (*wrong, *right, *other) for text in both] + crowd(rng)
    found = redundant(_kept(texts))
    merged = {frozenset((pair.kept, pair.archived)) for pair in found.pairs}
    queued = {frozenset((one.a, one.b)) for one in found.queued}
    false = Counter(kind for at, (kind, *_) in enumerate(wrong) if _ids(at) in merged)
    n = len(wrong)
    low, high = wilson(false.total(), n)
    kinds = {kind: float(many) for kind, many in false.items()}
    apart = sum(len({int(one) // 2 for one in pair}) > 1 and len(set(map(_bare(texts), pair))) > 1 for pair in merged)
    beside = {"kinds": float(len({kind for kind, *_ in wrong})), "made apart": float(apart)} | kinds
    note = "beside: kinds of pairs, pairs merged that were made apart and have other words, false ones by kind"
    report.add(
        figure("dedup_false_merges", "pairs", Estimate(false.total(), n * low, n * high, n), beside=beside, note=note)
    )
    looked = sum(_ids(at) in queued for at in range(n))
    report.add(figure("dedup_queued_share", "share", Estimate(looked / n, *wilson(looked, n), n)))
    hits = Counter(dress for at, (dress, *_) in enumerate(right, n) if _ids(at) in merged)
    total = Counter(dress for dress, *_ in right)
    every = hits.total()
    beside = {dress: hits[dress] / total[dress] for dress in DRESSES}
    report.add(
        figure("dedup_found_share", "share", Estimate(every / TWINS, *wilson(every, TWINS), TWINS), beside=beside)
    )
    same = [dress for dress, *_ in (*right, *other)]
    missed = Counter(dress for at, dress in enumerate(same, n) if _ids(at) not in merged | queued)
    seen = len(same) - missed.total()
    beside = {f"{dress} missed": float(many) for dress, many in missed.items()}
    share = Estimate(seen / len(same), *wilson(seen, len(same)), len(same))
    report.add(figure("dedup_seen_share", "share", share, beside=beside, note="merged, or a person is asked"))


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


def _bare(texts: list[str]) -> Callable[[str], str]:
    """Give the letters and digits of a text by its number, in small letters."""
    return lambda at: "".join(re.findall(r"\w", texts[int(at)].lower()))


def _ids(at: int) -> frozenset[str]:
    return frozenset((str(2 * at), str(2 * at + 1)))
