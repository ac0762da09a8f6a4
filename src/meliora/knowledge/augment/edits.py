"""Queries made without a model: misspelled, words exchanged in place or left out, words for their neighbours.

Words with digits are never touched: what a query asks for stays what it is.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from meliora.knowledge.augment.aims import aims, plain, telling
from meliora.knowledge.augment.examples import Neighbours
from meliora.knowledge.text.analysis import analyse

FILLERS = 0.5
"""Chance that a stop word is left out: who searches often leaves them out."""
_NEAR = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def typo(query: str, rng: random.Random, targets: Collection[str] = ()) -> str:
    """Misspell one word, one of the targets where there is one: a letter dropped, doubled, exchanged with the next, or hit beside."""
    words = query.split()
    at = _pick(words, rng, targets, least=4)
    if at is None:
        return query
    word = words[at]
    i = rng.randrange(1, len(word) - 1)
    made = (
        word[:i] + word[i + 1 :],
        word[:i] + word[i] + word[i:],
        word[:i] + word[i + 1] + word[i] + word[i + 2 :],
        word[:i] + _beside(word[i], rng) + word[i + 1 :],
    )
    words[at] = rng.choice(made)
    return " ".join(words)


def eda(query: str, rng: random.Random, targets: Collection[str] = (), share: float = 0.1) -> str:
    """Exchange two words and leave out some (Wei and Zou 2019, "EDA", random swap and deletion), as whoever types in haste would.

    Stop words are not exchanged, and go by `FILLERS`. Of the others a share goes, one at least, never a target, and two stay.
    """
    words = query.split()
    free = [at for at, word in enumerate(words) if telling(word)]
    if len(free) >= 2:
        a, b = rng.sample(free, 2)
        words[a], words[b] = words[b], words[a]
    aimed = aims(targets)
    may = [at for at in free if not aimed(words[at])]
    dropped = [at for at in may if rng.random() < share] or (may and [rng.choice(may)])
    fillers = [at for at, word in enumerate(words) if plain(word) and at not in free and rng.random() < FILLERS]
    gone = {*dropped[: max(0, len(free) - 2)], *(fillers if len(free) >= 2 else ())}
    return " ".join(word for at, word in enumerate(words) if at not in gone)


def synonyms(query: str, rng: random.Random, neighbours: Neighbours, targets: Collection[str] = ()) -> str:
    """Put a neighbour in the place of one word, of a target where one has any; the query itself where no word has."""
    words = query.split()
    having = [at for at, word in enumerate(words) if telling(word) and _others(word, neighbours)]
    aimed = aims(targets)
    best = [at for at in having if aimed(words[at])]
    if not having:
        return query
    at = rng.choice(best or having)
    words[at] = rng.choice(_others(words[at], neighbours)[:3])
    return " ".join(words)


def _others(word: str, neighbours: Neighbours) -> Sequence[str]:
    low, stems = word.casefold(), analyse(word).terms
    return [one for one in neighbours(low) if plain(one) and one.casefold() != low and analyse(one).terms != stems]


def _pick(words: Sequence[str], rng: random.Random, targets: Collection[str], least: int) -> int | None:
    able = [at for at, word in enumerate(words) if plain(word) and len(word) >= least]
    aimed = aims(targets)
    best = [at for at in able if aimed(words[at])] or [at for at in able if telling(words[at])]
    return rng.choice(best or able) if able else None


def _beside(letter: str, rng: random.Random) -> str:
    for row in _NEAR:
        at = row.find(letter.lower())
        if at >= 0:
            return rng.choice([row[i] for i in (at - 1, at + 1) if 0 <= i < len(row)])
    return letter + letter
