"""Trains a reranker over what serves: implements `changes.reranker.kind.Train` over store and index."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import structlog

from meliora.changes.comparing import hopeful
from meliora.changes.reranker.kind import DATASET, Lesson, Trained
from meliora.errors import Conflict, InvalidRequest, NotFound
from meliora.knowledge.augment.examples import Example
from meliora.knowledge.augment.manifest import to_csv
from meliora.knowledge.augment.workshop import ForTraining, MadeSet, Wish, Workshop
from meliora.knowledge.quality.evidence import JudgedQuery
from meliora.loop.artifacts.facts import MadeData
from meliora.runtime.knowledge.evidence import StoredEvidence
from meliora.runtime.knowledge.parts import Loading
from meliora.store.store import Store
from meliora.telemetry.ids import subject_of

log = structlog.get_logger(__name__)

_MADE = "made:"
"""Before the number of a made query."""


class RerankerTraining:
    """Makes examples of queries with a known answer, and trains on them."""

    def __init__(self, store: Store, evidence: StoredEvidence, workshop: Workshop | None = None) -> None:
        """`workshop` makes queries to train on besides; None: only those that people asked or judged are."""
        self._load = Loading(store.knowledge_snapshots)
        self._evidence, self._secret = evidence, store.secret
        self._workshop = workshop

    def __call__(self, tenant: str, lesson: Lesson) -> Trained | None:
        """Train on what is fitted; None where too little of it tells anything.

        None, too, where models of some parts of it do not order the rest better, beyond chance, unless one has to replace what serves.
        """
        from meliora.knowledge.ranking.examples import examples
        from meliora.knowledge.ranking.train import cross_validate, train

        view = self._evidence.view(tenant, lesson.collection)
        bare = msgspec.structs.replace(lesson.config, reranking=None)
        asked = {one.id: one for one in lesson.fitted}
        made_set, added = self._made(tenant, lesson)
        parts = self._load(tenant, bare, view)
        learned = list(examples([*lesson.fitted, *added], view, bare, parts, _families(lesson, added)))
        drawn = lesson.seed % 1_000_003
        try:
            folded = cross_validate(learned, seed=drawn)
            before, after = (
                {id: score for id, score in scores.items() if id in asked} for scores in (folded.before, folded.after)
            )  # made queries prove nothing
            if not lesson.replaces and not hopeful(before, after, drawn):
                return None
            figures = {"ndcg10_before": round(_mean(before), 5), "ndcg10_after": round(_mean(after), 5)}
            until = max(one.at_us for one in lesson.fitted)
            people = self._subjects(tenant, lesson.fitted)
            texts = [one.text for one in (*lesson.fitted, *added)]
            model = train(learned, seed=drawn, figures=figures, people=people, until_us=until, learned=texts)
        except InvalidRequest:
            return None
        counts = {"examples": len(learned), "held": len(lesson.held), "tokens": len(lesson.tokens)}
        notes = {**counts, **figures}
        if made_set is not None and self._workshop is not None:
            self._workshop.sets.mark(tenant, made_set.dataset.id, lesson.change)
            notes |= {DATASET: made_set.dataset.id, "made_queries": len(added)}
        return Trained(model=model.write(), notes=notes)

    def _subjects(self, tenant: str, queries: Sequence[JudgedQuery]) -> list[str]:
        """Give the people with a name who asked these queries or used what answers them, as keyed hashes."""
        people = {who for one in queries for who in one.people if who.startswith("u:")}
        return [subject_of(self._secret, tenant, who.removeprefix("u:")) for who in people]

    def _made(self, tenant: str, lesson: Lesson) -> tuple[MadeSet | None, list[JudgedQuery]]:
        """Make queries about the weak words, none of them like one that proves; none at all where no word is weak."""
        if self._workshop is None or not lesson.tokens:
            return None, []
        judged = tuple(one for one in lesson.fitted if one.origin == "judged")
        purpose = ForTraining(
            queries=judged, held=lesson.held, config=lesson.config, trigger=lesson.trigger, cycle=lesson.cycle
        )
        wish = Wish(tokens=lesson.tokens, seed=lesson.seed % 1_000_003)
        try:
            made = self._workshop.make(tenant, lesson.collection, wish, lesson.change, purpose)
        except Conflict as error:
            log.info("a reranker is trained without made queries", collection=lesson.collection, why=str(error))
            return None, []
        rows = self._workshop.sets.examples(tenant, made.dataset.id)
        return made, [_query(number, one) for number, one in enumerate(rows)]


def told(workshop: Workshop) -> Callable[[str, str], MadeData | None]:
    """Give what tells a data set as artifacts have it; None where it is gone."""

    def tell(tenant: str, dataset: str) -> MadeData | None:
        try:
            rows, manifest = workshop.sets.examples(tenant, dataset), workshop.sets.get(tenant, dataset).manifest
        except NotFound:
            log.warning("the data set of a change is gone", dataset=dataset)
            return None
        return MadeData(rows=to_csv(rows), manifest=manifest)

    return tell


def _query(number: int, one: Example) -> JudgedQuery:
    return JudgedQuery(
        id=f"{_MADE}{number}", text=one.query, grades={one.document: 1.0}, origin="used", weight=one.quality
    )


def _families(lesson: Lesson, added: list[JudgedQuery]) -> Callable[[JudgedQuery], str]:
    """Give what keeps a query and those that are about the same document together, so that no fold knows another one's answer."""
    of_document = {document: one.id for one in lesson.fitted for document, grade in one.grades.items() if grade > 0}
    made = {one.id: of_document.get(next(iter(one.grades)), one.id) for one in added}
    return lambda query: made.get(query.id, query.id)


def _mean(scores: Mapping[str, float]) -> float:
    return sum(scores.values()) / len(scores) if scores else 0.0
