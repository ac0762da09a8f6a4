"""From a query to rows of an index: those that pass, by their score, so that the likely sessions are among them; and those sessions."""

from __future__ import annotations

import math
from collections.abc import Mapping
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

COVERED = 1.3
"""What it is worth to give a session that has an answer, where to give a turn that is one is worth 1.

Between what asks for the turns and what asks for the sessions; chosen by fitting on one and asking the other of the two conversations
that the weights are fitted on (`python -m benchmarks.search.memory_weights`).
"""


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


def choose(
    scope: Scope, wanted: Wanted, now_us: int, weights: Mapping[str, float] = WEIGHTS, covered: float = COVERED
) -> Chosen:
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
    scores = np.where(within & found.found, total(found, weights), -np.inf)
    best = float(scores.max())
    if not math.isfinite(best):
        return Chosen((), (), found.terms, scope.seq)
    session = scope.columns().session
    shares = np.exp(scores - best)
    by_session = np.bincount(session, weights=shares, minlength=len(scope.sessions))
    rows = _covering(shares, covered * by_session, session, wanted.limit)
    sessions = _sessions(scope, by_session, best, wanted.limit)
    return Chosen(_picked(scope, rows, scores, found, weights), sessions, found.terms, scope.seq)


def total(found: Signals, weights: Mapping[str, float]) -> np.ndarray:
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


def _covering(shares: np.ndarray, worth: np.ndarray, session: np.ndarray, limit: int) -> list[int]:
    """Choose the rows that together bring the most turns and sessions with an answer; best row first.

    `shares` is how likely each row answers, up to a factor (0: it does not pass); `worth` is what each session brings, in the same measure,
    once any row of it is given. The sum of both is maximal: whichever row is given, its session is covered, so the best row of a session
    brings all of its worth and the others only their own share, and the greatest gains are the best choice there is.
    """
    import numpy as np

    order = np.argsort(-shares, kind="stable")
    order = order[shares[order] > 0]
    first = np.unique(session[order], return_index=True)[1]
    gain = shares[order]
    gain[first] += worth[session[order[first]]]
    taken = np.argsort(-gain, kind="stable")[:limit]
    return [int(row) for row in order[np.sort(taken)]]


def _picked(
    scope: Scope, rows: list[int], scores: np.ndarray, found: Signals, weights: Mapping[str, float]
) -> tuple[Picked, ...]:
    names, session = _session_names(scope), scope.columns().session
    picked = []
    for row in rows:
        why = {name: round(weight * float(found.values[name][row]), 4) for name, weight in weights.items()}
        said = {name: value for name, value in why.items() if value}
        picked.append(Picked(scope.place(row), float(scores[row]), said, names[session[row]][1]))
    return tuple(picked)


def _sessions(scope: Scope, by_session: np.ndarray, best: float, limit: int) -> tuple[RecalledSession, ...]:
    """Rank sessions by the evidence of all their turns: the logarithm of their sum of exponentials. `best` is the best score."""
    import numpy as np

    columns, names = scope.columns(), _session_names(scope)
    ranked = [int(at) for at in np.argsort(-by_session, kind="stable")[:limit] if by_session[at] > 0]
    found = []
    for at in ranked:
        numbers = columns.number[columns.session == at]
        score = best + math.log(float(by_session[at]))
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
