"""Simulated people who search a collection: they look down the list, click what answers, and ask again where nothing does.

A person looks at a place with probability (1 / place) ** `ETA`, clicks what is relevant there in `CLICKS` of looks and other results in
`SLIPS`; who has nothing relevant in ten results asks again in the old, right words within a minute, in `AGAIN` of cases.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.search.shifts import Query, typos

ETA, CLICKS, SLIPS, AGAIN = 0.7, 0.9, 0.05, 0.6
SHOWN = 10
DAY_US = 86_400_000_000
Ask = Callable[[str, str, str], tuple[str, Sequence[str]]]
"""Person, session and text to the search's id and the documents shown."""
Click = Callable[[str, str, str, int], None]
"""Search, person, document and place."""


@dataclass(frozen=True)
class Wish:
    """What somebody wants to know: as they ask for it, and in words that the collection has."""

    at_us: int
    person: str
    session: str
    asked: str
    right: Query


@dataclass(frozen=True)
class Asking:
    """How queries are asked: `misspelled` is the share of searches with typos; `new` gives the query in new words."""

    misspelled: float = 0.0
    new: Callable[[Query], str] = lambda query: query.text

    def __call__(self, query: Query, rng: random.Random) -> str:
        """Give the text that somebody types."""
        text = self.new(query)
        if rng.random() >= self.misspelled:
            return text
        drawn = Query(query.id, text, query.grades)
        return typos((drawn,), rng.getrandbits(48), share=0.7).broken[0].text


def wishes(
    queries: Sequence[Query],
    asking: Asking,
    rng: random.Random,
    since_us: int,
    span_us: int,
    *,
    a_day: int,
    people: int,
) -> Iterator[Wish]:
    """Give what people want in a stretch of time, in its order."""
    count = round(a_day * span_us / DAY_US)
    for at, moment in enumerate(sorted(rng.randrange(span_us) for _ in range(count))):
        person, query = f"u{rng.randrange(people)}", rng.choice(queries)
        session = f"{person}-{since_us + moment}-{at}"
        yield Wish(since_us + moment, person, session, asking(query, rng), query)


def satisfied(wish: Wish, ask: Ask, click: Click, wait: Callable[[float], None], rng: random.Random) -> None:
    """Let a person search, click, and ask again where nothing answers."""
    search, shown = ask(wish.person, wish.session, wish.asked)
    _click(wish, search, shown, click, rng)
    nothing = not any(wish.right.grades.get(one, 0) > 0 for one in shown)
    if nothing and wish.asked != wish.right.text and rng.random() < AGAIN:
        wait(rng.uniform(5, 50))
        search, shown = ask(wish.person, wish.session, wish.right.text)
        _click(wish, search, shown, click, rng)


def _click(wish: Wish, search: str, shown: Sequence[str], click: Click, rng: random.Random) -> None:
    for place, document in enumerate(shown[:SHOWN], start=1):
        if rng.random() < (1 / place) ** ETA:
            good = wish.right.grades.get(document, 0) > 0
            if rng.random() < (CLICKS if good else SLIPS):
                click(search, wish.person, document, place)
