"""Upkeep of a collection as one object: it looks, plans, archives on a person's word, and takes that back. It deletes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256

import msgspec

from meliora.errors import InvalidRequest, NotFound
from meliora.knowledge.documents import DocumentState, Kept
from meliora.knowledge.quality.records import Searched
from meliora.knowledge.shelf import DocumentShelf
from meliora.knowledge.upkeep import archive
from meliora.knowledge.upkeep.comparing import ComparisonShelf
from meliora.knowledge.upkeep.figures import Ageing, Figures, FigureShelf
from meliora.knowledge.upkeep.health import CollectionHealth, health
from meliora.knowledge.upkeep.looked import Applied, Doubles, Looked
from meliora.knowledge.upkeep.plan import Entry, Pruning, Rules, plan, useless
from meliora.knowledge.upkeep.redundancy import Queued, Redundancy, redundant
from meliora.knowledge.upkeep.relevance import Relevance, Shown, relevance
from meliora.knowledge.upkeep.shelf import Archived, ArchiveNote, KeptPair, LikePair, PairState, UpkeepShelf
from meliora.knowledge.upkeep.staleness import Stale, ageing, all_stale, stale

MOST_COMPARED = 1_000
"""Documents of a collection that are held against each other while somebody waits: that takes some tenths of a second."""
MOST_CHARACTERS = 2_000_000
"""Of their texts. Of more, what the worker last found is told."""
MOST_BY_WORKER = 100_000
"""Documents of a collection that the worker compares."""
MOST_PAIRS = 5_000
"""Pairs of documents that say the same of which a plan is made: of more, the surest."""
LEASE_US = 3_600_000_000
"""How long a worker is left at a comparison before another takes it over."""
MOST_ENTRIES = 500
"""Documents that one plan archives: of more, the surest."""
LOOKED_US = 180 * 86_400_000_000
"""How far back it is read what people did with results."""
COMPARE = "The worker compares them every night; `meliora knowledge redundant --now` does it at once."
_PAGE = 500
_REMEMBERED = 16
"""Collections of which it is remembered what was double in them."""

SearchesOf = Callable[[str, str, int, int], Sequence[Searched]]
"""Gives the searches of a tenant's collection in a stretch of time."""


class _Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What was found when a collection was last compared, and what it was then: its last change, and how often it was used."""

    latest: int
    accesses: int
    doubles: Doubles | None
    """None: their texts are too long."""


class Keeper:
    """Keeps collections in order."""

    def __init__(
        self,
        documents: DocumentShelf,
        figures: FigureShelf,
        shelf: UpkeepShelf,
        comparisons: ComparisonShelf,
        searches: SearchesOf,
        now_us: Callable[[], int],
        rules: Rules | None = None,
    ) -> None:
        self._documents, self._figures, self._shelf, self._comparisons = documents, figures, shelf, comparisons
        self._searches, self._now_us = searches, now_us
        self._compared: dict[tuple[str, str], _Compared] = {}
        self.rules = rules or Rules()

    def look(self, tenant: str, collection: str, *, compared: bool = True, worth: bool = True) -> Looked:
        """Look at a collection; the documents of a small one are read where they have to be compared, once after each change.

        Raises `NotFound`.

        Without `worth` it may be told as when it was last compared which of two doubles was used more.
        """
        latest = self._documents.collection(tenant, collection).latest
        figures = self.figures(tenant, collection)
        return Looked(
            figures=figures,
            doubles=self._doubles(tenant, collection, latest, figures, worth) if compared else None,
            relevances=self._relevances(tenant, collection),
        )

    def figures(self, tenant: str, collection: str) -> Figures:
        """Sum up the documents that can be found."""
        return self._figures.figures(tenant, collection, self._ageing())

    def sources(self, tenant: str, collections: Iterable[str], most: int, nameless: str) -> Mapping[str, int]:
        """Count the documents that can be found by source, of so many sources: those that stand first in the order of the ids."""
        found: dict[str, int] = {}
        for collection in collections:
            more = most - len(found)
            counts = self._figures.sources(tenant, collection, tuple(found), more, nameless)
            found |= {source: found.get(source, 0) + count for source, count in counts.items()}
        return found

    def stale(self, tenant: str, collection: str, limit: int | None = None) -> list[Stale]:
        """Give what is too old, the surest first. Raises `NotFound`."""
        self._documents.collection(tenant, collection)
        ageing = self._ageing()
        found = self._figures.stalest(tenant, collection, ageing, limit=limit)
        return all_stale(found, ageing.now_us, self.rules.stale_days)

    def compared(self, tenant: str, collection: str) -> Doubles | None:
        """Give near-duplicates; None where they were never looked for. Raises `NotFound`."""
        latest = self._documents.collection(tenant, collection).latest
        return self._doubles(tenant, collection, latest, self.figures(tenant, collection), True)

    def health(self, looked: Looked) -> CollectionHealth:
        """Judge a collection that was looked at."""
        return health(
            total=looked.figures.documents,
            stale=looked.figures.stale,
            redundant=None if looked.doubles is None else looked.doubles.total,
            relevances=[one.score for one in looked.relevances.values()],
        )

    def plan(
        self,
        tenant: str,
        collection: str,
        *,
        least: float | None = None,
        stale: bool = True,
        redundant: bool = True,
        apply: bool = False,
        looked: Looked | None = None,
    ) -> Applied:
        """Plan what to archive, of a collection that was looked at; with `apply`, archive it. Raises `NotFound`, `InvalidRequest`."""
        rules = self.rules if least is None else msgspec.structs.replace(self.rules, least=least)
        looked = looked or self.look(tenant, collection, compared=redundant)
        doubles = looked.doubles if redundant else None
        if redundant and doubles is None and not stale:
            raise InvalidRequest(f"The documents of {collection!r} were never compared.", hint=COMPARE)
        relevances = looked.relevances if stale else {}
        redundancy = None if doubles is None else doubles.found
        if doubles is None or doubles.recorded:
            found = self._of_few(tenant, collection, relevances, rules, redundancy)
        else:
            kept = list(self._all(tenant, collection, "live"))
            back = self._shelf.returned(tenant, collection)
            now = self._now_us()
            found = plan(
                collection, kept, now, redundancy=redundancy, relevances=relevances, rules=rules, returned=back
            )
        wanted = [one for one in found.entries if stale or one.reason == "redundant"]
        surest = sorted(wanted, key=lambda one: (-one.confidence, one.id))[:MOST_ENTRIES]
        found = msgspec.structs.replace(found, entries=tuple(sorted(surest, key=lambda one: one.id)))
        return (
            self._applied(tenant, found)
            if apply
            else Applied(plan=found.sha256, pruning=found, applied=False, archived=0)
        )

    def restore(self, tenant: str, collection: str, plan: str, ids: Sequence[str] | None = None) -> int:
        """Let what a plan archived be found again, all of it or some; give how many. Raises `NotFound`."""
        return self._shelf.restore(tenant, collection, plan, ids)

    def archived(self, tenant: str, collection: str, limit: int = 100) -> Sequence[Archived]:
        """Give what was archived, the latest first. Raises `NotFound`."""
        self._documents.collection(tenant, collection)
        return self._shelf.archived(tenant, collection, limit=limit)

    def export(self, tenant: str, collection: str) -> tuple[str, bytes]:
        """Give the name and the bytes of a file of all that is archived. Raises `NotFound`."""
        self._documents.collection(tenant, collection)
        now = self._now_us()
        entries = [self._noted(tenant, collection, one) for one in self._all(tenant, collection, "archived")]
        return archive.file_name(now), archive.export(collection, entries, now)

    def compare(self, tenant: str, collection: str) -> int:
        """Compare all documents and note what was found; give how many pairs wait for a person newly.

        It reads every document: not where others wait for the process. Raises `NotFound`.
        """
        latest = self._documents.collection(tenant, collection).latest
        found = redundant(list(self._all(tenant, collection, "live")))
        self._comparisons.note(tenant, collection, latest, found.pairs, found.documents, found.left_out)
        return self._asked(tenant, collection, found.queued)

    def compare_if_due(self, tenant: str, collection: str, owner: str, every_us: int) -> int | None:
        """Compare where it is due, something changed, and no other worker is at it; else, and where there are too many, give None.

        Raises `NotFound`.
        """
        if self._documents.collection(tenant, collection).documents > MOST_BY_WORKER:
            return None
        if not self._comparisons.claim(tenant, collection, owner, every_us, LEASE_US):
            return None
        return self.compare(tenant, collection)

    def _asked(self, tenant: str, collection: str, pairs: Sequence[Queued]) -> int:
        """Let the pairs that upkeep does not decide wait for a person; give how many are new."""
        return self._shelf.ask(tenant, collection, [_like(one) for one in pairs])

    def pairs(self, tenant: str, collection: str, state: PairState | None, limit: int) -> Sequence[KeptPair]:
        """Give pairs. Raises `NotFound`."""
        self._documents.collection(tenant, collection)
        return self._shelf.pairs(tenant, collection, state=state, limit=limit)

    def waiting(self, tenant: str, collection: str) -> int:
        """Count the pairs that wait for a person. Raises `NotFound`."""
        self._documents.collection(tenant, collection)
        return self._shelf.waiting(tenant, collection)

    def decide(self, tenant: str, collection: str, ids: tuple[str, str], keep: str | None, by: str) -> KeptPair:
        """Note a person's word on a pair: both stay, or `keep` stays and the other is archived; the last word stands.

        A pair that nobody has noted yet is noted where the two are alike: `compared` shows pairs before the worker comes to them.
        Raises `NotFound`, `InvalidRequest`, `Conflict` where `keep` cannot be found: nothing is archived in place of nothing.
        """
        try:
            return self._decided(tenant, collection, ids, keep, by)
        except NotFound:
            if not self._noted_now(tenant, collection, ids):
                raise
            return self._decided(tenant, collection, ids, keep, by)

    def _noted_now(self, tenant: str, collection: str, ids: tuple[str, str]) -> bool:
        """Note two documents as a pair where they are alike; say whether they are."""
        found = [one for one in (self._found(tenant, collection, id) for id in set(ids)) if one is not None]
        pairs = redundant(found).queued
        self._shelf.ask(tenant, collection, [_like(one) for one in pairs])
        return bool(pairs)

    def _found(self, tenant: str, collection: str, id: str) -> Kept | None:
        try:
            return self._documents.get(tenant, collection, id)
        except NotFound:
            return None

    def _decided(self, tenant: str, collection: str, ids: tuple[str, str], keep: str | None, by: str) -> KeptPair:
        a, b = ids
        change = sha256("\0".join(("pair", collection, *sorted(ids))).encode("utf-8", "surrogatepass")).hexdigest()
        if keep is None:
            return self._shelf.decide(tenant, collection, a, b, "kept", by, change)
        if keep not in ids:
            raise InvalidRequest(f"{keep!r} is neither of the two.", field="keep")
        note = ArchiveNote(document=b if keep == a else a, why=f"a person keeps {keep}", kept_instead=keep)
        return self._shelf.decide(tenant, collection, a, b, "merged", by, change, note)

    def _applied(self, tenant: str, pruning: Pruning) -> Applied:
        """Archive what is as it was planned. The store looks again while it archives: of two that say the same, one always stays."""
        notes = [
            ArchiveNote(document=one.id, why=one.said, kept_instead=one.kept_instead, hash=one.hash)
            for one in pruning.entries
        ]
        plan = pruning.sha256
        done = self._shelf.archive(tenant, pruning.collection, plan, notes) if notes else 0
        there = self._shelf.archived(tenant, pruning.collection, change=plan, limit=MOST_ENTRIES) if notes else ()
        held = {one.note.document for one in there if one.restored_us is None}
        left = tuple(one.id for one in pruning.entries if one.id not in held)
        return Applied(plan=plan, pruning=pruning, applied=True, archived=done, left=left)

    def _noted(self, tenant: str, collection: str, kept: Kept) -> archive.Archived:
        id = kept.document.id
        noted = next(iter(self._shelf.archived(tenant, collection, document=id, limit=1)), None)
        entry = Entry(
            id=id,
            hash=kept.hash,
            reason="stale" if noted is None or noted.note.kept_instead is None else "redundant",
            said="" if noted is None else noted.note.why,
            confidence=1.0,
            kept_instead=None if noted is None else noted.note.kept_instead,
        )
        change, at = ("", kept.updated_us) if noted is None else (noted.change, noted.at_us)
        return archive.Archived(kept=kept, entry=entry, plan=change, at_us=at)

    def _ageing(self) -> Ageing:
        return ageing(self._now_us(), self.rules.stale_days)

    def _doubles(self, tenant: str, collection: str, latest: int, figures: Figures, worth: bool) -> Doubles | None:
        """Compare a small collection, or tell what was found of a large one; `latest` was read before anything else."""
        found = None
        if figures.documents <= MOST_COMPARED:
            found = self._of_small(tenant, collection, latest, figures, worth)
        return found or self._recorded(tenant, collection)

    def _of_small(self, tenant: str, collection: str, latest: int, figures: Figures, worth: bool) -> Doubles | None:
        """Compare now, or give what was found when the collection was as it is; None where the texts are too long for that."""
        name = tenant, collection
        last = self._compared.get(name)
        if last is not None and last.latest == latest and (last.accesses == figures.accesses or not worth):
            return last.doubles
        doubles = None
        if self._figures.characters(tenant, collection) <= MOST_CHARACTERS:
            found = redundant(list(self._all(tenant, collection, "live")))
            doubles = Doubles(found=found, total=len(found.pairs), compared_us=self._now_us())
        self._compared.pop(name, None)
        self._compared[name] = _Compared(latest=latest, accesses=figures.accesses, doubles=doubles)
        for oldest in tuple(self._compared)[:-_REMEMBERED]:
            self._compared.pop(oldest, None)
        return doubles

    def _recorded(self, tenant: str, collection: str) -> Doubles | None:
        last = self._comparisons.last(tenant, collection, MOST_PAIRS)
        if last is None:
            return None
        queued = tuple(
            Queued(a=one.a, b=one.b, containment=one.containment, ratio=one.ratio, why=one.why, said=one.said)
            for one in (kept.pair for kept in self._shelf.pairs(tenant, collection, state="open", limit=_PAGE))
        )
        found = Redundancy(
            documents=last.documents, pairs=last.pairs, queued=queued, left_out=last.left_out, compared=0
        )
        return Doubles(found=found, total=last.total, compared_us=last.compared_us, changed=last.changed, recorded=True)

    def _of_few(
        self,
        tenant: str,
        collection: str,
        relevances: Mapping[str, Relevance],
        rules: Rules,
        redundancy: Redundancy | None,
    ) -> Pruning:
        """Plan of what is stale the surest, what is useless, and what is known to be there twice; nobody reads the rest."""
        ageing = self._ageing()
        old = self._figures.stalest(
            tenant,
            collection,
            ageing,
            least=rules.least,
            without=rules.protected,
            oldest=False,
            limit=MOST_ENTRIES,
        )
        low = {name: one for name, one in relevances.items() if useless(one, rules)}
        twice = () if redundancy is None else [id for one in redundancy.pairs for id in (one.archived, one.kept)]
        kept = {one.document.id: one for one in old}
        kept |= self._figures.light(tenant, collection, {*low, *twice})
        among = [
            one
            for one in kept.values()
            if one.document.category not in rules.protected or not _stale_enough(one, ageing.now_us, rules)
        ]
        back = self._shelf.returned(tenant, collection)
        found = plan(
            collection, among, ageing.now_us, redundancy=redundancy, relevances=low, rules=rules, returned=back
        )
        spared = self._figures.count_stale(tenant, collection, ageing, rules.least, rules.protected)
        return msgspec.structs.replace(found, protected=found.protected + spared)

    def _relevances(self, tenant: str, collection: str) -> Mapping[str, Relevance]:
        now = self._now_us()
        searches = [
            one for one in self._searches(tenant, collection, max(0, now - LOOKED_US), now) if one.error is None
        ]
        if not any(one.clicked for one in searches):
            return {}
        shown = (
            Shown(document=document, used=document in one.clicked, at_us=one.at_us, seen=1 / place)
            for one in searches
            for place, document in enumerate(one.shown, start=1)
        )
        found = relevance(shown, now)
        live = self._figures.light(tenant, collection, found.keys())
        return {name: one for name, one in found.items() if name in live}

    def _all(self, tenant: str, collection: str, state: DocumentState) -> Iterator[Kept]:
        after = ""
        while page := self._documents.list(tenant, collection, state=state, after=after, limit=_PAGE):
            yield from page
            after = page[-1].document.id


def _like(pair: Queued) -> LikePair:
    ratio = min(1.0, pair.ratio)
    return LikePair(a=pair.a, b=pair.b, containment=pair.containment, ratio=ratio, why=pair.why, said=pair.said)


def _stale_enough(kept: Kept, now_us: int, rules: Rules) -> bool:
    found = stale(kept, now_us, rules.stale_days)
    return found is not None and found.confidence >= rules.least
