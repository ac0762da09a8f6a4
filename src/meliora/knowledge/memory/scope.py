"""The recall index of one user's turns: postings and columns in memory, grown at the end, never written anywhere.

Takes some 12 MB for 10,000 turns of 32 words, 12,000 of them distinct (tracemalloc). Texts stay in the shelf.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from meliora.knowledge.memory.dates import day_of, told_days
from meliora.knowledge.memory.records import Turn
from meliora.knowledge.memory.shelf import Place
from meliora.knowledge.memory.terms import asks, name_terms, names_in, similar, tells_time, terms
from meliora.knowledge.text.analysis import grams

if TYPE_CHECKING:
    import numpy as np

PAUSE_US = 4 * 3_600_000_000
"""A longer pause begins a new session where the caller names none."""
ALIKE = 0.5
"""Share of trigrams from which a word stands for one that nobody said."""
_COLUMNS = {
    "at_us": "q",
    "conversation": "i",
    "number": "i",
    "speaker": "i",
    "session": "i",
    "before": "i",
    "after": "i",
    "length": "i",
    "question": "b",
    "timed": "b",
    "naming": "b",
    "told_from": "i",
    "told_to": "i",
}


class Columns(msgspec.Struct, frozen=True):
    """A turn a row. `before` and `after` are rows of the neighbours in the same session; -1: there is none."""

    at_us: np.ndarray
    conversation: np.ndarray
    number: np.ndarray
    speaker: np.ndarray
    session: np.ndarray
    before: np.ndarray
    after: np.ndarray
    length: np.ndarray
    question: np.ndarray
    timed: np.ndarray
    naming: np.ndarray
    """Whether the text names anybody or anything but the speakers."""
    told_from: np.ndarray
    """Days since the epoch that the text tells of; -1: none."""
    told_to: np.ndarray


class Scope:
    """Turns of one user, in the order of their `seq`. Not safe to use from several threads at once: its owner holds a lock."""

    def __init__(self, erasures: int = 0) -> None:
        self.erasures = erasures
        self.seq = 0
        self.size = 0
        self.conversations: dict[str, int] = {}
        self.speakers: dict[str, int] = {}
        self.sessions: dict[tuple[str, str], int] = {}
        self.names: dict[str, set[int]] = {}
        """Term to the speakers whom it names."""
        self._rows: dict[str, array[int]] = {name: array(kind) for name, kind in _COLUMNS.items()}
        self._postings: dict[str, tuple[array[int], array[int]]] = {}
        self._by_gram: defaultdict[str, list[str]] = defaultdict(list)
        self._ids: list[str] = []
        self._last: dict[int, int] = {}
        self._columns: Columns | None = None

    def add(self, turns: Sequence[Turn]) -> None:
        """Take turns of a greater `seq` up; those that it has are passed over."""
        for turn in turns:
            if turn.seq > self.seq:
                self._add(turn)
                self.seq = turn.seq
        self._columns = None

    def columns(self) -> Columns:
        """Give the turns as columns; made anew after turns were added."""
        import numpy as np

        if self._columns is None:
            self._columns = Columns(*(np.array(self._rows[name]) for name in _COLUMNS))
        return self._columns

    def posting(self, term: str) -> tuple[np.ndarray, np.ndarray]:
        """Give the rows that have a term, and how often."""
        import numpy as np

        rows, times = self._postings.get(term, (array("i"), array("H")))
        return np.array(rows, dtype=np.int64), np.array(times, dtype=np.float64)

    def frequency(self, term: str) -> int:
        """Give in how many turns a term stands."""
        return len(self._postings[term][0]) if term in self._postings else 0

    def nearest(self, term: str, most: int = 3) -> dict[str, float]:
        """Give terms that are spelled like one that nobody said, with how alike they are."""
        shared = Counter(other for gram in set(grams([term], 3)) for other in self._by_gram.get(gram, ()))
        likely = ((other, similar(term, other)) for other, _ in shared.most_common(20 * most))
        best = sorted(((alike, other) for other, alike in likely if alike >= ALIKE), reverse=True)
        return {other: alike for alike, other in best[:most]}

    def place(self, row: int) -> Place:
        """Give where a row's turn is kept."""
        return self._ids[self._rows["conversation"][row]], self._rows["number"][row]

    def _add(self, turn: Turn) -> None:
        row, own = self.size, terms(turn.text)
        conversation = self._conversation(turn.conversation)
        last = self._last.get(conversation, -1)
        session = self._session(turn, last)
        before = last if last >= 0 and self._rows["session"][last] == session else -1
        if before >= 0:
            self._rows["after"][before] = row
        told = told_days(turn.text[:2000], day_of(turn.at_us)) or (-1, -1)
        values = (turn.at_us, conversation, turn.number, self._speaker(turn.speaker), session, before, -1, len(own))
        flags = (asks(turn.text), tells_time(turn.text), self._names_more(turn.text[:2000]), *told)
        for name, value in zip(_COLUMNS, (*values, *flags), strict=True):
            self._rows[name].append(value)
        for term, times in Counter(own).items():
            self._post(term, row, times)
        self._last[conversation] = row
        self.size += 1

    def _post(self, term: str, row: int, times: int) -> None:
        if term not in self._postings:
            self._postings[term] = (array("i"), array("H"))
            for gram in set(grams([term[:40]], 3)):
                self._by_gram[gram].append(term)
        rows, counts = self._postings[term]
        rows.append(row)
        counts.append(min(times, 65_535))

    def _names_more(self, text: str) -> bool:
        return any(name_terms(name).isdisjoint(self.names) for name in names_in(text))

    def _conversation(self, id: str) -> int:
        if id not in self.conversations:
            self.conversations[id] = len(self._ids)
            self._ids.append(id)
        return self.conversations[id]

    def _speaker(self, speaker: str) -> int:
        if speaker not in self.speakers:
            self.speakers[speaker] = len(self.speakers)
            for term in name_terms(speaker):
                self.names.setdefault(term, set()).add(self.speakers[speaker])
        return self.speakers[speaker]

    def _session(self, turn: Turn, last: int) -> int:
        if turn.session:
            return self.sessions.setdefault((turn.conversation, turn.session), len(self.sessions))
        if last >= 0 and turn.at_us - self._rows["at_us"][last] <= PAUSE_US:  # a clock put back is no pause
            return self._rows["session"][last]
        return self.sessions.setdefault((turn.conversation, f"#{turn.number}"), len(self.sessions))
