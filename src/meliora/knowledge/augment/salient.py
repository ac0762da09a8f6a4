"""A query made of a document's own words: the rare ones of one of its sentences, in their order, as they are written there."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence

import msgspec

from meliora.knowledge.augment.aims import aims
from meliora.knowledge.text.analysis import analyse, spans
from meliora.knowledge.text.structure import blocks

SENTENCES = 4
"""The best sentences of a text, of which one is taken."""
FEWEST = 3
"""Words of a query: two of a sentence hardly tell what it is about."""
_MOST = 20_000
"""Letters of a document that are read."""
_ONCE = 0.5
"""What a word counts that stands once in the collection: who searches seldom knows it."""
_MARKUP = re.compile(r"!?\[([^\]\n]{0,300})\]\([^)\n]{0,500}\)|[`*]|https?://\S{1,500}|<[^>\n]{1,200}>")
_END = re.compile(r"(?<=[.!?;:])\s+")
_ROW = re.compile(r"\s{0,8}(?:\||<|\{|\}|//|[\w.-]{1,80}\s{0,3}=)")


class _Word(msgspec.Struct, frozen=True, gc=False):
    term: str
    written: str
    score: float


def query_from_document(
    text: str,
    rng: random.Random,
    having: Callable[[str], int],
    documents: int,
    length: int = 5,
    targets: Collection[str] = (),
) -> str:
    """Make a query of 3 to `length` words of one sentence, those of the highest tf-idf, a target first; empty where none has three.

    `having` gives how many documents have a term. Tables, code and addresses are passed over. Sentences with a target are taken
    before others.
    """
    text = text[:_MOST]
    counts = Counter(analyse(text).terms)

    def score(term: str) -> float:
        known = having(term)
        rare = math.log((documents + 1) / (known + 0.5))
        return (1 + math.log(counts[term] or 1)) * max(0.0, rare) * (_ONCE if known < 2 and counts[term] < 2 else 1.0)

    aimed = aims(targets)
    sentences = [words for sentence in _sentences(text) if len(words := _words(sentence, score)) >= FEWEST]
    with_target = [words for words in sentences if any(aimed(one.written) for one in words)]
    ranked = sorted(with_target or sentences, key=lambda words: -_worth(words, length))
    if not ranked:
        return ""
    chosen = rng.choice(ranked[:SENTENCES])
    wanted = rng.randint(min(FEWEST, length), length)
    best = sorted(chosen, key=lambda one: (not aimed(one.written), -one.score, one.term))[:wanted]
    return " ".join(one.written for one in chosen if one in best)


def _worth(words: Sequence[_Word], length: int) -> float:
    """Give the mean of the best; a sentence of fewer words than are wanted counts for less."""
    best = sorted((one.score for one in words), reverse=True)[:length]
    return sum(best) / (len(best) + 1)


def _words(sentence: str, score: Callable[[str], float]) -> list[_Word]:
    """Give the words of a sentence that a query may have, each once: letters, or letters with digits; none of two letters.

    A name in one word ("fakeProvider") is taken whole, one of several ("fake_provider") by its parts.
    """
    found: dict[str, _Word] = {}
    behind = 0
    for term, _, start, end in spans(sentence):
        written = sentence[start:end]
        if start < behind or not written.isalnum() or written.isdecimal():
            continue
        behind = end
        if len(written) > 2 or not written.isascii():
            found.setdefault(term, _Word(term, written.casefold(), score(term)))
    return list(found.values())


def _sentences(text: str) -> Iterator[str]:
    for block in blocks(text):
        if block.kind == "code":
            continue
        lines = [line for line in text[block.start : block.end].splitlines() if not _ROW.match(line)]
        for sentence in _END.split(" ".join(lines)):
            yield _MARKUP.sub(lambda found: found[1] or " ", sentence)
