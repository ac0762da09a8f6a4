"""Learns an expansion of queries from what people used: implements `changes.query_repair.kind.Learn` over store and index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec
import structlog

from meliora.errors import InvalidRequest, NotFound
from meliora.knowledge.forgetting import SOMEBODY, support
from meliora.knowledge.index.base import View
from meliora.knowledge.quality.evidence import Pair
from meliora.knowledge.quality.records import Searched
from meliora.runtime.knowledge.evidence import StoredEvidence
from meliora.store.store import Store
from meliora.telemetry.ids import subject_of

if TYPE_CHECKING:
    from meliora.knowledge.repair.expansion import Table
    from meliora.knowledge.repair.learning import Example

log = structlog.get_logger(__name__)
BACKGROUND = 4_000
"""Documents whose words the learning is held against."""
BEFORE_US = 30 * 86_400_000_000
"""How far back the old traffic is read, whose words may be the old ones for the new."""


class ExpansionLearning:
    """Reads the documents that people used, the words of old traffic and new, and learns what the new ones mean."""

    def __init__(self, store: Store, evidence: StoredEvidence) -> None:
        self._store, self._evidence = store, evidence

    def __call__(
        self,
        tenant: str,
        collection: str,
        tokens: Sequence[str],
        since_us: int,
        until_us: int,
        *,
        beside: str | None = None,
    ) -> Callable[[Sequence[Pair]], bytes | None]:
        """Read what tables of a stretch of time are learned from; what it gives makes one of what people used.

        A table is for `tokens` and for every word that no passage has, with what `beside` has for others; None: nothing is learned.
        """
        from meliora.knowledge.repair.background import Background
        from meliora.knowledge.repair.contexts import Contexts
        from meliora.knowledge.repair.learning import Asking, learn

        view = self._evidence.view(tenant, collection)
        background = Background(_sample(self._store, view, tenant, collection))
        before = self._evidence.searches(tenant, collection, max(0, since_us - BEFORE_US), since_us)
        now = self._evidence.searches(tenant, collection, since_us, until_us)
        contexts = Contexts((one.terms for one in before), background.knows)
        asking = Asking(before=_counts(before), now=_counts(now), contexts=contexts)
        older = None if beside is None else self._serving(tenant, beside)
        reading = _Reading(view)

        def learned(pairs: Sequence[Pair]) -> bytes | None:
            examples = [one for pair in pairs for one in reading(pair)]
            unknown = {term for one in examples for term in one.asked if not view.frequency(term)}
            weak = unknown | {term for term in tokens if any(term in one.asked for one in examples)}
            table = learn(examples, weak, background, asking=asking)
            if table is None:
                return None
            people = asked_by(table.words, (*before, *now), self._store.secret, tenant)
            table = msgspec.structs.replace(table, people=people, until_us=until_us)
            return (table if older is None else table.over(older)).encode()

        return learned

    def _serving(self, tenant: str, name: str) -> Table | None:
        """Give the table that serves; None for one that no search could read either."""
        from meliora.knowledge.repair.expansion import Table

        try:
            return Table.decode(self._store.knowledge_snapshots.artifact(tenant, name))
        except (InvalidRequest, NotFound) as error:
            log.warning("the expansion that serves cannot be read, and is replaced", table=name[:12], why=str(error))
            return None


class _Reading:
    """Reads what people used as examples to learn from; each document once."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._found: dict[str, tuple[str, ...]] = {}

    def __call__(self, pair: Pair) -> Iterator[Example]:
        from meliora.knowledge.repair.learning import Example
        from meliora.knowledge.text.analysis import analyse

        asked = analyse(pair.query).terms
        found = self._found.get(pair.document)
        if found is None:
            found = self._found[pair.document] = _terms(self._view, pair.document)
        if found:
            yield Example(asked=asked, found=found, weight=pair.weight)
        instead = tuple(term for term in analyse(pair.again).terms if term not in asked) if pair.again else ()
        if instead:
            yield Example(asked=asked, found=instead, weight=pair.weight, again=True)


def asked_by(
    terms: Collection[str], searches: Sequence[Searched], secret: str, tenant: str
) -> dict[str, tuple[str, ...]]:
    """Give who asked with each term, as it is kept (`forgetting.support`): keyed hashes, never names."""
    found: dict[str, set[str]] = {term: set() for term in terms}
    for one in searches:
        who = _who(one, secret, tenant)
        for term in found.keys() & set(one.terms):
            found[term].add(who)
    return {term: support(own) for term, own in found.items()}


def support_of(searches: Sequence[Searched], secret: str, tenant: str) -> tuple[str, ...]:
    """Give who made searches, as it is kept of a word."""
    return support(_who(one, secret, tenant) for one in searches)


def _who(one: Searched, secret: str, tenant: str) -> str:
    return subject_of(secret, tenant, one.user) if one.user else SOMEBODY


def _counts(searches: Sequence[Searched]) -> Counter[str]:
    return Counter(term for one in searches for term in set(one.terms))


def _terms(view: View, document: str) -> tuple[str, ...]:
    """Give the words of a document's first passages."""
    stored = view.stored([f"{document}#{number}" for number in range(4)])
    return tuple(term for one in stored if one is not None for term in (*one.title_terms, *one.terms))


def _sample(store: Store, view: View, tenant: str, collection: str) -> list[tuple[str, ...]]:
    """Give the words of documents spread over the collection by their ids."""
    found: list[tuple[str, ...]] = []
    after = ""
    while len(found) < BACKGROUND:
        page = store.knowledge_documents.list(tenant, collection, after=after, limit=500)
        found.extend(terms for one in page if (terms := _terms(view, one.document.id)))
        if len(page) < 500:
            break
        after = page[-1].document.id
    return found
