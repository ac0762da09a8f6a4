"""Whether the loop over searches picks the right repair for what was planted, and whether it comes to be delivered, all by itself.

Whole lives of a deployment on a moved clock: clean days, then a shift (or none), then days until the loop has picked a repair (the first
that a finding of its own names), or, in every `DELIVERED_EVERY`th life, until one was proved, tried on live traffic and delivered.
"""

from __future__ import annotations

import logging
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import structlog

from benchmarks.intervals import Estimate
from benchmarks.report import Report, figure
from benchmarks.search.made import synthetic
from benchmarks.search.repairs import FRAME, _spoiled
from benchmarks.search.served import TENANT
from benchmarks.search.sets import Judged, folders, load
from benchmarks.search.shifts import Query, Shift, index_fault, jargon
from benchmarks.search.town import DELIVERED, NAME, Town, founded, opened
from benchmarks.search.users import Asking
from meliora.knowledge.text.analysis import analyse
from meliora.loop.change import Change
from meliora.loop.states import State
from meliora.stats.proportion import wilson
from meliora.stats.ranking import ndcg

Planted = Literal["typos", "jargon", "index", "none"]
DAY = 86_400.0
CLEAN_DAYS, MOST_DAYS = 1.5, 9.0
QUIET_DAYS = 3.0
RUNS, RUNS_QUICK = 100, 2
DELIVERED_EVERY = 5
PICKED_DAYS = 2.0
A_DAY, PEOPLE = 1200, 4000
STRANGERS = 5
"""One query in so many is asked by nobody, and tells what a repair does for queries that nothing was learned from."""


@dataclass(frozen=True)
class Lived:
    """What one life came to."""

    planted: Planted
    promoted: tuple[str, ...]
    """Kinds in the order in which they were delivered, a query repair with its methods."""
    right: bool
    """What was delivered first is right."""
    picked: str | None
    """What the first finding since the shift that names a repair names first."""
    picked_right: bool
    to_delivery: bool
    """The life went on until something was delivered, or its days were over."""
    hours: float | None
    """From the shift to the delivery."""
    lost: float
    """Sum of the NDCG@10 that the shift takes from the queries that nobody asked."""
    back: float | None
    """What the delivery brings back of it; None without one."""
    why: str
    """What became of the changes."""
    seconds: float = field(compare=False, default=0.0)


def measure(report: Report, data: Path | None, seed: int, quick: bool) -> None:
    """Add `right_repair_share` and `quiet_no_promotion_share`."""
    lives = list(lived(data, seed, RUNS_QUICK if quick else RUNS, quick=quick))
    shifted = [one for one in lives if one.planted != "none"]
    quiet = [one for one in lives if one.planted == "none"]
    beside: dict[str, float] = {}
    for kind in ("typos", "jargon", "index"):
        own = [one for one in shifted if one.planted == kind]
        if own:
            beside[kind] = float(np.mean([one.picked_right for one in own]))
        lived_on = [one for one in own if one.to_delivery]
        if lived_on:
            beside[f"{kind} delivered"] = float(np.mean([one.right for one in lived_on]))
    hours = [one.hours for one in shifted if one.hours is not None]
    beside |= {"hours, median": float(np.median(hours))} if hours else {}
    delivered = [(one.lost, one.back) for one in shifted if one.back is not None]
    if (lost := sum(own for own, _ in delivered)) > 0:
        beside["regained"] = sum(back for _, back in delivered) / lost
    wrong = sum(bool(one.promoted) and not one.right for one in shifted)
    beside |= {"wrong promotions": float(wrong)}
    _share(report, "right_repair_share", [one.picked_right for one in shifted], beside)
    _share(report, "quiet_no_promotion_share", [not one.promoted for one in quiet], {})


def lived(data: Path | None, seed: int, runs: int, *, quick: bool = False) -> Iterator[Lived]:
    """Live `runs` lives with a shift, and as many without. If quick, index faults alone: a trial of a repair takes days of searches."""
    sets = [synthetic(seed)] if quick or not folders(data) else [load(one) for one in folders(data)]
    with ExitStack() as stack:
        grounds = [stack.enter_context(ground(one)) for one in sets]
        order: tuple[Planted, ...] = ("index",) if quick else ("typos", "jargon", "index")
        for run in range(runs):
            on = quick or run // len(order) % DELIVERED_EVERY == 0
            yield life(grounds[run % len(grounds)], order[run % len(order)], seed * 100_000 + run, to_delivery=on)
            if not quick or run == 0:
                yield life(grounds[run % len(grounds)], "none", seed * 100_000 + 50_000 + run)


@dataclass(frozen=True)
class Ground:
    """A collection founded in a folder, to be copied for each life."""

    judged: Judged
    folder: Path


@contextmanager
def ground(judged: Judged) -> Iterator[Ground]:
    """Found a collection, with half of its queries as frozen judgments."""
    with TemporaryDirectory(prefix="meliora-ground-") as name:
        folder = Path(name)
        founded(judged, folder, sorted(judged.queries)[::2])
        yield Ground(judged, folder)


def life(ground: Ground, planted: Planted, seed: int, *, to_delivery: bool = True) -> Lived:
    """Live one life: until a repair is picked, or `to_delivery`."""
    began, rng = time.monotonic(), random.Random(seed)
    judged = ground.judged
    queries = [Query(one, judged.queries[one], judged.grades[one]) for one in sorted(judged.queries)]
    asked = [one for at, one in enumerate(queries) if at % STRANGERS]
    with TemporaryDirectory(prefix="meliora-life-") as name:
        folder = Path(name) / "state"
        shutil.copytree(ground.folder, folder)
        with opened(folder, asked, rng, a_day=A_DAY, people=PEOPLE) as town:
            town.live(Asking(), CLEAN_DAYS * DAY)
            clean = score(town, [(one, one.text) for one in queries[::STRANGERS]])
            asking, _ = plant(town, planted, queries, rng, seed)
            shifted_us = town.clock.now_us()
            probe = [(one, asking(one, random.Random(seed + at))) for at, one in enumerate(queries[::STRANGERS])]
            broken = score(town, probe)
            most = QUIET_DAYS if planted == "none" else MOST_DAYS if to_delivery else PICKED_DAYS

            def done_with() -> bool:
                if planted != "none" and not to_delivery:
                    return _picked(town, shifted_us) is not None
                return any(one.state in DELIVERED for one in town.changes())

            town.live(asking, most * DAY, done_with)
            picked = _picked(town, shifted_us)
            changes = town.changes()
            done = [one for one in changes if one.state in DELIVERED]
            hours = (done[0].updated_us - shifted_us) / 3.6e9 if done else None
            return Lived(
                planted=planted,
                promoted=tuple(_named(one) for one in done),
                right=bool(done) and _right(planted, done[0]),
                picked=picked,
                picked_right=picked == _WANTED[planted],
                to_delivery=to_delivery,
                hours=hours,
                lost=clean - broken,
                back=score(town, probe) - broken if done else None,
                why="; ".join(_told(one) for one in changes) or _gates(town),
                seconds=time.monotonic() - began,
            )


def plant(
    town: Town, planted: Planted, queries: list[Query], rng: random.Random, seed: int
) -> tuple[Asking, Shift | None]:
    """Let what is planted come; give how people ask from then on."""
    if planted == "typos":
        return Asking(misspelled=rng.uniform(0.2, 0.6)), None
    if planted == "jargon":
        view = town.plane.indexes.view(TENANT, NAME)

        def able(term: str) -> bool:
            common = 0.005 * view.passages <= view.frequency(term) <= 0.35 * view.passages
            return term.isalpha() and len(term) >= 3 and term not in FRAME and common

        least = 6 if len(queries) >= 150 else 4
        words = rng.randrange(8, 21)
        shift = jargon(queries, seed, terms_of=lambda text: analyse(text).terms, able=able, words=words, least=least)
        said = {was.id: now.text for was, now in zip(shift.clean, shift.broken, strict=True)}
        return Asking(new=lambda query: said[query.id]), shift
    if planted == "index":
        indexes = town.plane.indexes
        missing = rng.uniform(0.05, 0.4)
        shift = index_fault(queries, list(town.documents), seed, missing=missing, stale=rng.uniform(0, 0.1))
        index = indexes.of(TENANT, NAME)
        index.build(_spoiled(indexes.all(TENANT, NAME), shift), "9fault")
        index.switch("9fault")
        shelf = town.store.knowledge_documents
        shelf.exchange_generation(TENANT, NAME, "9fault", instead_of=shelf.generation(TENANT, NAME))
        return Asking(), shift
    return Asking(), None


def score(town: Town, asked: list[tuple[Query, str]]) -> float:
    """Sum up the NDCG@10 of queries as they are asked, by what serves now."""
    answer = town.answering()
    return sum(ndcg(list(answer(text))[:10], query.grades, 10) for query, text in asked)


def _named(one: Change) -> str:
    methods = (one.payload.get("notes") or {}).get("methods") or ()
    return f"{one.kind}({'+'.join(methods)})" if methods else one.kind


_WANTED: dict[Planted, str | None] = {
    "typos": "query_repair spelling",
    "jargon": "query_repair expansion",
    "index": "reindex",
    "none": None,
}


def _picked(town: Town, since_us: int) -> str | None:
    """Give what the first finding of searches since then that names a repair names first."""
    findings = [one for one in town.store.findings.list(TENANT, limit=500).items if one.recommended]
    first = min((one for one in findings if one.at_us > since_us), key=lambda one: one.at_us, default=None)
    if first is None or not first.recommended:
        return None
    one = first.recommended[0]
    return f"{one.kind} {one.method}" if one.method else one.kind


def _right(planted: Planted, first: Change) -> bool:
    methods = (first.payload.get("notes") or {}).get("methods") or ()
    wanted = {"typos": "spelling", "jargon": "expansion"}.get(planted)
    return wanted in methods if wanted else planted == "index" and first.kind == "reindex"


def _told(one: Change) -> str:
    said = one.reason or str(one.progress.get("looked", ""))
    return f"{_named(one)} {one.state.value}" + (f": {said[:200]}" if said and one.state is not State.KEPT else "")


def _gates(town: Town) -> str:
    rows = town.loop.board.status(TENANT)
    return ", ".join(
        f"{row.name} {row.standing.state} {row.last.value if row.last else None}"
        for row in rows
        if row.name in ("search_success", "ndcg_drop", "recall_drop")
    )


def _share(report: Report, name: str, hits: list[bool], beside: dict[str, float]) -> None:
    estimate = Estimate(sum(hits) / len(hits), *wilson(sum(hits), len(hits)), len(hits))
    report.add(figure(name, "share", estimate, beside=beside))


def main() -> None:
    """Live single lives and tell each: `python -m benchmarks.search.loop DATA SEED RUNS [KIND]`."""
    import sys

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    data = Path(sys.argv[1]) if sys.argv[1] != "-" else None
    seed, runs = int(sys.argv[2]), int(sys.argv[3])
    counts: Counter[tuple[str, bool]] = Counter()
    if len(sys.argv) > 4:
        judged = synthetic(seed) if data is None else load(folders(data)[0])
        with ground(judged) as one:
            for run in range(runs):
                print(life(one, sys.argv[4], seed * 100_000 + run), flush=True)  # type: ignore[arg-type]
        return
    for one in lived(data, seed, runs):
        counts[one.planted, one.right or (one.planted == "none" and not one.promoted)] += 1
        print(one, dict(counts), flush=True)


if __name__ == "__main__":
    main()
