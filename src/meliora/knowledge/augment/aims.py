"""Which words of a query are aimed at, and which carry what it is about: told by their stems, as searches tell words."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache

from meliora.knowledge.text.analysis import analyse

Aims = Callable[[str], bool]
"""Tells whether a word is one of those aimed at."""


def aims(targets: Collection[str]) -> Aims:
    """Give what tells it: a word that is a target, or has a target's stem. A target may be written out, or a stem already."""
    return _aims(tuple(sorted(targets)))


@lru_cache(64)
def _aims(targets: tuple[str, ...]) -> Aims:
    wanted = {one.casefold() for one in targets} | {term for one in targets for term in analyse(one).terms}

    def aimed(word: str) -> bool:
        return bool(wanted) and (word.casefold() in wanted or not wanted.isdisjoint(analyse(word).terms))

    return aimed


def plain(word: str) -> bool:
    """Tell whether a word is made of letters: others stay as they are, since they name one thing."""
    return word.isalpha()


def telling(word: str) -> bool:
    """Tell whether a plain word says what a query is about: it is no stop word."""
    return plain(word) and bool(analyse(word).terms)
