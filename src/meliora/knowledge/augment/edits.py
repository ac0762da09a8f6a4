"""Queries made without a model: misspelled, words exchanged in place or left out, words for their neighbours.

Words with digits are never touched: what a query asks for stays what it is.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence

from meliora.knowledge.augment.examples import Neighbours

Touchable = Callable[[str], bool]
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
    """Exchange two words and leave out a share of the others, never a target (Wei and Zou 2019, "EDA", random swap and deletion)."""
    words = query.split()
    free = [at for at, word in enumerate(words) if _plain(word)]
    if len(free) >= 2:
        a, b = rng.sample(free, 2)
        words[a], words[b] = words[b], words[a]
    wanted = {one.casefold() for one in targets}
    dropped = [at for at in free if words[at].casefold() not in wanted and rng.random() < share]
    for at in reversed(dropped[: max(0, len(words) - 2)]):
        del words[at]
    return " ".join(words)


def synonyms(query: str, rng: random.Random, neighbours: Neighbours, targets: Collection[str] = ()) -> str:
    """Put a neighbour in the place of one word, of a target where one has any; the query itself where no word has."""
    words = query.split()
    having = [at for at, word in enumerate(words) if _plain(word) and _others(word, neighbours)]
    wanted = {one.casefold() for one in targets}
    aimed = [at for at in having if words[at].casefold() in wanted]
    if not having:
        return query
    at = rng.choice(aimed or having)
    words[at] = rng.choice(_others(words[at], neighbours)[:3])
    return " ".join(words)


def _others(word: str, neighbours: Neighbours) -> Sequence[str]:
    low = word.casefold()
    return [one for one in neighbours(low) if _plain(one) and one.casefold() != low]


def _plain(word: str) -> bool:
    return word.isalpha()


def _pick(words: Sequence[str], rng: random.Random, targets: Collection[str], least: int) -> int | None:
    able = [at for at, word in enumerate(words) if _plain(word) and len(word) >= least]
    wanted = {one.casefold() for one in targets}
    aimed = [at for at in able if words[at].casefold() in wanted]
    return rng.choice(aimed or able) if able else None


def _beside(letter: str, rng: random.Random) -> str:
    for row in _NEAR:
        at = row.find(letter.lower())
        if at >= 0:
            return rng.choice([row[i] for i in (at - 1, at + 1) if 0 <= i < len(row)])
    return letter + letter
