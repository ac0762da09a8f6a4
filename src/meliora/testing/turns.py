"""A shelf of conversations in memory, for tests. Keeps nothing past its process."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import msgspec

from meliora.errors import Conflict, NotFound
from meliora.knowledge.memory.records import Appended, Conversation, Erased, Said, Standing, Turn
from meliora.knowledge.memory.shelf import Place


class TurnsInMemory:
    """A `meliora.knowledge.memory.shelf.TurnShelf`, safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._turns: dict[tuple[str, str], list[Turn]] = {}
        self._messages: dict[tuple[str, str, str], int] = {}
        self._owners: dict[tuple[str, str], str] = {}
        self._standing: dict[tuple[str, str], Standing] = {}
        self._log: dict[tuple[str, str], list[Turn]] = {}

    def append(self, tenant: str, conversation: str, turns: Sequence[Said], now_us: int) -> Appended:
        """Keep turns; see `TurnShelf`."""
        with self._lock:
            if not turns:
                return Appended((), 0)
            owner = self._owners.get((tenant, conversation), turns[0].user)
            for said in turns:
                if said.user != owner:
                    raise Conflict(f"The conversation {conversation!r} belongs to another user.", field="user")
            self._owners[(tenant, conversation)] = owner
            before = len(self._turns.get((tenant, conversation), ()))
            numbers = tuple(self._keep(tenant, conversation, said, now_us) for said in turns)
            return Appended(numbers, len(self._turns[(tenant, conversation)]) - before)

    def conversation(self, tenant: str, id: str) -> Conversation:
        """Give one. Raises `NotFound`."""
        with self._lock:
            turns = self._turns.get((tenant, id))
            if not turns:
                raise NotFound(f"There is no conversation {id!r}.", field="conversation")
            user = self._owners[(tenant, id)]
            return Conversation(id=id, user=user, turns=len(turns), first_us=turns[0].at_us, last_us=turns[-1].at_us)

    def conversations(self, tenant: str, user: str, *, after: str = "", limit: int = 100) -> Sequence[Conversation]:
        """Give those of a user by id."""
        with self._lock:
            ids = sorted(id for (whose, id), owner in self._owners.items() if whose == tenant and owner == user)
            return [self.conversation(tenant, id) for id in ids if id > after][:limit]

    def read(
        self, tenant: str, conversation: str, *, first: int = 1, last: int | None = None, limit: int = 1000
    ) -> Sequence[Turn]:
        """Give turns by number."""
        with self._lock:
            turns = self._turns.get((tenant, conversation), [])
            return turns[max(0, first - 1) : len(turns) if last is None else max(0, last)][:limit]

    def fetch(self, tenant: str, places: Sequence[Place]) -> Sequence[Turn | None]:
        """Give turns in the order asked for."""
        return [next(iter(self.read(tenant, id, first=number, last=number)), None) for id, number in places]

    def follow(self, tenant: str, user: str, after: int, limit: int) -> Sequence[Turn]:
        """Give a user's turns of a greater `seq`."""
        with self._lock:
            log = self._log.get((tenant, user), [])
            start = max(0, after - log[0].seq + 1) if log else 0
            return log[start : start + limit]

    def standing(self, tenant: str, user: str) -> Standing:
        """Give how far a user's turns go."""
        with self._lock:
            return self._standing.get((tenant, user), Standing(0, 0))

    def erase(self, tenant: str, user: str) -> Erased:
        """Delete a user's conversations."""
        with self._lock:
            gone = [key for key, owner in self._owners.items() if key[0] == tenant and owner == user]
            turns = sum(len(self._turns.pop(key)) for key in gone)
            for key in gone:
                del self._owners[key]
            self._messages = {key: at for key, at in self._messages.items() if key[:2] not in gone}
            self._log.pop((tenant, user), None)
            stood = self.standing(tenant, user)
            self._standing[(tenant, user)] = Standing(stood.seq, stood.erasures + 1)
            return Erased(len(gone), turns)

    def count(self, tenant: str) -> int:
        """Give how many turns the tenant has."""
        with self._lock:
            return sum(len(turns) for (whose, _), turns in self._turns.items() if whose == tenant)

    def _keep(self, tenant: str, conversation: str, said: Said, now_us: int) -> int:
        turns = self._turns.setdefault((tenant, conversation), [])
        known = self._messages.get((tenant, conversation, said.message)) if said.message else None
        if known is not None:
            return known
        number = len(turns) + 1
        at_us = said.at_us if said.at_us is not None else max(now_us, turns[-1].at_us if turns else now_us)
        stood = self.standing(tenant, said.user)
        fields = {**msgspec.structs.asdict(said), "at_us": at_us}
        turn = Turn(conversation=conversation, number=number, seq=stood.seq + 1, **fields)
        self._standing[(tenant, said.user)] = Standing(turn.seq, stood.erasures)
        turns.append(turn)
        self._log.setdefault((tenant, said.user), []).append(turn)
        if said.message:
            self._messages[(tenant, conversation, said.message)] = number
        return number
