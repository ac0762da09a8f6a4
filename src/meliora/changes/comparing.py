"""Proves a change of searches: both configurations answer the same queries, and the pairs are compared. Content stays outside the proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from meliora.knowledge.quality.evidence import JudgedQuery, normal
from meliora.loop.kind import Figure, Proof, Verdict
from meliora.stats.paired import PairedResult, best_flip, compare, skewed
from meliora.stats.ranking import ndcg

DEPTH = 10
ALPHA = 0.01
"""Of the gain: several kinds may be tried after one drop."""
HOPE = 0.05
"""Of the gain by cross-validation from which on a trained candidate is proposed at all: the proof asks for more, on other queries."""
UNSEEN = 0.5
"""NDCG that one more query is assumed to lose, where none was seen to lose half of that. Gains on nearly all queries may be paid for by
rare large losses: what there is of them in the sample is allowed for by its skewness, what may be missing by this
(`benchmarks/search/proofs.py`)."""
LEAST = 30
"""Queries that must not suffer, below which nothing is concluded."""
WANTED = 12
"""Queries that it is for, below which nothing is concluded."""
MOST = 2_000
"""Queries of each sort that are answered; of more, the newest."""
LOSS = 0.005
"""What the queries that were well answered before may lose: more, where it is no chance, fails."""
MARGIN = 0.02
"""What they may lose at most, also where it may be chance: a trial on live traffic comes after this."""
RULE = (
    f"NDCG@{DEPTH} of the queries that it is for is better (p < {ALPHA}, one-sided, by sign-flip permutation of all that was tried and by"
    f" Hall's t for skewed differences, {WANTED} queries at least; where none loses {UNSEEN / 2}, one more is assumed that lost {UNSEEN});"
    f" that other judged queries lose more than {LOSS} is not shown (95%), they lose no more than {MARGIN}, and at the lower 95% bounds of"
    " both the queries together still gain; the trial decides on what is left"
)
KEEPS = (
    f"NDCG@{DEPTH} of the queries with a known answer, {LEAST} at least, is lower by no more than {MARGIN} at the lower 95% bound: what it"
    " replaces learned from people who were erased"
)

Answering = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Compared:
    """Two configurations on one set of queries."""

    result: PairedResult
    before: float | None
    after: float | None
    p_gain: float | None
    """Against "not better": the greater of `stats.paired.best_flip` and `skewed`; None for too few queries."""


def held_against(before: Answering, after: Answering, queries: Sequence[JudgedQuery], seed: int) -> Compared:
    """Answer queries by both. A query without an answer that is known to be right tells nothing, and is left out."""
    told = sorted(each_once(queries), key=lambda one: (-one.at_us, one.id))[:MOST]
    return compared([scored(before, one) for one in told], [scored(after, one) for one in told], seed)


def hopeful(before: Mapping[str, float], after: Mapping[str, float], seed: int) -> bool:
    """Tell whether scores by query gain beyond what chance gives one of twenty candidates that gain nothing."""
    asked = sorted(before)
    gain = compared([before[one] for one in asked], [after[one] for one in asked], seed).p_gain
    return gain is not None and gain < HOPE


def compared(old: Sequence[float], new: Sequence[float], seed: int, beside: Sequence[Sequence[float]] = ()) -> Compared:
    """Compare the scores of the same queries; `beside` are those of what else was tried, and not chosen for they are worse."""
    result = compare(old, new, seed=seed)
    mean = (sum(old) / len(old), sum(new) / len(new)) if old else (None, None)
    gain = None if result.difference is None else _p_gain(old, new, beside, seed)
    return Compared(result, *mean, gain)


def _p_gain(old: Sequence[float], new: Sequence[float], beside: Sequence[Sequence[float]], seed: int) -> float:
    gains, *others = (np.subtract(one, old) for one in (new, *beside))
    if gains.min() > -UNSEEN / 2:
        gains, *others = (np.append(one, -UNSEEN) for one in (gains, *others))
    return max(best_flip(gains, others, seed=seed), skewed(gains))


def each_once(queries: Sequence[JudgedQuery]) -> list[JudgedQuery]:
    """Give the queries that tell something, each text once: twice the same is no more evidence. Judgments go before what people used."""
    found: dict[str, JudgedQuery] = {}
    for one in sorted(queries, key=lambda one: (one.origin != "judged", -one.at_us, one.id)):
        if any(grade > 0 for grade in one.grades.values()):
            found.setdefault(normal(one.text), one)
    return list(found.values())


def proof(
    wanted: Compared,
    others: Compared,
    *,
    baseline: str | None,
    method: str,
    data: dict[str, Any],
    seed: int,
) -> Proof:
    """Decide: `wanted` are the queries that the change is for, `others` those that must not suffer."""
    verdict, sentence = decided(wanted, others)
    return Proof(
        verdict=verdict,
        method=method,
        rule=RULE,
        sentence=sentence,
        data=data,
        figures=(*_figures("wanted", wanted), *_figures("others", others)),
        baseline=baseline,
        seed=seed,
    )


def keeping(found: Compared, *, baseline: str | None, method: str, data: dict[str, Any], seed: int) -> Proof:
    """Decide whether a candidate is as good as what it has to replace, gain or none."""
    result = found.result
    told = f"NDCG@{DEPTH} {found.before or 0.0:.3f} to {found.after or 0.0:.3f} on {result.pairs} queries"
    verdict: Verdict = "inconclusive"
    if result.pairs < LEAST or result.low is None or result.high is None:
        sentence = f"{result.pairs} queries have a known answer; {LEAST} are needed"
    elif result.low >= -MARGIN:
        verdict, sentence = "passed", f"as good as what it replaces: {told}"
    elif result.high < -MARGIN:
        verdict, sentence = "failed", f"worse than what it replaces: {told}"
    else:
        sentence = f"not shown to be as good as what it replaces: {told}"
    return Proof(
        verdict=verdict,
        method=method,
        rule=KEEPS,
        sentence=sentence,
        data=data,
        figures=_figures("wanted", found),
        baseline=baseline,
        seed=seed,
    )


def decided(wanted: Compared, others: Compared) -> tuple[Verdict, str]:
    """Give the verdict by the rule, with its sentence."""
    gain, loss = wanted.result, others.result
    if gain.pairs < WANTED or gain.difference is None or wanted.p_gain is None:
        return "inconclusive", f"{gain.pairs} queries that it is for have a known answer; {WANTED} are needed"
    told = f"NDCG@{DEPTH} {wanted.before:.3f} to {wanted.after:.3f} on {gain.pairs} queries (p {wanted.p_gain:.2g})"
    if wanted.p_gain >= ALPHA:
        return "failed", f"not shown to be better: {told}"
    if loss.pairs < LEAST or loss.difference is None:
        return "inconclusive", f"{told}; but only {loss.pairs} other queries are judged, {LEAST} are needed"
    rest = f"{loss.difference:+.4f} on {loss.pairs} others"
    if loss.difference < -LOSS and loss.high is not None and loss.high < 0:
        return "failed", f"{told}; but others lose: {rest}"
    if loss.difference < -MARGIN:
        return "inconclusive", f"{told}; but others lose, perhaps by chance: {rest}"
    if (gain.low or 0.0) * gain.pairs + (loss.low or 0.0) * loss.pairs <= 0:
        return "inconclusive", f"{told}; whether others lose more than these gain is not known: {rest}"
    return "passed", f"{told}; {rest}"


def gained(one: Compared) -> Figure:
    """Give the mean gain of NDCG@10 with its 95% interval, as a figure of a proof."""
    result = one.result
    return Figure(name="ndcg10_gain", value=result.difference, low=result.low, high=result.high, n=result.pairs)


def scored(answering: Answering, query: JudgedQuery) -> float:
    """Give the NDCG@10 of a query."""
    grades = {document: max(0.0, grade) for document, grade in query.grades.items()}
    return ndcg(list(answering(query.text))[:DEPTH], grades, DEPTH)


def _figures(name: str, one: Compared) -> tuple[Figure, ...]:
    result = one.result
    return (
        Figure(name=f"{name}_before", value=one.before, n=result.pairs, unit="ndcg@10"),
        Figure(name=f"{name}_after", value=one.after, n=result.pairs, unit="ndcg@10"),
        Figure(
            name=f"{name}_gain",
            value=result.difference,
            low=result.low,
            high=result.high,
            n=result.pairs,
            unit="ndcg@10",
        ),
        Figure(name=f"{name}_p", value=one.p_gain, n=result.pairs),
    )
