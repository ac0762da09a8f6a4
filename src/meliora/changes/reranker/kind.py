"""Trains a reranker on half of the queries that have a known answer, and proves it on the other half.

A trainer may add made queries, about the words that the finding names weak; none that is like a query of the half that proves. One
that learned from people who were erased since is replaced whatever was found, by one that is as good.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from meliora.changes.comparing import LEAST, held_against, keeping, proof
from meliora.changes.searching import Made, Plane, SnapshotChange, Wanted, known_queries, recommended
from meliora.knowledge.config import Reranking, SearchConfig, Snapshot
from meliora.knowledge.forgetting import erased_of
from meliora.knowledge.quality.evidence import JudgedQuery, fingerprint, half
from meliora.loop.artifacts.facts import MadeData
from meliora.loop.change import Change
from meliora.loop.kind import Later, Proof
from meliora.loop.work import Work

DATASET = "dataset"
"""Name of the note that holds the id of the data set that a candidate was trained on."""
LEAST_FITTED = 60
"""Queries with a known answer, below which no model is trained."""


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """A model file, and by what it was made."""

    model: bytes
    notes: dict[str, Any]
    """Counts, hashes and figures."""


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """What a reranker is to be trained on."""

    collection: str
    config: SearchConfig
    """What serves."""
    fitted: tuple[JudgedQuery, ...]
    held: tuple[str, ...]
    """Queries that no made one may be like."""
    tokens: tuple[str, ...]
    """Words that made queries are about."""
    seed: int
    change: str
    cycle: str | None = None
    trigger: str | None = None
    """The metric that a gate saw."""
    replaces: bool = False
    """Whether what serves has to be replaced, gain or none: it learned from people who were erased since."""


class Train(Protocol):
    """Trains a reranker over what serves."""

    def __call__(self, tenant: str, lesson: Lesson) -> Trained | None:
        """Train on what is fitted; None where there is too little to learn from."""
        ...


class DataSets(Protocol):
    """Gives a data set that a reranker was trained on."""

    def __call__(self, tenant: str, dataset: str, /) -> MadeData | None:
        """Give it as artifacts have it; None where it is gone."""
        ...


class Reranker(SnapshotChange):
    """Trains, and switches to what was trained."""

    name = "reranker"

    def __init__(self, plane: Plane, train: Train, datasets: DataSets = lambda tenant, dataset: None) -> None:
        super().__init__(plane)
        self._train = train
        self._datasets = datasets

    def augmented(self, change: Change) -> MadeData | None:
        """Give the data set that was made to train the candidate; None where there was none, or it is gone."""
        id = dict(change.payload.get("notes") or {}).get(DATASET)
        return None if id is None else self._datasets(change.tenant, str(id))

    def make(self, change: Change, work: Work, collection: str, serving: Snapshot) -> Made | Later | None:
        """Give what serves with a newly trained model; None where there is too little, or the finding sees no matter of order."""
        said, erased = recommended(work.finding, self.name), self._erased(change.tenant, serving.config)
        if said is None and not erased:
            return None
        kept = work.checkpoint.get("model")
        if kept is not None and not self._plane.has(change.tenant, str(kept)):
            kept = None  # somebody whom it learned from was erased meanwhile
        notes: dict[str, Any] = dict(work.checkpoint.get("notes", {}))
        if kept is None:
            queries = self._queries(change, collection)
            fitted = [one for one in queries if half(one.text, change.id) == "fitted"]
            held = [one.text for one in queries if half(one.text, change.id) == "held"]
            if len(fitted) < LEAST_FITTED or len(held) < LEAST:
                return None
            work.progress(0.1, f"a reranker is trained on {len(fitted)} queries")
            lesson = Lesson(
                collection=collection,
                config=serving.config,
                fitted=tuple(fitted),
                held=tuple(held),
                tokens=tuple((said or {}).get("tokens", ())) or _weak(work.finding),
                seed=work.seed,
                change=change.id,
                cycle=change.cycle,
                trigger=(work.finding or {}).get("metric"),
                replaces=bool(erased),
            )
            trained = self._train(change.tenant, lesson)
            if trained is None:
                return None
            kept = self._plane.shelf.keep(change.tenant, "reranker", trained.model)
            notes = {**trained.notes, "fitted_queries": len(fitted)}
            if erased:
                notes["erased_people"] = erased
            work.progress(0.8, "a reranker was trained", {**work.checkpoint, "model": kept, "notes": notes})
        config = msgspec.structs.replace(serving.config, reranking=Reranking(model=str(kept)))
        return Made(config, f"a reranker trained on {notes.get('fitted_queries')} queries of {collection}", notes)

    def compare(self, change: Change, work: Work, wanted: Wanted, configs: tuple[SearchConfig, SearchConfig]) -> Proof:
        """Hold both against the queries that the model did not learn from: those it is for, and those that must not suffer."""
        unseen = self._unseen(change, configs[1].reranking)
        queries = [one for one in self._queries(change, wanted.collection) if unseen(one.text)]
        before, after = (self._plane.evidence.answering(change.tenant, wanted.collection, config) for config in configs)
        found = held_against(before, after, queries, work.seed)
        data = {"collection": wanted.collection, "queries": len(queries), "without": "learned", **_plain(wanted.notes)}
        method = "the same queries by both orders"
        if wanted.notes.get("erased_people"):
            return keeping(found, baseline=change.baseline, method=method, data=data, seed=work.seed)
        judged = held_against(before, after, [one for one in queries if one.origin == "judged"], work.seed)
        others = judged if judged.result.pairs >= LEAST else found
        return proof(found, others, baseline=change.baseline, method=method, data=data, seed=work.seed)

    def _erased(self, tenant: str, config: SearchConfig) -> int:
        """Count the people whom the reranker that serves learned from and who were erased since."""
        return 0 if config.reranking is None else erased_of(self._plane.shelf.artifact(tenant, config.reranking.model))

    def _unseen(self, change: Change, reranking: Reranking | None) -> Callable[[str], bool]:
        """Give what tells whether the model learned nothing from a query: by its file; by halves where the file names none.

        Raises `InvalidRequest`, `Conflict` for a model that cannot be read.
        """
        from meliora.knowledge.ranking.model import head_of

        if reranking is None:
            return lambda text: True
        head, _ = head_of(self._plane.shelf.artifact(change.tenant, reranking.model))
        learned = frozenset(head.training.learned)
        if not learned:
            return lambda text: half(text, change.id) == "held"
        return lambda text: fingerprint(text) not in learned

    def _queries(self, change: Change, collection: str) -> Sequence[JudgedQuery]:
        plane, until = self._plane, change.updated_us
        return known_queries(plane.evidence, change.tenant, collection, until_us=until, days=plane.days)


def _weak(finding: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Give the words that a finding believes weak."""
    search = (finding or {}).get("search") or {}
    return tuple(one["term"] for one in search.get("weak", ()) if one["believed"])


def _plain(notes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in notes.items() if isinstance(value, (int, float, str, bool))}
