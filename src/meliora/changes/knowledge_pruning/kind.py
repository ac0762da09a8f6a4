"""Archives documents by a plan that is kept under its hash. Nothing is deleted, and nothing that answers a known query is touched.

Documents cannot be there for some people and not for others: nothing is split by traffic. What was archived is restored one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from meliora.changes.comparing import DEPTH, LEAST, LOSS, gained, held_against
from meliora.changes.knowledge_pruning.shelf import Shears
from meliora.changes.searching import SURFACE, known_of, known_queries, meant_of, neither, recommended
from meliora.errors import Conflict, NotFound
from meliora.knowledge.quality.evidence import JudgedQuery
from meliora.knowledge.upkeep.plan import Pruning
from meliora.loop.change import Change
from meliora.loop.kind import Figure, Later, Proof, Proposal, TrialPlan, WatchPlan
from meliora.loop.work import Work

RULE = (
    f"every entry is as sure as the setting asks, none is judged relevant or was used lately, and with them left out of the answers"
    f" NDCG@{DEPTH} of the queries with a known answer ({LEAST} at least) is not lower by more than {LOSS}"
)


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    collection: str
    plan: str
    """SHA-256 of the plan: the artifact that holds it."""
    snapshot: int
    """By which the queries are answered in the proof."""
    reasons: dict[str, int]
    least: float
    """Least confidence of an entry."""


class KnowledgePruning:
    """Plans, archives, restores."""

    name = "knowledge_pruning"
    surface = SURFACE

    def __init__(self, shears: Shears) -> None:
        self._with = shears

    def propose(self, change: Change, work: Work) -> Proposal | Later | None:
        """Plan for the collection that is meant, or for the first that has something to archive; None where none has."""
        if recommended(work.finding, self.name) is None:
            return None
        for collection in meant_of(self._with.collections(change.tenant), change, work):
            kept = work.checkpoint.get(f"plan {collection}")
            digest = self._planned(change, work, collection) if kept is None else str(kept)
            if digest is not None:
                return self._proposal(change, collection, digest)
        return None

    def prove(self, change: Change, work: Work) -> Proof | Later:
        """Answer the queries that have a known answer with and without what is to be archived."""
        wanted = _wanted(change)
        plan = self._plan(change, wanted.plan)
        queries = self._queries(change, wanted.collection)
        gone = {one.id for one in plan.entries}
        config = self._with.snapshots.get(change.tenant, wanted.collection, wanted.snapshot).config
        before = self._with.evidence.answering(change.tenant, wanted.collection, config)
        compared = held_against(before, _without(before, gone), queries, work.seed)
        needed = gone & _answers(queries)
        unsure = sum(one.confidence < self._with.least for one in plan.entries)
        difference, pairs = compared.result.difference, compared.result.pairs
        sentence = f"{len(gone)} documents, {len(needed)} of them answer a known query, {unsure} are not sure enough"
        if difference is not None:
            sentence += f"; NDCG@{DEPTH} {difference:+.4f} on {pairs} queries without them"
        if needed or unsure or (difference is not None and difference < -LOSS):
            verdict = "failed"
        elif pairs < LEAST or difference is None:
            verdict, sentence = "inconclusive", f"{sentence}; {LEAST} queries with a known answer are needed"
        else:
            verdict = "passed"
        return Proof(
            verdict=verdict,
            method="the same queries with and without the documents",
            rule=RULE,
            sentence=sentence,
            data={
                "collection": wanted.collection,
                "plan": wanted.plan,
                "queries": pairs,
                "until_us": change.updated_us,
            },
            figures=(
                Figure(name="documents", value=float(len(gone)), n=len(gone)),
                Figure(name="needed", value=float(len(needed)), n=len(gone)),
                Figure(name="confidence_least", value=wanted.least, n=len(gone)),
                gained(compared),
            ),
            baseline=change.baseline,
            seed=work.seed,
        )

    def trial(self, change: Change) -> TrialPlan | None:
        """Give None: a document is there for everybody or for nobody."""
        return None

    def rehearse(self, change: Change, work: Work) -> dict[str, Any]:
        """See that every document is live and as it was planned. Raises `Conflict`, `NotFound`."""
        wanted = _wanted(change)
        known_of(self._with.collections(change.tenant), wanted.collection)
        if self.serving(change) != change.baseline:
            raise self._elsewhere(change)
        return {"restores": change.baseline, "documents": sum(wanted.reasons.values())}

    def deliver(self, change: Change, work: Work) -> str | Later:
        """Archive all of it, in one transaction. Raises `Conflict` where a document is not as it was planned."""
        wanted = _wanted(change)
        if self.serving(change) != change.candidate:
            entries = self._plan(change, wanted.plan).entries
            fence = self._with.check(work.fence)
            self._with.archive.archive(change.tenant, wanted.collection, change.id, entries, fence)
        return self.serving(change)

    def undo(self, change: Change, work: Work) -> str | Later | None:
        """Restore what this change archived and is still in the archive by it: what people did since is left as it is."""
        wanted = _wanted(change)
        if self.serving(change) != change.baseline:
            fence = self._with.check(work.fence)
            try:
                self._with.archive.restore(change.tenant, wanted.collection, change.id, fence)
            except NotFound as error:
                raise self._elsewhere(change) from error
        return self.serving(change)

    def serving(self, change: Change) -> str:
        """Read what of the plan is archived by this change: none of it, all of it, or some."""
        wanted = _wanted(change)
        entries = self._plan(change, wanted.plan).entries
        found = self._with.archive.standing(change.tenant, wanted.collection, change.id, entries)
        if found.held:
            return _version("archived" if found.held == len(entries) else "partly", wanted.plan)
        return _version("live" if found.returned or found.ready == len(entries) else "changed", wanted.plan)

    def watch(self, change: Change) -> WatchPlan | None:
        """Give None: no traffic is held back. Its gate looks on, and undoes it where searches get worse."""
        return None

    def _planned(self, change: Change, work: Work, collection: str) -> str | None:
        """Plan, leave out what answers a known query, and keep the plan; None for one without entries."""
        plan = self._with.plan(change.tenant, collection, change.updated_us)
        needed = _answers(self._queries(change, collection))
        entries = tuple(one for one in plan.entries if one.id not in needed and one.confidence >= self._with.least)
        if not entries:
            return None
        digest = self._with.snapshots.keep(
            change.tenant, "pruning", _encoded(msgspec.structs.replace(plan, entries=entries))
        )
        work.progress(0.5, f"{len(entries)} documents are planned to be archived", {f"plan {collection}": digest})
        return digest

    def _proposal(self, change: Change, collection: str, digest: str) -> Proposal:
        plan = self._plan(change, digest)
        reasons = dict(sorted(Counter(one.reason for one in plan.entries).items()))
        wanted = _Wanted(
            collection=collection,
            plan=digest,
            snapshot=self._with.snapshots.serving(change.tenant, collection).number,
            reasons={str(name): count for name, count in reasons.items()},
            least=min(one.confidence for one in plan.entries),
        )
        told = ", ".join(f"{count} {name}" for name, count in reasons.items())
        return Proposal(
            target=f"knowledge:{collection}",
            summary=f"{len(plan.entries)} documents of {collection} archived: {told}.",
            payload=msgspec.to_builtins(wanted),
            candidate=_version("archived", digest),
            baseline=_version("live", digest),
        )

    def _plan(self, change: Change, digest: str) -> Pruning:
        return msgspec.json.decode(self._with.snapshots.artifact(change.tenant, digest), type=Pruning)

    def _queries(self, change: Change, collection: str) -> Sequence[JudgedQuery]:
        return known_queries(
            self._with.evidence, change.tenant, collection, until_us=change.updated_us, days=self._with.days
        )

    def _elsewhere(self, change: Change) -> Conflict:
        return neither(
            change,
            f"The documents are as {self.serving(change)} says",
            "Some were changed, deleted or archived since. A new plan is made of what is there now.",
        )


def _wanted(change: Change) -> _Wanted:
    return msgspec.convert(change.payload, _Wanted)


def _encoded(plan: Pruning) -> bytes:
    return msgspec.json.encode(plan)


def _version(state: str, digest: str) -> str:
    return f"{state}-{digest[:12]}"


def _answers(queries: Sequence[JudgedQuery]) -> set[str]:
    """Give the documents that are known to answer something."""
    return {document for one in queries for document, grade in one.grades.items() if grade > 0}


def _without(answering: Callable[[str], Sequence[str]], gone: set[str]) -> Callable[[str], Sequence[str]]:
    """Answer without some documents. What would come up from below the last place is not counted: a loss is not told too small."""
    return lambda query: [one for one in answering(query) if one not in gone]
