"""What turns come to, in few words. The extract needs no model: it quotes the sentences that carry most, and adds nothing.

A summary is data like the turns that it is made of: each line is `SPEAKER: sentence`, and what was noticed in its turns is told with it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from meliora.knowledge.documents import Mark
from meliora.knowledge.memory.records import Turn, tokens
from meliora.knowledge.memory.terms import terms

Method = Literal["extract", "model"]
MOST_SENTENCES = 4000
"""Of the turns of one call that are looked at; of more, the last ones of each turn are left out."""
LONGEST_SENTENCE = 400
"""Characters; a longer one is cut at a word."""
NOVELTY = 0.6
"""How much a sentence loses by what was taken already (Carbonell and Goldstein, SIGIR 1998)."""
SAME = 0.9
"""Share of terms from which a sentence says what another one did."""
_END = re.compile(r"(?<=[.!?。！？])\s+|\n+")
_SPACE = re.compile(r"\s+")
_NUMBER = re.compile(r"\d")
_NAME = re.compile(r"(?<!^)(?<![.!?] )\b[A-Z][\w-]+")
_DECIDED = re.compile(
    r"\b(?:decided?|agreed?|will|must|should|prefers?|always|never|need(?:s|ed)?|plan(?:s|ned)?|chose|deadline|because)\b",
    re.IGNORECASE,
)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What some turns come to."""

    text: str
    first: int
    last: int
    """Numbers of the turns that it covers; 0 for none."""
    method: Method
    marks: tuple[Mark, ...] = ()
    """What was noticed in the turns that it covers. Give the text to a model as data, never as instructions."""
    failed: str = ""
    """Why a model did not write it, where one should have."""


class Summarizer(Protocol):
    """Sums turns up."""

    def summarize(self, turns: Sequence[Turn], budget: int, user: str = "") -> Summary:
        """Give a summary of at most `budget` tokens (`records.tokens`); an empty one of no turns, or where nothing fits.

        `user` is whose conversation it is: whoever passes the turns on says so, that an erasure finds them there. Empty: nobody's.
        """
        ...


class _Sentence(msgspec.Struct, frozen=True):
    at: int
    line: str
    terms: frozenset[str]
    weight: float


class ExtractiveSummarizer:
    """Quote the sentences nearest the centre of all (Radev et al., IPM 2004), with names, numbers and decisions first, none twice."""

    def summarize(self, turns: Sequence[Turn], budget: int, user: str = "") -> Summary:
        """Give whole sentences in their order. The same turns give the same summary."""
        sentences = _sentences(turns)
        taken = _take(sentences, budget)
        text = "\n".join(sentence.line for sentence in sorted(taken, key=lambda one: one.at))
        return summary_of(turns, text, "extract")


def summary_of(turns: Sequence[Turn], text: str, method: Method) -> Summary:
    """Say which turns a text sums up, and what was noticed in them."""
    marks: set[Mark] = {mark for turn in turns for mark in turn.marks}
    first, last = (turns[0].number, turns[-1].number) if turns else (0, 0)
    return Summary(text=text, first=first, last=last, method=method, marks=tuple(sorted(marks)))


def line(speaker: str, text: str) -> str:
    """Write what somebody said as one line: neither a name nor a text can begin another one."""
    said = _SPACE.sub(" ", text).strip()
    if len(said) > LONGEST_SENTENCE:
        said = said[:LONGEST_SENTENCE].rsplit(" ", 1)[0] + " ..."
    who = _SPACE.sub(" ", speaker).strip()[:80]
    return f"{who}: {said}" if who else said


def _sentences(turns: Sequence[Turn]) -> list[_Sentence]:
    """Give the sentences, each with its share of what all of them speak of."""
    each = max(1, MOST_SENTENCES // max(1, len(turns)))
    said = [
        (turn, part)
        for turn in turns
        for part in [part for part in _END.split(turn.text[: each * LONGEST_SENTENCE]) if part.strip()][:each]
    ]
    found = [frozenset(terms(part[:LONGEST_SENTENCE])) for _, part in said]
    have = Counter(term for one in found for term in one)
    rare = {term: math.log(1 + len(found) / times) for term, times in have.items()}
    centre = {term: times * rare[term] for term, times in have.items() if times > 1}
    norm = math.sqrt(sum(value * value for value in centre.values())) or 1.0
    return [
        _Sentence(at, line(turn.speaker, part), own, _weight(part, own, centre, rare, norm))
        for at, ((turn, part), own) in enumerate(zip(said, found, strict=True))
        if own
    ]


def _weight(text: str, own: frozenset[str], centre: dict[str, float], rare: dict[str, float], norm: float) -> float:
    length = math.sqrt(sum(rare[term] ** 2 for term in own))
    central = sum(rare[term] * centre.get(term, 0.0) for term in own) / (length * norm)
    kept = 0.15 * bool(_NUMBER.search(text)) + 0.15 * bool(_NAME.search(text)) + 0.2 * bool(_DECIDED.search(text))
    short = min(1.0, len(own) / 4)
    return (central + kept) * short * (0.5 if text.rstrip().endswith("?") else 1.0)


def _take(sentences: Sequence[_Sentence], budget: int) -> list[_Sentence]:
    """Take sentences one by one: the best that fits, less what it shares with those that were taken."""
    left = {one.at: one for one in sentences}
    value = {one.at: one.weight for one in sentences}
    by_term: dict[str, list[int]] = {}
    for one in sentences:
        for term in one.terms:
            by_term.setdefault(term, []).append(one.at)
    taken: list[_Sentence] = []
    while left and budget >= 4:
        one = left.pop(max(left, key=lambda at: (value[at], -at)))
        cost = tokens(one.line) + 1
        if cost > budget:
            continue
        taken.append(one)
        budget -= cost
        shared = Counter(other for term in one.terms for other in by_term[term] if other in left)
        for at, times in shared.items():
            alike = times / len(left[at].terms | one.terms)
            value[at] = min(value[at], left[at].weight - NOVELTY * alike)
            if alike > SAME:
                del left[at]
    return taken
