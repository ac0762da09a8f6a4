"""What a repair brings back of what a planted shift took: misspelled queries, new words for old things, an index with a fault.

By the product's own search and its own repairs. Scored on queries that nothing was learned from; a query that was drawn with several
seeds counts once, by its means. Seeds 1 to 6 were used to choose how repairs work: what is reported is drawn from others.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import msgspec
import numpy as np

from benchmarks.report import ControlFailed, Figure, Report
from benchmarks.search.people import AGAIN, PEOPLE, learned, log
from benchmarks.search.quality import interval
from benchmarks.search.served import TENANT, Asking, Served
from benchmarks.search.shifts import Query, Regained, Shift, index_fault, jargon, regained, typos
from meliora.knowledge.config import Expansion, SearchConfig, Spelling
from meliora.knowledge.documents import Changed
from meliora.knowledge.indexes import next_generation
from meliora.knowledge.library import hash_of
from meliora.knowledge.text.analysis import analyse
from meliora.stats.ranking import ndcg

DRAWS, DRAWS_QUICK = 12, 2
FAULTS, FAULTS_QUICK = 5, 1
LARGE = 20_000
"""Documents above which an index is spoiled and built again for one seed only."""
MISSING, STALE = 0.2, 0.1
"""Of the documents, in a faulty index; what is stale has the first third of its text."""
MOST_QUERIES = 400
"""Of a collection; of more, so many are drawn."""
FRAME = frozenset(("articl", "give", "given", "inform", "must", "need", "one", "problem", "use"))
"""Terms that frame a question: no new word is planted for them."""
Answer = Callable[[str], Sequence[str]]


@dataclass
class Scores:
    """NDCG@10 of queries of all collections, each as it was, as it is asked after a shift, and repaired."""

    rows: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    told: dict[str, list[float]] = field(default_factory=dict)
    """What else is measured of a repair, by name."""

    def add(self, query: str, clean: float, broken: float, repaired: float) -> None:
        """Keep a query's scores with one seed."""
        self.rows.setdefault(query, []).append((clean, broken, repaired))

    def tell(self, name: str, value: float) -> None:
        """Keep what else was measured."""
        self.told.setdefault(name, []).append(value)

    def means(self) -> np.ndarray:
        """Give [queries, 3], each query's means."""
        return np.array([np.mean(own, axis=0) for own in self.rows.values()]).reshape(-1, 3)


def measure(report: Report, sets: Sequence[Served], seed: int, quick: bool) -> None:
    """Add `typo_recovered`, `jargon_recovered`, `index_fault_recovered` and `clean_loss`. Fails where a shift costs nothing."""
    if not sets:
        for name in ("typo_recovered", "jargon_recovered", "index_fault_recovered", "clean_loss"):
            report.miss(name, "no judged collection under --data")
        return
    draws = range(seed * 1000 + 100, seed * 1000 + 100 + (DRAWS_QUICK if quick else DRAWS))
    losses: dict[str, Scores] = {"typos": Scores(), "jargon": Scores(), "index fault": Scores()}
    slips, new, others, clicked, faults = Scores(), Scores(), Scores(), Scores(), Scores()
    for served in sets:
        house = _House(served, draws[0])
        house.typos(draws, slips, losses["typos"])
        house.jargon(draws, new, losses["jargon"])
        if not quick:
            house.jargon(draws, others, Scores(), repeated=False)
            house.jargon(draws, clicked, Scores(), again=0.0, counted=False)
        few = quick or len(served.judged.documents) > LARGE
        house.faults(draws[: FAULTS_QUICK if few else FAULTS], faults, losses["index fault"])
    _add(
        report,
        "typo_recovered",
        slips,
        {},
        "half of the words of 4 letters or more misspelled, a fifth of the longer ones twice",
    )
    unlike = {"other queries before": others, "clicks alone": clicked}
    beside = {name: _back(own).share for name, own in unlike.items() if own.rows}
    note = (
        f"up to 15 words replaced; learned from the other half of the queries, each asked by {PEOPLE} people before and after: who "
        f"finds nothing relevant in ten results asks again in the old words in {AGAIN:.0%} of cases; other queries before: the day before "
        "had the half that is scored, in its old words; clicks alone: nobody asks again, and there is no day before"
    )
    _add(report, "jargon_recovered", new, beside, note)
    note = f"{MISSING:.0%} of the documents missing and {STALE:.0%} stale; audited, built again, switched"
    _add(report, "index_fault_recovered", faults, {}, note)
    _add_loss(report, losses, seed)


class _House:
    """A collection with its queries, and how they are answered without any repair."""

    def __init__(self, served: Served, seed: int) -> None:
        judged = served.judged
        names = sorted(judged.queries)
        if len(names) > MOST_QUERIES:
            names = sorted(random.Random(seed).sample(names, MOST_QUERIES))
        self.served = served
        self.queries = [Query(name, judged.queries[name], judged.grades[name]) for name in names]
        self.plain: Answer = lru_cache(maxsize=None)(Asking(served))

    def score(self, answer: Answer, query: Query, text: str) -> float:
        return ndcg(answer(text), query.grades, 10)

    def add(self, scores: Scores, query: Query, broken: str, answer: Answer) -> None:
        plain = self.plain
        three = (
            self.score(plain, query, query.text),
            self.score(plain, query, broken),
            self.score(answer, query, broken),
        )
        scores.add(f"{self.served.judged.name}/{query.id}", *three)

    def typos(self, draws: Sequence[int], scores: Scores, loss: Scores) -> None:
        answer = Asking(self.served, SearchConfig(spelling=Spelling()))
        for draw in draws:
            for query, now in _changed(typos(self.queries, draw)):
                self.add(scores, query, now.text, answer)
        for query in self.queries:
            self.add(loss, query, query.text, answer)

    def jargon(
        self,
        draws: Sequence[int],
        scores: Scores,
        loss: Scores,
        *,
        again: float = AGAIN,
        counted: bool = True,
        repeated: bool = True,
    ) -> None:
        for draw in draws:
            shift = self._renamed(draw)
            pairs = list(zip(shift.clean, shift.broken, strict=True))
            random.Random(draw).shuffle(pairs)
            fitted, held = pairs[::2], pairs[1::2]
            old, now = [was for was, _ in fitted], [now for _, now in fitted]
            before = old if repeated else [was for was, _ in held]
            seen = log(old, now, self.plain, random.Random(draw), again=again, before=before)
            table = learned(self.served, seen, counted=counted)
            scores.tell("learned", float(table is not None))
            answer = self.plain if table is None else Asking(self.served, _expanding(self.served, table))
            for query, now in held:
                if query.text != now.text:
                    self.add(scores, query, now.text, answer)
                self.add(loss, query, query.text, answer)

    def _renamed(self, draw: int) -> Shift:
        view = self.served.view
        most = view.passages

        def able(term: str) -> bool:
            common = 0.01 * most <= view.frequency(term) <= 0.35 * most
            return term.isalpha() and len(term) >= 3 and term not in FRAME and common

        least = 6 if len(self.queries) >= 150 else 4
        return jargon(self.queries, draw, terms_of=lambda text: analyse(text).terms, able=able, least=least)

    def faults(self, draws: Sequence[int], scores: Scores, loss: Scores) -> None:
        indexes, name = self.served.indexes, self.served.name
        documents = [one.id for one in indexes.all(TENANT, name)]
        for draw in draws:
            planted = index_fault(self.queries, documents, draw, missing=MISSING, stale=STALE)
            _spoil(self.served, planted)
            broken = Asking(self.served)
            audit = indexes.audit(TENANT, name)
            scores.tell("found by the audit", audit.faults / max(1, len(planted.missing) + len(planted.stale)))
            made = next_generation(self.served.view.generation, "repair")
            indexes.build(TENANT, name, made)
            left = indexes.audit(TENANT, name, indexes.of(TENANT, name).built(made)).faults
            scores.tell("left", float(left))
            indexes.of(TENANT, name).switch(made)
            answer = Asking(self.served)
            for query in self.queries:
                key = f"{self.served.judged.name}/{query.id}"
                clean, whole = self.score(self.plain, query, query.text), self.score(answer, query, query.text)
                scores.add(key, clean, self.score(broken, query, query.text), whole)
                loss.add(key, clean, clean, whole)


def _changed(shift: Shift) -> Iterator[tuple[Query, Query]]:
    return ((was, now) for was, now in zip(shift.clean, shift.broken, strict=True) if was.text != now.text)


def _expanding(served: Served, table: bytes) -> SearchConfig:
    return SearchConfig(expansion=Expansion(table=served.store.knowledge_snapshots.keep(TENANT, "expansion", table)))


def _spoil(served: Served, planted: Shift) -> None:
    """Let an index serve that lost documents and has others as they were before; it says that it has come as far as any."""
    index, indexes = served.indexes.of(TENANT, served.name), served.indexes
    made = next_generation(served.view.generation, "fault")
    index.build(_spoiled(indexes.all(TENANT, served.name), planted), made)
    index.switch(made)


def _spoiled(changes: Iterator[Changed], planted: Shift) -> Iterator[Changed]:
    for one in changes:
        if one.id in planted.missing:
            continue
        if one.kept is not None and one.id in planted.stale:
            text = one.kept.document.text
            before = msgspec.structs.replace(one.kept.document, text=text[: len(text) // 3])
            yield msgspec.structs.replace(
                one, kept=msgspec.structs.replace(one.kept, document=before, hash=hash_of(before))
            )
        else:
            yield one


def _back(scores: Scores) -> Regained:
    return regained(*scores.means().T)


def _add(report: Report, name: str, scores: Scores, beside: dict[str, float], note: str) -> None:
    if len(scores.rows) < 10:
        report.miss(name, f"the shift changed {len(scores.rows)} queries that nothing was learned from: too few")
        return
    found = _back(scores)
    if found.clean <= found.broken:
        raise ControlFailed(
            f"{name}: the planted shift costs nothing, {found.clean:.4f} before and {found.broken:.4f} after"
        )
    told = {what: float(np.mean(values)) for what, values in scores.told.items()}
    parts = {f"of {one}": _back(own).share for one, own in _by_set(scores).items()}
    figures = {"clean": found.clean, "broken": found.broken, "repaired": found.repaired}
    p = {} if found.p is None else {"p": found.p}
    beside = figures | p | beside | told | parts
    report.add(Figure(name, found.share, "share", found.low, found.high, found.queries, beside, note))


def _by_set(scores: Scores) -> dict[str, Scores]:
    found: dict[str, Scores] = {}
    for query, rows in scores.rows.items():
        found.setdefault(query.partition("/")[0], Scores()).rows[query] = rows
    return {name: own for name, own in found.items() if len(own.rows) >= 10 and _costs(own)}


def _costs(scores: Scores) -> bool:
    clean, broken, _ = scores.means().mean(axis=0)
    return bool(clean > broken)


def _add_loss(report: Report, losses: dict[str, Scores], seed: int) -> None:
    lost = {name: own.means()[:, 0] - own.means()[:, 2] for name, own in losses.items() if own.rows}
    worst = max(lost, key=lambda name: float(lost[name].mean()))
    found = interval(lost[worst].tolist(), seed)
    beside = {name: float(own.mean()) for name, own in lost.items()}
    note = f"NDCG@10 that queries without a fault lose by a repair; the greatest: {worst}"
    report.add(Figure("clean_loss", found.value, "ndcg", found.low, found.high, found.n, beside, note))
