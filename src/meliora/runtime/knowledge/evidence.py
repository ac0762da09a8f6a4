"""What is known of how good searches are, read off the store: frozen judgments, what people used, and how a configuration answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from meliora.errors import NotFound
from meliora.knowledge.config import SearchConfig, Snapshot
from meliora.knowledge.index.base import View
from meliora.knowledge.indexes import Indexes
from meliora.knowledge.quality import chains
from meliora.knowledge.quality.evidence import JudgedQuery, Pair, normal
from meliora.knowledge.quality.likeness import linked
from meliora.knowledge.quality.records import Searched
from meliora.knowledge.quality.report import held_to
from meliora.knowledge.search.searcher import Request, search
from meliora.knowledge.text.analysis import analyse
from meliora.runtime.knowledge.parts import Artifacts, Loading
from meliora.store.knowledge.searches import MOST, Search
from meliora.store.store import Store

DEPTH = 10
KNOWN_US = 30 * 86_400_000_000
"""How far back it is looked for what people used for the same words."""


class StoredEvidence:
    """Implements `knowledge.quality.evidence.Evidence`, and `SearchLog`."""

    def __init__(self, store: Store, indexes: Indexes) -> None:
        self._store, self._indexes = store, indexes
        self._load = Loading(store.knowledge_snapshots)

    def judged(self, tenant: str, collection: str) -> Sequence[JudgedQuery]:
        """Give the newest frozen set of judgments; empty where there is none."""
        found = held_to(self._store.judgments, tenant, collection)
        if found is None:
            return ()
        text: dict[str, str] = {}
        grades: dict[str, dict[str, float]] = {}
        for row in found[1]:
            text[row.query_id] = row.query
            grades.setdefault(row.query_id, {})[row.document] = row.grade
        return [JudgedQuery(id=id, text=text[id], grades=own, origin="judged") for id, own in sorted(grades.items())]

    def used(self, tenant: str, collection: str, since_us: int, until_us: int) -> Sequence[JudgedQuery]:
        """Give the queries of a stretch of time that people found an answer to, at once or by other words.

        With them those that are an older query but for words that no passage has: what answers that one answers them.
        """
        now, before = self._around(tenant, collection, since_us, until_us)
        found = {one.id: one for one in chains.judged(now, before)}
        return [*(found | self._like(tenant, collection, now, before)).values()]

    def pairs(self, tenant: str, collection: str, since_us: int, until_us: int) -> Sequence[Pair]:
        """Give what people used in a stretch of time, and what was used for older queries that are the same but for unknown words."""
        now, before = self._around(tenant, collection, since_us, until_us)
        links = self._links(tenant, collection, now, before)
        text = {normal(one.query): one.query for one in now}
        like = [
            Pair(
                query=text[name],
                document=max(old.grades, key=lambda id: (old.grades[id], id)),
                weight=1.0,
                again=old.text,
            )
            for name, old in sorted(links.items())
        ]
        return [*chains.pairs(now), *like]

    def _around(
        self, tenant: str, collection: str, since_us: int, until_us: int
    ) -> tuple[Sequence[Searched], Sequence[Searched]]:
        before = self.searches(tenant, collection, max(0, since_us - KNOWN_US), since_us)
        return self.searches(tenant, collection, since_us, until_us), before

    def _links(
        self, tenant: str, collection: str, now: Sequence[Searched], before: Sequence[Searched]
    ) -> dict[str, JudgedQuery]:
        view = self.view(tenant, collection)
        older = [*self.judged(tenant, collection), *chains.judged(before)]
        texts = {normal(one.query): one.terms for one in now}
        return linked(texts, older, lambda text: analyse(text).terms, lambda term: view.frequency(term) > 0)

    def _like(
        self, tenant: str, collection: str, now: Sequence[Searched], before: Sequence[Searched]
    ) -> dict[str, JudgedQuery]:
        times = Counter(normal(one.query) for one in now)
        people: dict[str, set[str]] = {}
        for one in now:
            people.setdefault(normal(one.query), set()).add(one.person)
        last = {normal(one.query): one for one in now}
        return {
            name: JudgedQuery(
                id=name,
                text=last[name].query,
                grades=old.grades,
                origin="used",
                at_us=last[name].at_us,
                weight=float(times[name]),
                again=True,
                people=old.people | people[name],
            )
            for name, old in self._links(tenant, collection, now, before).items()
        }

    def searches(
        self, tenant: str, collection: str, since_us: int, until_us: int, limit: int = MOST
    ) -> Sequence[Searched]:
        """Give the searches of a stretch of time whose words are kept, in its order."""
        found = self._store.searches.window(tenant, collection, since_us, until_us, limit)
        return [searched(one) for one in found if one.query]

    def answering(
        self,
        tenant: str,
        collection: str,
        config: SearchConfig,
        generation: str = "",
        unkept: Mapping[str, bytes] | None = None,
        depth: int = DEPTH,
    ) -> Callable[[str], Sequence[str]]:
        """Give what answers by a configuration, over this machine's index. What it takes must be there: raises `NotFound`."""
        view = self.view(tenant, collection, generation)
        snapshot = Snapshot(number=-1, config=config)
        load = Loading(_Trying(self._store.knowledge_snapshots, unkept)) if unkept else self._load
        parts = load(tenant, config, view)
        if parts.missing:
            raise NotFound(f"The configuration cannot answer: {'; '.join(parts.missing.values())}")

        def answer(query: str) -> Sequence[str]:
            found = search(Request(query, depth), view, snapshot, parts)
            return [one.document for one in found.results]

        return answer

    def view(self, tenant: str, collection: str, generation: str = "") -> View:
        """Give what serves, or a built generation. Raises `NotFound`."""
        index = self._indexes.of(tenant, collection)
        return index.view() if not generation else index.built(generation)


class _Trying:
    """Gives artifacts that are tried and not kept, and those that are kept."""

    def __init__(self, shelf: Artifacts, unkept: Mapping[str, bytes]) -> None:
        self._shelf, self._unkept = shelf, unkept

    def artifact(self, tenant: str, sha256: str) -> bytes:
        data = self._unkept.get(sha256)
        return self._shelf.artifact(tenant, sha256) if data is None else data


def searched(one: Search) -> Searched:
    """Give a kept search as quality reads it."""
    good = [said for said in one.feedback if said.document is not None and said.value >= GOOD]
    whole = [said.value for said in one.feedback if said.document is None and said.kind != "reformulated"]
    arm = one.arm or ""
    return Searched(
        id=one.id,
        at_us=one.at_us,
        query=one.query or "",
        terms=one.terms or (),
        shown=one.shown,
        clicked=tuple(dict.fromkeys(said.document for said in good if said.document is not None)),
        accepted=None if not whole else whole[-1] >= GOOD,
        user=one.user,
        session=one.session,
        snapshot=one.snapshot,
        arm=arm,
        error=one.error_code,
    )


GOOD = 0.5
"""Value from which what is said of a document speaks for it."""
