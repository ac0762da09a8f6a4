"""What speaks for a turn: its words and those around it, its session, who said it, and when. All from one inverted index, at the query.

A turn's score is the sum of its signals, weighted. The weights are those of a softmax regression over the turns of a conversation, fitted
by `python -m benchmarks.search.memory_weights` on two conversations of LoCoMo (Maharana et al., ACL 2024), and rounded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from meliora.knowledge.memory.dates import DAY_US, Date
from meliora.knowledge.memory.scope import Columns, Scope
from meliora.knowledge.memory.terms import MOST_TERMS, Query

if TYPE_CHECKING:
    import numpy as np

WEIGHTS: dict[str, float] = {
    "own": 1.0,
    "before": 0.2,
    "before_that": 1.2,
    "session": 1.4,
    "around": 2.1,
    "speaker": 0.8,
    "question": -0.5,
    "length": 0.25,
    "time": 1.5,
    "date": 1.4,
    "coverage": 2.5,
    "best_of_session": 0.8,
    "answers": 1.9,
    "opens": 0.4,
    "names": 0.7,
}
"""Of each signal. `own`: what the turn itself says; `before`, `before_that`: what one and two turns earlier say.
`around`: the turn with its speaker and both neighbours. `coverage`: share of the query that the turn and two on either side have.
`time`: it tells when, and the query asks when. `answers`: what the turn before says, where that is a question. `opens`: it is the first
of its session. `names`: it names somebody or something, and the query asks who, where or which."""
K1, B, B_OWN = 1.2, 0.75, 0.5
LONG = 40
"""Terms from which a turn counts as no longer, so that length alone does not win."""
_REACH = (("before", 0.7), ("after", 0.5), ("before before", 0.4), ("after after", 0.3))


class Signals(msgspec.Struct, frozen=True):
    """A row a turn."""

    values: dict[str, np.ndarray]
    found: np.ndarray
    """Whether anything that was asked for is in the turn, near it, or in its session."""
    terms: tuple[str, ...]
    """Those that were asked, spelled as the turns have them."""


def signals(scope: Scope, query: Query, dates: tuple[Date, ...], span: tuple[int, int] | None, within: np.ndarray):
    """Measure every turn of a scope. `span`: days that the query means; `within`: the turns that the answer may give."""
    import numpy as np

    columns = scope.columns()
    weights = _weights(scope, query)
    kept = tuple(weights)
    tf = _counts(scope, kept, columns)
    asked = np.array([weights[term] for term in kept])
    own = asked @ _bm25(tf, columns.length, _idf(tf), B_OWN) if kept else np.zeros(scope.size)
    before = _at(own, columns.before)
    before_that = _at(before, columns.before)
    # What was said before a turn that may be given need not be given itself: where others said all of it, it is what is best.
    best = max(1e-9, *(float(one.max(where=within, initial=0.0)) for one in (own, before, before_that)))
    session = _session(tf, asked, columns, len(scope.sessions))
    best_of = np.zeros(max(len(scope.sessions), 1))
    np.maximum.at(best_of, columns.session, own * within)
    date = _date(columns, dates, span)
    around, coverage = _around(scope, query, kept, asked, tf, columns), _coverage(tf, asked, columns)
    values = {
        "own": own / best,
        "before": before / best,
        "before_that": before_that / best,
        "session": session,
        "around": around / max(float(around.max(where=within, initial=0.0)), 1e-9),
        "speaker": _speaker(scope, query, columns),
        "question": columns.question.astype(float),
        "length": np.log1p(np.minimum(columns.length, LONG)),
        "time": columns.timed * float(query.asks_when),
        "date": date,
        "coverage": coverage,
        "best_of_session": best_of[columns.session] / best,
        "answers": before / best * _at(columns.question, columns.before),
        "opens": (columns.before < 0).astype(float),
        "names": columns.naming * float(query.asks_name),
    }
    return Signals(values, (around > 0) | (coverage > 0) | (session > 0) | (date > 0), kept)


def _weights(scope: Scope, query: Query) -> dict[str, float]:
    """Give the terms to ask with weights; a word that nobody said stands for those that are spelled like it."""
    found: dict[str, float] = {}
    for term in query.terms[: 4 * MOST_TERMS]:
        near = {term: 1.0} if scope.frequency(term) else scope.nearest(term[:40])
        for other, weight in near.items():
            found[other] = max(found.get(other, 0.0), weight)
    rarest = sorted(found, key=lambda term: (scope.frequency(term), term))[:MOST_TERMS]
    return {term: found[term] for term in rarest}


def _counts(scope: Scope, terms: tuple[str, ...], columns: Columns) -> np.ndarray:
    import numpy as np

    tf = np.zeros((len(terms), len(columns.at_us)))
    for at, term in enumerate(terms):
        rows, times = scope.posting(term)
        tf[at, rows] = times
    return tf


def _idf(tf: np.ndarray) -> np.ndarray:
    import numpy as np

    have = (tf > 0).sum(axis=1)
    return np.log(1 + (tf.shape[1] - have + 0.5) / (have + 0.5))


def _bm25(tf: np.ndarray, length: np.ndarray, idf: np.ndarray, b: float) -> np.ndarray:
    """BM25 by term and row (Robertson and Zaragoza, 2009)."""
    import numpy as np

    average = max(float(length.mean()), 1.0) if len(length) else 1.0
    return np.asarray(idf)[:, None] * tf * (K1 + 1) / (tf + K1 * (1 - b + b * length / average))


def _at(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Give the values of other rows; 0 where there is none."""
    import numpy as np

    return np.where(rows >= 0, values[..., rows], 0.0)


def _session(tf: np.ndarray, asked: np.ndarray, columns: Columns, count: int) -> np.ndarray:
    """BM25 of each turn's whole session, over the best one's."""
    import numpy as np

    if not len(tf):
        return np.zeros(len(columns.at_us))
    whole = np.stack([np.bincount(columns.session, weights=row, minlength=count) for row in tf])
    length = np.bincount(columns.session, weights=columns.length, minlength=count)
    scores = asked @ _bm25(whole, length, _idf(whole), B)
    return (scores / max(float(scores.max(initial=0.0)), 1e-9))[columns.session]


def _around(
    scope: Scope, query: Query, kept: tuple[str, ...], asked: np.ndarray, tf: np.ndarray, columns: Columns
) -> np.ndarray:
    """BM25F of the turn twice, its neighbours once, and the speaker's name once (Zaragoza et al., TREC 2004: weights before saturation)."""
    import numpy as np

    names = tuple(term for term in query.named if term not in kept)
    both = np.concatenate([tf, _counts(scope, names, columns)])
    folded = 2 * both + _at(both, columns.before) + _at(both, columns.after)
    for at, term in enumerate((*kept, *names)):
        if term in query.named:
            folded[at] += np.isin(columns.speaker, list(scope.names.get(term, ())))
    length = 2 * columns.length + _at(columns.length, columns.before) + _at(columns.length, columns.after) + 1
    weights = np.concatenate([asked, np.ones(len(names))])
    return weights @ _bm25(folded, length, _idf(folded), B)


def _coverage(tf: np.ndarray, asked: np.ndarray, columns: Columns) -> np.ndarray:
    """Give the share of the query, by rarity, that a turn has, or less of it where only a turn near it has it."""
    import numpy as np

    if not len(tf):
        return np.zeros(len(columns.at_us))
    here = (tf > 0).astype(float)
    near = here.copy()
    for steps, weight in _REACH:
        there = here
        for step in steps.split():
            there = _at(there, getattr(columns, step))
        np.maximum(near, weight * there, out=near)
    rare = asked * _idf(tf)
    return rare @ near / max(float(rare.sum()), 1e-9)


def _speaker(scope: Scope, query: Query, columns: Columns) -> np.ndarray:
    """Give 1 for turns of the one speaker whom the query names; a query that names two asks of both."""
    import numpy as np

    said = set().union(*(scope.names.get(term, set()) for term in query.named))
    return np.isin(columns.speaker, list(said)).astype(float) if len(said) == 1 else np.zeros(len(columns.at_us))


def _date(columns: Columns, dates: tuple[Date, ...], span: tuple[int, int] | None) -> np.ndarray:
    """Give how well each turn's day, or what it tells of, is that of the query: 1 a month or a span, half for year and day each."""
    import numpy as np

    day = columns.at_us // DAY_US
    score = np.zeros(len(day))
    for date in dates:
        for told in (day, np.where(columns.told_from >= 0, columns.told_from, day)):
            score = np.maximum(score, _like(told, date))
    if span is not None:
        score += ((day >= span[0]) & (day <= span[1])) | ((columns.told_from <= span[1]) & (columns.told_to >= span[0]))
    return score


def _like(day: np.ndarray, date: Date) -> np.ndarray:
    dates = day.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    year = (dates.astype("datetime64[Y]").astype(int) + 1970) == date.year
    if not date.month:
        return 0.5 * year
    month = months.astype(int) % 12 + 1 == date.month
    of_month = (dates - months).astype(int) + 1 == date.day
    return month * (1 + 0.5 * year + 0.5 * of_month)
