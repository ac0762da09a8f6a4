"""From a query to rows of an index: those that pass, by their score, from more than one stretch of talk; and the sessions they are of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from meliora.knowledge.memory.dates import day_of, said_dates, told_days
from meliora.knowledge.memory.scope import Scope
from meliora.knowledge.memory.shelf import Place
from meliora.knowledge.memory.signals import WEIGHTS, Signals, signals
from meliora.knowledge.memory.terms import read_query
from meliora.knowledge.memory.wanted import RecalledSession, Wanted

if TYPE_CHECKING:
    import numpy as np

AGAIN = 0.1
"""What each turn that was given costs the others of its session, so that an answer is not one stretch of talk."""


class Picked(msgspec.Struct, frozen=True):
    """A turn that was chosen, by where it is kept."""

    place: Place
    score: float
    why: dict[str, float]
    session: str


class Chosen(msgspec.Struct, frozen=True):
    """What an index gives to a query; texts are not in it."""

    turns: tuple[Picked, ...]
    sessions: tuple[RecalledSession, ...]
    terms: tuple[str, ...]
    seq: int


def choose(scope: Scope, wanted: Wanted, now_us: int) -> Chosen:
    """Choose turns and sessions; an empty query chooses the newest turns that pass."""
    import numpy as np

    within = _within(scope, wanted)
    if not within.any():
        return Chosen((), (), (), scope.seq)
    if not wanted.query.strip():
        rows = np.flatnonzero(within)[::-1][: wanted.limit]
        names = _session_names(scope)
        at = scope.columns()
        newest = (Picked(scope.place(int(row)), 0.0, {}, names[at.session[row]][1]) for row in rows)
        return Chosen(tuple(newest), (), (), scope.seq)
    query = read_query(wanted.query, frozenset(scope.names))
    span = told_days(wanted.query, day_of(now_us))
    found = signals(scope, query, said_dates(wanted.query), span, within)
    scores = np.where(within & found.found, total(found), -np.inf)
    rows = _spread(scores, scope.columns().session, wanted.limit)
    return Chosen(_picked(scope, rows, scores, found), _sessions(scope, scores, wanted.limit), found.terms, scope.seq)


def total(found: Signals, weights: dict[str, float] = WEIGHTS) -> np.ndarray:
    """Give the score of each row."""
    return sum(weight * found.values[name] for name, weight in weights.items())  # type: ignore[return-value]


def _within(scope: Scope, wanted: Wanted) -> np.ndarray:
    import numpy as np

    columns = scope.columns()
    within = np.ones(scope.size, dtype=bool)
    if wanted.conversation is not None:
        within &= columns.conversation == scope.conversations.get(wanted.conversation, -1)
    if wanted.speaker is not None:
        same = [at for name, at in scope.speakers.items() if name.casefold() == wanted.speaker.casefold()]
        within &= np.isin(columns.speaker, same)
    if wanted.since_us is not None:
        within &= columns.at_us >= wanted.since_us
    if wanted.until_us is not None:
        within &= columns.at_us < wanted.until_us
    return within


def _spread(scores: np.ndarray, session: np.ndarray, limit: int) -> list[int]:
    """Take the best rows one by one, each making those of its session cost a little more."""
    import numpy as np

    left = np.argsort(-scores, kind="stable")[: 20 * limit]
    left = left[np.isfinite(scores[left])]
    now = scores[left].copy()
    taken: list[int] = []
    while len(taken) < min(limit, len(left)):
        at = int(np.argmax(now))
        taken.append(int(left[at]))
        now[session[left] == session[left[at]]] -= AGAIN
        now[at] = -np.inf
    return taken


def _picked(scope: Scope, rows: list[int], scores: np.ndarray, found: Signals) -> tuple[Picked, ...]:
    names, session = _session_names(scope), scope.columns().session
    picked = []
    for row in rows:
        why = {name: round(weight * float(found.values[name][row]), 4) for name, weight in WEIGHTS.items()}
        said = {name: value for name, value in why.items() if value}
        picked.append(Picked(scope.place(row), float(scores[row]), said, names[session[row]][1]))
    return tuple(picked)


def _sessions(scope: Scope, scores: np.ndarray, limit: int) -> tuple[RecalledSession, ...]:
    """Rank sessions by the evidence of all their turns: the logarithm of the sum of exponentials of the scores."""
    import numpy as np

    best = float(scores.max(initial=-np.inf))
    if not math.isfinite(best):
        return ()
    columns, names = scope.columns(), _session_names(scope)
    mass = np.bincount(columns.session, weights=np.exp(scores - best), minlength=len(names))
    ranked = [int(at) for at in np.argsort(-mass, kind="stable")[:limit] if mass[at] > 0]
    found = []
    for at in ranked:
        numbers = columns.number[columns.session == at]
        score = best + math.log(float(mass[at]))
        conversation, name = names[at]
        found.append(
            RecalledSession(
                conversation=conversation,
                session=name,
                score=score,
                first=int(numbers.min()),
                last=int(numbers.max()),
                turns=len(numbers),
            )
        )
    return tuple(found)


def _session_names(scope: Scope) -> list[tuple[str, str]]:
    return list(scope.sessions)
