"""A conversation within a budget: the last turns as they were said, and a summary of all before them.

Extracts are made by stretches of turns and kept, so that a window costs only what is new: `SEGMENT` turns to a segment, `CHAPTER` segments
to a chapter. The summarizer that was passed in is asked once, for the whole. What is kept is derived, bounded, and void after an erasure.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec

from meliora.errors import InvalidRequest
from meliora.knowledge.documents import Mark
from meliora.knowledge.memory.records import Conversation, Turn, tokens
from meliora.knowledge.memory.shelf import TurnShelf
from meliora.knowledge.memory.summary import ExtractiveSummarizer, Summarizer, Summary

SEGMENT, CHAPTER = 40, 16
SEGMENT_TOKENS, CHAPTER_TOKENS = 200, 600
STEP = 10
"""The summary ends at a multiple of it, so that not every turn asks for a new one."""
VERBATIM = 0.7
"""Share of the budget for turns as they were said, where not all of them fit."""
OVERHEAD = 4
"""Tokens that a turn takes besides its text and its speaker."""
MOST_BUDGET = 1_000_000
_PAGE = 200
_Key = tuple[str, str, int, str, int, int]


class ConversationWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation within a budget."""

    summary: Summary | None
    """Of all turns before `recent`; None where they all fit, or where there is no room for one."""
    recent: tuple[Turn, ...]
    """The last turns, verbatim, in their order; the last one is left out where it alone is over the budget."""
    tokens: int
    """Estimated, of both."""
    marks: tuple[Mark, ...] = ()
    """What was noticed in any of it."""
    left_out: int = 0
    """Turns that are in neither."""


class Windows:
    """Make windows, and keep the summaries of whole stretches: at most `most` of them."""

    def __init__(self, shelf: TurnShelf, summarizer: Summarizer, most: int = 20_000) -> None:
        self._shelf = shelf
        self._summarizer = summarizer
        self._extract = ExtractiveSummarizer()
        self._most = most
        self._kept: OrderedDict[_Key, Summary] = OrderedDict()
        self._lock = threading.Lock()

    def window(self, tenant: str, conversation: str, budget: int) -> ConversationWindow:
        """Give a window of at most `budget` tokens. Raises `NotFound`, `InvalidRequest`."""
        if not 1 <= budget <= MOST_BUDGET:
            raise InvalidRequest(
                f"The budget is {budget} tokens; 1 to {MOST_BUDGET} are allowed.", field="budget_tokens"
            )
        about = self._shelf.conversation(tenant, conversation)
        recent, used, whole = self._recent(tenant, about, budget)
        if whole:
            return ConversationWindow(summary=None, recent=recent, tokens=used, marks=_marks(recent, None))
        first = recent[0].number if recent else about.turns + 1
        aligned = first + (-(first - 1)) % STEP
        if aligned - first <= len(recent) // 2:
            recent = tuple(turn for turn in recent if turn.number >= aligned)
            first = aligned
        used = sum(map(_size, recent))
        summary = self._before(tenant, about, first, min(budget - used, budget - int(VERBATIM * budget)))
        kept = summary if summary is not None and summary.text else None
        return ConversationWindow(
            summary=kept,
            recent=recent,
            tokens=used + (tokens(kept.text) if kept else 0),
            marks=_marks(recent, kept),
            left_out=0 if kept else first - 1,
        )

    def forget(self, tenant: str, conversations: Sequence[str]) -> int:
        """Drop the summaries of conversations, and give how many there were."""
        with self._lock:
            gone = [key for key in self._kept if key[0] == tenant and key[1] in set(conversations)]
            for key in gone:
                del self._kept[key]
        return len(gone)

    def _recent(self, tenant: str, about: Conversation, budget: int) -> tuple[tuple[Turn, ...], int, bool]:
        """Give the last turns that fit their share of the budget, and whether that is all of them within the whole of it."""
        found: list[Turn] = []
        used, last = 0, about.turns
        while last >= 1:
            page = self._shelf.read(tenant, about.id, first=max(1, last - _PAGE + 1), last=last, limit=_PAGE)
            for turn in reversed(page):
                if used + _size(turn) > budget:
                    return _fitting(found, int(VERBATIM * budget)), used, False
                found.append(turn)
                used += _size(turn)
            last -= _PAGE
        return tuple(reversed(found)), used, True

    def _before(self, tenant: str, about: Conversation, first: int, budget: int) -> Summary | None:
        budget -= budget % STEP
        if budget < STEP or first <= 1:
            return None
        key = (tenant, about.id, self._shelf.standing(tenant, about.user).erasures, "whole", first, budget)
        return self._once(key, lambda: self._whole(key, about.user, first - 1, budget))

    def _whole(self, key: _Key, user: str, last: int, budget: int) -> Summary:
        """Sum up turns 1 to `last`: whole chapters, then whole segments, then single turns."""
        per_chapter = SEGMENT * CHAPTER
        chapters, segments = last // per_chapter, last // SEGMENT
        parts = [_as_turn(self._chapter(key, number)) for number in range(chapters)]
        parts += [_as_turn(self._segment(key, number)) for number in range(chapters * CHAPTER, segments)]
        parts += self._shelf.read(key[0], key[1], first=segments * SEGMENT + 1, last=last, limit=SEGMENT)
        return msgspec.structs.replace(self._summarizer.summarize(parts, budget, user), first=1, last=last)

    def _chapter(self, key: _Key, number: int) -> Summary:
        def make() -> Summary:
            parts = [self._segment(key, number * CHAPTER + at) for at in range(CHAPTER)]
            made = self._extract.summarize([_as_turn(part) for part in parts], CHAPTER_TOKENS)
            return msgspec.structs.replace(made, first=parts[0].first, last=parts[-1].last)

        return self._once((*key[:3], "chapter", number, 0), make)

    def _segment(self, key: _Key, number: int) -> Summary:
        def make() -> Summary:
            first = number * SEGMENT + 1
            turns = self._shelf.read(key[0], key[1], first=first, last=first + SEGMENT - 1, limit=SEGMENT)
            return self._extract.summarize(turns, SEGMENT_TOKENS)

        return self._once((*key[:3], "segment", number, 0), make)

    def _once(self, key: _Key, make: Callable[[], Summary]) -> Summary:
        """Give what is kept, or make it. What stood in for a model that failed is not kept: it is tried again."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        if not made.failed:
            with self._lock:
                self._kept[key] = made
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        return made


def _size(turn: Turn) -> int:
    return tokens(turn.text) + tokens(turn.speaker) + OVERHEAD


def _fitting(newest_first: Sequence[Turn], budget: int) -> tuple[Turn, ...]:
    taken: list[Turn] = []
    for turn in newest_first:
        budget -= _size(turn)
        if budget < 0:
            break
        taken.append(turn)
    return tuple(reversed(taken or newest_first[:1]))


def _as_turn(summary: Summary) -> Turn:
    """Give a summary as a turn of nobody, so that it can be summed up again."""
    return Turn(conversation="", number=summary.last, speaker="", text=summary.text, at_us=0, marks=summary.marks)


def _marks(recent: Sequence[Turn], summary: Summary | None) -> tuple[Mark, ...]:
    found: set[Mark] = {mark for turn in recent for mark in turn.marks}
    if summary is not None:
        found.update(summary.marks)
    return tuple(sorted(found))
