"""From a query to the turns and sessions that answer it. The index of each user's turns follows the shelf, and goes with an erasure."""

from __future__ import annotations

import threading
from collections import OrderedDict

from meliora.errors import InvalidRequest
from meliora.knowledge.memory.choose import Chosen, choose
from meliora.knowledge.memory.scope import Scope
from meliora.knowledge.memory.shelf import TurnShelf
from meliora.knowledge.memory.wanted import Recalled, RecalledTurn, Wanted

PAGE = 2000
"""Turns that are read from the shelf at once."""
MOST = 200
"""Turns of one recall."""
LONGEST_QUERY = 10_000


class _Held:
    """The index of a user, and the lock of whoever reads or grows it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.scope = Scope()


class Recall:
    """Indexes by user, at most `most_turns` turns of them in memory: those asked last. Safe to use from several threads."""

    def __init__(self, shelf: TurnShelf, most_turns: int = 500_000) -> None:
        self._shelf = shelf
        self._most = most_turns
        self._held: OrderedDict[tuple[str, str], _Held] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, tenant: str, wanted: Wanted, now_us: int) -> Recalled:
        """Give what answers a query; an empty one gives the newest turns that pass. Raises `InvalidRequest`."""
        if not 1 <= wanted.limit <= MOST:
            raise InvalidRequest(f"limit is {wanted.limit}; 1 to {MOST} are given.", field="limit")
        if len(wanted.query) > LONGEST_QUERY:
            raise InvalidRequest(f"A query has at most {LONGEST_QUERY} characters.", field="query")
        held = self._hold(tenant, wanted.user)
        with held.lock:
            self._catch_up(tenant, wanted.user, held)
            chosen = choose(held.scope, wanted, now_us)
        self._trim()
        return self._filled(tenant, wanted, chosen)

    def forget(self, tenant: str, user: str) -> int:
        """Drop the index of a user, and give how many turns it had."""
        with self._lock:
            held = self._held.pop((tenant, user), None)
        return held.scope.size if held is not None else 0

    def _hold(self, tenant: str, user: str) -> _Held:
        with self._lock:
            held = self._held.setdefault((tenant, user), _Held())
            self._held.move_to_end((tenant, user))
        return held

    def _catch_up(self, tenant: str, user: str, held: _Held) -> None:
        standing = self._shelf.standing(tenant, user)
        if held.scope.erasures != standing.erasures:
            held.scope = Scope(standing.erasures)
        while held.scope.seq < standing.seq:
            page = self._shelf.follow(tenant, user, held.scope.seq, PAGE)
            if not page:
                break
            held.scope.add(page)

    def _trim(self) -> None:
        with self._lock:
            total = sum(held.scope.size for held in self._held.values())
            while total > self._most and len(self._held) > 1:
                _, held = self._held.popitem(last=False)
                total -= held.scope.size

    def _filled(self, tenant: str, wanted: Wanted, chosen: Chosen) -> Recalled:
        """Put the texts in, as the shelf has them now: what was erased meanwhile is not there."""
        kept = self._shelf.fetch(tenant, [one.place for one in chosen.turns])
        turns = tuple(
            RecalledTurn(turn=turn, score=one.score, why=one.why, session=one.session)
            for one, turn in zip(chosen.turns, kept, strict=True)
            if turn is not None and turn.user == wanted.user
        )
        return Recalled(turns=turns, sessions=chosen.sessions if turns else (), terms=chosen.terms, seq=chosen.seq)
