"""Search as it is offered: a query of somebody, to an answer with an id that feedback can be given on, and a record of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from meliora.clock import Clock
from meliora.errors import MelioraError
from meliora.knowledge.answers import Answer
from meliora.knowledge.indexes import Indexes
from meliora.knowledge.search.searcher import Request, search
from meliora.knowledge.serving import Arm, Serving, Who


class Searched(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a search once its answer is ready."""

    id: str
    who: Who
    collection: str
    feature: str | None
    at_us: int
    ended_us: int
    query: str
    """As it was asked: whoever keeps it masks it first."""
    answer: Answer | None
    error: str | None = None
    """Code of the error that it ended with."""
    arm: Arm | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An answer, and the id under which it is known."""

    id: str
    answer: Answer
    arm: Arm | None = None


class Knowledge:
    """Searches."""

    def __init__(
        self,
        indexes: Indexes,
        serving: Serving,
        clock: Clock,
        new_id: Callable[[], str],
        record: Callable[[Searched], None] = lambda searched: None,
    ) -> None:
        """`record` is called once for each search, before its answer is given; it must not raise."""
        self.indexes, self.serving = indexes, serving
        self._clock, self._new_id, self._record = clock, new_id, record

    def search(self, who: Who, collection: str, request: Request, feature: str | None = None) -> Found:
        """Answer a search. Raises `InvalidRequest`, `NotFound` for an unknown collection; the failure is recorded too."""
        id, began = self._new_id(), self._clock.now_us()
        answer: Answer | None = None
        arm, code = None, "error"
        try:
            view = self.indexes.view(who.tenant, collection)
            served = self.serving.of(who, collection, view)
            arm = served.arm
            answer = search(request, view, served.snapshot, served.parts)
            return Found(id, answer, arm)
        except MelioraError as error:
            code = error.code
            raise
        finally:
            self._record(
                Searched(
                    id=id,
                    who=who,
                    collection=collection,
                    feature=feature,
                    at_us=began,
                    ended_us=self._clock.now_us(),
                    query=request.text,
                    answer=answer,
                    error=None if answer is not None else code,
                    arm=arm,
                )
            )
