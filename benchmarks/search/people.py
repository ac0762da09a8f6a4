"""What people do with a search after new words came up: they use what they see, and who finds nothing asks again in the old words.

Made traffic, as the product logs it. Who finds nothing relevant among the results shown asks again in `AGAIN` of all cases.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.search.served import TENANT, Served
from benchmarks.search.shifts import Query, clicks
from meliora.knowledge.index.base import View
from meliora.knowledge.quality import chains
from meliora.knowledge.quality.records import Searched
from meliora.knowledge.text.analysis import analyse
from meliora.runtime.knowledge.learning import ExpansionLearning

AGAIN = 0.6
PEOPLE = 3
"""Who ask each query, before and after."""
DAY_US = 86_400_000_000
_SOON_US = 30_000_000
Answer = Callable[[str], Sequence[str]]


@dataclass
class Log:
    """Searches of two days; the new words come with the second."""

    before: list[Searched] = field(default_factory=list)
    now: list[Searched] = field(default_factory=list)


def log(
    old: Sequence[Query],
    new: Sequence[Query],
    answer: Answer,
    rng: random.Random,
    *,
    again: float = AGAIN,
    before: Sequence[Query] | None = None,
) -> Log:
    """Let people ask queries in their old words for a day, and then for another in their new ones; `before` instead on the first."""
    made = Log()
    for number, was in enumerate(old if before is None else before):
        for person in range(PEOPLE):
            made.before.append(
                _searched(f"b{number}-{person}", _at_us(number, person), was.text, f"{number}-{person}", (), ())
            )
    for number, (was, now) in enumerate(zip(old, new, strict=True)):
        for person in range(PEOPLE):
            session, at_us = f"{number}-{person}", _at_us(number, person)
            shown = answer(now.text)
            used = [document for document, _ in clicks(shown, now.grades, rng)]
            made.now.append(_searched(f"n{session}", DAY_US + at_us, now.text, session, shown, used))
            nothing = not any(now.grades.get(document, 0) > 0 for document in shown)
            if nothing and now.text != was.text and rng.random() < again:
                shown = answer(was.text)
                used = [document for document, _ in clicks(shown, was.grades, rng)]
                later = DAY_US + at_us + _SOON_US
                made.now.append(_searched(f"a{session}", later, was.text, session, shown, used))
    return made


def _at_us(number: int, person: int) -> int:
    return (number * PEOPLE + person) * 1_000_000


def learned(served: Served, log: Log, *, counted: bool = True) -> bytes | None:
    """Learn an expansion as the product does, from what people used; `counted` with how often words were asked for before and now."""
    learning = ExpansionLearning(served.store, _Evidence(served, log, counted))  # pyright: ignore[reportArgumentType]
    return learning(TENANT, served.name, (), DAY_US, 2 * DAY_US)(chains.pairs(log.now))


@dataclass(frozen=True)
class _Evidence:
    """What the learning asks of the log."""

    served: Served
    log: Log
    counted: bool

    def view(self, tenant: str, collection: str) -> View:
        return self.served.view

    def searches(self, tenant: str, collection: str, since_us: int, until_us: int) -> Sequence[Searched]:
        if not self.counted:
            return ()
        return [one for one in (*self.log.before, *self.log.now) if since_us <= one.at_us < until_us]


def _searched(id: str, at_us: int, query: str, session: str, shown: Sequence[str], used: Sequence[str]) -> Searched:
    terms = analyse(query).terms
    return Searched(
        id=id, at_us=at_us, query=query, terms=terms, shown=tuple(shown), clicked=tuple(used), session=session
    )
