"""What retention and erasure ask for: rows deleted in batches, and a person's traces taken out of all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import msgspec
import sqlalchemy as sa

from meliora.store.calls.shadows import drop_shadow_contents, drop_shadows, erase_shadows
from meliora.store.calls.sink import next_sequence
from meliora.store.calls.slots import slots_of
from meliora.store.calls.windows import first_stale
from meliora.store.engine import reading, writing
from meliora.store.erasures import ERASED, last_erasure
from meliora.store.knowledge.datasets import drop_old_searches, erase_datasets
from meliora.store.knowledge.documents import erase_documents, prune_deletions
from meliora.store.knowledge.learned import forget_learned, forget_words
from meliora.store.knowledge.memory import drop_conversations, erase_turns
from meliora.store.knowledge.search_rows import drop_search_contents, drop_searches, erase_searches
from meliora.store.routing.outcomes import forget_outcomes
from meliora.store.routing.preferences import forget_user
from meliora.store.tables import (
    call_contents,
    calls,
    erasures,
    feedback,
    feedback_history,
    spool_segments,
    usage_users,
)
from meliora.telemetry.ids import subject_of
from meliora.telemetry.rollups import window_of

_C = calls.c


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure found. Records still in the spool are stripped when they are ingested; they are not counted here."""

    subject: str
    """Keyed hash of tenant and user: all that is remembered of the person."""
    at_us: int
    calls: int
    contents: int
    feedback: int
    history: int
    preferences: int
    """Interactions that an application told of."""
    searches: int = 0
    documents: int = 0
    """That belonged to the person: they are deleted."""
    conversations: int = 0
    turns: int = 0
    datasets: int = 0
    """Made of the person's searches, among others: they are deleted."""
    words: int = 0
    """That only the person searched with, and that expansions and findings named."""
    expansions: int = 0
    """That knew of the person, or the person's documents."""
    rerankers: int = 0
    """That learned from the person too: marked, and replaced by the next training."""
    findings: int = 0
    cycles: tuple[str, ...] = ()
    """Whose artifacts tell of words that went."""
    held: tuple[str, ...] = ()
    """What may hold something of the person still, and until when, in sentences."""

    def counts(self) -> dict[str, int]:
        """Give what was found, by kind."""
        others = ("subject", "at_us", "held")
        found = {name: getattr(self, name) for name in self.__struct_fields__ if name not in others}
        return found | {"cycles": len(self.cycles)}


class StoreHousekeeping:
    """Implement `telemetry.retention.Housekeeping` on the store, and erase people. Takes turns with ingest."""

    def __init__(
        self,
        engine: sa.Engine,
        secret: str,
        clock_us: Callable[[], int],
        randbytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._engine = engine
        self._secret = secret
        self._clock_us = clock_us
        self._randbytes = randbytes

    def drop_contents(self, before_us: int, limit: int) -> int:
        """Delete the content of calls that began earlier; the calls then say that it is erased."""
        old = sa.select(call_contents.c.call_id).where(call_contents.c.started_us < before_us)
        with writing(self._engine) as connection:
            next_sequence(connection, 0)  # an erasure locks the same rows, in another order
            ids = connection.execute(old.order_by(call_contents.c.started_us).limit(limit)).scalars().all()
            connection.execute(sa.delete(call_contents).where(call_contents.c.call_id.in_(ids)))
            connection.execute(sa.update(calls).where(_C.id.in_(ids)).values(content=ERASED))
            drop_shadow_contents(connection, before_us, limit)
        return len(ids)

    def drop_calls(self, before_us: int, limit: int) -> int:
        """Delete calls of windows that lie before `before_us` and are rolled up."""
        before_us = window_of(before_us)
        with writing(self._engine) as connection:
            next_sequence(connection, 0)
            drop_shadows(connection, before_us, limit)
        dropped = 0
        for tenant in list(self._tenants()):
            with writing(self._engine) as connection:
                next_sequence(connection, 0)  # no late call may come into a window between this look and the deletion
                first = first_stale(connection, tenant)
                until = before_us if first is None else min(before_us, first)
                old = sa.select(_C.id).where(_C.tenant == tenant, _C.started_us < until)
                ids = connection.execute(old.order_by(_C.started_us).limit(limit - dropped)).scalars().all()
                if ids:
                    connection.execute(sa.delete(call_contents).where(call_contents.c.call_id.in_(ids)))
                    forget_outcomes(connection, ids)
                    connection.execute(sa.delete(calls).where(_C.id.in_(ids)))
            dropped += len(ids)
            if dropped >= limit:
                break
        return dropped

    def drop_search_contents(self, before_us: int, limit: int) -> int:
        """Delete what was asked in searches that began earlier, which then say that it is erased, and data sets made of such."""
        with writing(self._engine) as connection:
            next_sequence(connection, 0)
            drop_old_searches(connection, before_us, limit)
            return drop_search_contents(connection, before_us, limit)

    def drop_searches(self, before_us: int, limit: int) -> int:
        """Delete searches that began earlier, with what was said of them."""
        with writing(self._engine) as connection:
            next_sequence(connection, 0)
            return drop_searches(connection, before_us, limit)

    def drop_conversations(self, before_us: int, limit: int) -> int:
        """Delete conversations whose last turn came earlier."""
        with writing(self._engine) as connection:
            return drop_conversations(connection, self._secret, before_us, limit)

    def forget_deletions(self, before_us: int, limit: int) -> int:
        """Forget deletions of documents that were earlier: an index that slept since must be built again."""
        with writing(self._engine) as connection:
            return prune_deletions(connection, before_us, limit)

    def forget_segments(self, before_us: int) -> int:
        """Forget segments done before `before_us`."""
        with writing(self._engine) as connection:
            return connection.execute(sa.delete(spool_segments).where(spool_segments.c.done_us < before_us)).rowcount

    def erase(self, tenant: str, user: str) -> Erasure:
        """Take a person out: content, session, tags and hash of their calls, their feedback's words, their daily sums, what routing
        read in their prompts, what was learned of their likings, what they searched for, the words that were learned from them alone; and
        delete their documents and conversations.

        Calls and searches themselves, their cost and their counts stay, without a name. Holds ingest while it runs.
        """
        subject = subject_of(self._secret, tenant, user)
        with writing(self._engine) as connection:
            next_sequence(connection, 0)
            at = self._clock_us()
            own = sa.and_(_C.tenant == tenant, _C.slot.in_(slots_of(connection, tenant)), _C.user_id == user)
            mine = sa.select(_C.id).where(own)
            contents = connection.execute(sa.delete(call_contents).where(call_contents.c.call_id.in_(mine))).rowcount
            words = []
            for table in (feedback, feedback_history):
                said = sa.and_(table.c.tenant == tenant, sa.or_(table.c.user_id == user, table.c.call_id.in_(mine)))
                nothing = {"user_id": None, "comment": None, "metadata": sa.null()}
                words.append(connection.execute(sa.update(table).where(said).values(**nothing)).rowcount)
            forget_outcomes(connection, mine)
            erase_shadows(connection, mine, f"e{self._randbytes(8).hex()}", at)
            stripped = connection.execute(
                sa.update(calls)
                .where(own)
                .values(
                    user_id=None,
                    session_id=None,
                    tags=sa.null(),
                    error_message=None,
                    prompt_hash=None,
                    trial_unit=self._nobody(),
                    content=sa.case((_C.content.in_(("redacted", "full")), ERASED), else_=_C.content),
                )
            ).rowcount
            days = usage_users.c
            connection.execute(sa.delete(usage_users).where(days.tenant == tenant, days.user_id == user))
            told = forget_user(connection, tenant, user, subject, at)
            searched = erase_searches(connection, tenant, user, f"e{self._randbytes(8).hex()}")
            documents = erase_documents(connection, tenant, user, at)
            sets = erase_datasets(connection, tenant, subject)
            talked = erase_turns(connection, tenant, user, subject)
            learned = forget_learned(connection, tenant, subject)
            found = Erasure(
                subject=subject,
                at_us=at,
                calls=stripped,
                contents=contents,
                feedback=words[0],
                history=words[1],
                preferences=told,
                searches=searched,
                documents=documents,
                conversations=talked.conversations,
                turns=talked.turns,
                datasets=sets,
                **msgspec.structs.asdict(learned),
            )
            counts = found.counts()
            row = {"tenant": tenant, "subject": subject, "at": at, "counts": counts}
            connection.execute(sa.insert(erasures).values(**row))
        return found

    def last_erasure_us(self) -> int:
        """Give when anybody of the deployment was erased last; 0 for never."""
        with reading(self._engine) as connection:
            return last_erasure(connection)

    def erased_us(self, tenant: str, user: str) -> int | None:
        """Give when a person was erased last; None for never."""
        query = sa.select(sa.func.max(erasures.c.at)).where(
            erasures.c.subject == subject_of(self._secret, tenant, user)
        )
        with reading(self._engine) as connection:
            return connection.execute(query).scalar_one_or_none()

    def forget_words(self, tenant: str, known: Callable[[str], bool]) -> int:
        """Let no expansion of a tenant translate to a word that no document has any more, as `known` tells; give how many went."""
        with writing(self._engine) as connection:
            return forget_words(connection, tenant, known)

    def _nobody(self) -> sa.ColumnElement[str | None]:
        """Give what stands for a person's unit in the analysis of trials: one unit still, and nobody knows whose.

        A key's unit stays: it stands for all of the key's calls.
        """
        stays = sa.or_(_C.trial_unit.is_(None), _C.trial_unit.startswith("k"))
        return sa.case((stays, _C.trial_unit), else_=f"e{self._randbytes(8).hex()}")

    def _tenants(self) -> Iterator[str]:
        """Give the tenants that have calls, hopping through the index from one to the next."""
        last: str | None = None
        with reading(self._engine) as connection:
            while True:
                query = sa.select(sa.func.min(_C.tenant))
                last = connection.execute(query if last is None else query.where(_C.tenant > last)).scalar()
                if last is None:
                    return
                yield last
